package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// Request is what a caller asks for.
type Request struct {
	Namespace   lock.Namespace // "" is lock.DefaultNamespace
	Resources   []lock.Resource
	Owner       lock.Owner
	Priority    lock.Priority // a wish
	TTL         time.Duration // 0: until released
	Wait        time.Duration // 0: a try-lock
	Labels      map[string]string
	Context     json.RawMessage // a JSON object, or nil
	Idempotency lock.Idempotency
	Trace       lock.Trace

	Hold  time.Duration // how long this call stays open while queued; 0 answers at once
	Place time.Duration // after this call the place is kept only that long without another; 0 until the wait ends
}

// Orchestrator is what doors call.
type Orchestrator struct{}

// Options are the parts an Orchestrator is built from.
type Options struct {
	Store      Store
	Policy     Policy
	Logger     *slog.Logger
	Tracer     trace.Tracer
	Registerer prometheus.Registerer
}

// New checks and builds; Run makes it work.
func New(cfg Config, o Options) (*Orchestrator, error) { return &Orchestrator{}, nil }

// Config TBD.
type Config struct{}

// Run blocks until ctx ends and everything under way was answered.
func (o *Orchestrator) Run(ctx context.Context) error { return errors.ErrUnsupported }

// Acquire asks policy and then the store. The outcome's lock is held, or queued
// when the call was held open long enough. *lock.DeniedError,
// *lock.ConflictError, *lock.QueueFullError, *lock.BusyError,
// lock.ErrIdempotencyConflict, *lock.InvalidError, *lock.PolicyError,
// *lock.UnavailableError, *lock.EndedError.
func (o *Orchestrator) Acquire(ctx context.Context, c *lock.Caller, r *Request) (lock.Outcome, error) {
	return lock.Outcome{}, errors.ErrUnsupported
}

// Wait is the waiting call of a queued request: it stays open until the lock is
// offered, confirms it, and answers like Acquire; after timeout the lock is
// still queued. Only for the subject that made the request: lock.ErrNotYours.
func (o *Orchestrator) Wait(ctx context.Context, c *lock.Caller, id lock.ID, timeout time.Duration) (lock.Outcome, error) {
	return lock.Outcome{}, errors.ErrUnsupported
}

// Watch answers as soon as the state of a request has changed, or after the
// timeout; 0 answers at once. It changes nothing.
func (o *Orchestrator) Watch(ctx context.Context, c *lock.Caller, id lock.ID, timeout time.Duration) (lock.Lock, error) {
	return lock.Lock{}, errors.ErrUnsupported
}

// List answers what policy lets the caller see.
func (o *Orchestrator) List(ctx context.Context, c *lock.Caller, q lock.Query) (lock.Page, error) {
	return lock.Page{}, errors.ErrUnsupported
}

// Queues answers the queues that policy lets the caller see.
func (o *Orchestrator) Queues(ctx context.Context, c *lock.Caller, q lock.QueueQuery) (lock.QueuePage, error) {
	return lock.QueuePage{}, errors.ErrUnsupported
}

// Estimate is the expected rest of a wait at a place in a queue, from observed
// hold times; false while nothing was observed.
func (o *Orchestrator) Estimate(ns lock.Namespace, key lock.Key, position int) (time.Duration, bool) {
	return 0, false
}

// Renew starts the lease again; ttl nil keeps its length.
func (o *Orchestrator) Renew(ctx context.Context, c *lock.Caller, id lock.ID, token lock.Token, ttl *time.Duration) (lock.Lock, error) {
	return lock.Lock{}, errors.ErrUnsupported
}

// Verify is the fencing check.
func (o *Orchestrator) Verify(ctx context.Context, c *lock.Caller, id lock.ID, token lock.Token) (lock.Lock, error) {
	return lock.Lock{}, errors.ErrUnsupported
}

// Release ends a held lock or cancels a waiting request.
func (o *Orchestrator) Release(ctx context.Context, c *lock.Caller, id lock.ID, token lock.Token) (lock.Lock, error) {
	return lock.Lock{}, errors.ErrUnsupported
}

// Revoke ends somebody else's lock by force; action force_release.
func (o *Orchestrator) Revoke(ctx context.Context, c *lock.Caller, id lock.ID, reason string) (lock.Lock, error) {
	return lock.Lock{}, errors.ErrUnsupported
}

// EndOwner ends everything of one owner, in one namespace or, when it is empty,
// in all.
func (o *Orchestrator) EndOwner(ctx context.Context, c *lock.Caller, ns lock.Namespace, owner lock.Owner) ([]lock.Lock, error) {
	return nil, errors.ErrUnsupported
}

// Reprioritize changes the priority of a queued request.
func (o *Orchestrator) Reprioritize(ctx context.Context, c *lock.Caller, id lock.ID, p lock.Priority) (lock.Lock, error) {
	return lock.Lock{}, errors.ErrUnsupported
}

// Events answers events after a cursor that policy lets the caller see; it waits
// until there is at least one. The cursor answered is where to go on, also when
// all events were filtered out.
func (o *Orchestrator) Events(ctx context.Context, c *lock.Caller, after events.Cursor, limit int) ([]events.Event, events.Cursor, error) {
	return nil, "", errors.ErrUnsupported
}

// Tip is the cursor of the newest event.
func (o *Orchestrator) Tip(ctx context.Context) (events.Cursor, error) {
	return "", errors.ErrUnsupported
}

// Authorize asks policy whether the caller may do something to the gateway as a
// whole: admin, or read for a list of nothing in particular.
func (o *Orchestrator) Authorize(ctx context.Context, c *lock.Caller, a lock.Action) error {
	return errors.ErrUnsupported
}

// Decide asks policy without touching the lock table.
func (o *Orchestrator) Decide(ctx context.Context, q *lock.Question) (lock.Decision, error) {
	return lock.Decision{}, errors.ErrUnsupported
}

// Stats counts the lock table.
func (o *Orchestrator) Stats(ctx context.Context) (lock.Stats, error) {
	return lock.Stats{}, errors.ErrUnsupported
}
