package orchestrator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// Options are the parts an Orchestrator is built from; all but Extensions are
// needed.
type Options struct {
	Store            Store
	Policy           Policy
	Deadlock         deadlock.Config
	Extensions       deadlock.Extensions // that choose victims; nil: none are loaded
	OperationTimeout time.Duration       // what a store call usually gets; halved or tripled by what is observed
	Logger           *slog.Logger
	Tracer           trace.Tracer
	Registerer       prometheus.Registerer
}

// Orchestrator is what doors call. It is safe for concurrent use.
type Orchestrator struct {
	cfg       Config
	queue     QueueConfig
	store     Store
	policy    Policy
	log       *slog.Logger
	tracer    trace.Tracer
	metrics   *metrics
	admission *admission
	guard     *guard
	waiters   *waiters
	holds     holdTimes
	sweeper   *sweeper // with the resolver of what steps are answered
	ids       *lock.IDs

	drain   sync.Once
	drained chan struct{} // closed by Drain: parked calls go
	stopped chan struct{} // closed when Run has ended
}

// New checks the configuration and builds; it starts nothing.
func New(cfg Config, queue QueueConfig, o Options) (*Orchestrator, error) {
	if err := errors.Join(cfg.Validate(), queue.Validate(), o.Deadlock.Validate()); err != nil {
		return nil, err
	}
	if o.OperationTimeout <= 0 {
		return nil, errors.New("operation_timeout must be larger than 0s")
	}
	m := newMetrics(o.Registerer)
	a := newAdmission(cfg.RequestBufferSize, cfg.WorkerCount)
	store := &bounded{Store: o.Store, limit: o.OperationTimeout}
	if err := o.Registerer.Register(newTableCollector(store, a)); err != nil {
		return nil, err
	}
	detector, err := deadlock.New(o.Deadlock, o.Extensions)
	if err != nil {
		return nil, err
	}
	built := &Orchestrator{
		cfg: cfg, queue: queue, store: store, policy: o.Policy, log: o.Logger, tracer: o.Tracer,
		metrics: m, admission: a, guard: newGuard(o.Store, o.OperationTimeout, o.Logger, m),
		waiters: newWaiters(m), holds: holdTimes{byKey: make(map[string]time.Duration)}, ids: lock.NewIDs(),
		drained: make(chan struct{}), stopped: make(chan struct{}),
	}
	built.sweeper = newSweeper(&resolver{
		cfg: o.Deadlock, detector: detector, flood: deadlock.NewFlood(&o.Deadlock), lessons: newLessons(detector.Learn),
		store: store, submit: built.submit, metrics: newDeadlockMetrics(o.Registerer), tracer: o.Tracer, log: o.Logger,
	})
	return built, nil
}

// Run starts the workers and the feed and blocks until ctx ends and what was
// under way has its outcome. It runs once.
func (o *Orchestrator) Run(ctx context.Context) error {
	defer close(o.stopped)
	defer o.Drain()
	var g errgroup.Group
	for range o.cfg.WorkerCount {
		g.Go(func() error { o.work(ctx); return nil })
	}
	g.Go(func() error { return o.feed(ctx) })
	g.Go(func() error { o.heartbeat(ctx); return nil })
	g.Go(func() error { o.sweeper.run(ctx); return nil })
	g.Go(func() error { o.guard.probe(ctx, o.store); return nil })
	return g.Wait()
}

// Drain answers every parked call with *lock.UnavailableError; their requests
// keep their places. Calls that come later are served but never parked.
func (o *Orchestrator) Drain() { o.drain.Do(func() { close(o.drained) }) }

// Check answers nil while transitions can be done.
func (o *Orchestrator) Check(ctx context.Context) error {
	if o.guard.breaker.IsOpen() {
		return errors.New("the store's circuit breaker is open")
	}
	return o.store.Ping(ctx)
}

// StoreChanged has a value after the store began to fail or to work again, so
// that Check is worth asking at once.
func (o *Orchestrator) StoreChanged() <-chan struct{} { return o.guard.changed }

// Announce appends an event that is about no lock.
func (o *Orchestrator) Announce(ctx context.Context, what events.Type, reason string) error {
	_, err := o.submit(ctx, laneEndings, &lock.Announce{Event: string(what), Reason: reason})
	return err
}

// Stats counts the lock table.
func (o *Orchestrator) Stats(ctx context.Context) (lock.Stats, error) { return o.store.Stats(ctx) }

// Tip is the cursor of the newest event.
func (o *Orchestrator) Tip(ctx context.Context) (events.Cursor, error) { return o.store.Tip(ctx) }

// Decide asks policy without touching the lock table; a refusal is no error.
func (o *Orchestrator) Decide(ctx context.Context, q *lock.Question) (lock.Decision, error) {
	q.DryRun = true
	return o.ask(ctx, q)
}

// Authorize asks policy whether the caller may do something to the gateway as a
// whole: *lock.DeniedError when not.
func (o *Orchestrator) Authorize(ctx context.Context, c *lock.Caller, a lock.Action) error {
	_, err := o.permit(ctx, &lock.Question{Action: a, Caller: *c, RequestID: c.RequestID})
	return err
}

// ask completes a question with the time and the facts that the policies read.
func (o *Orchestrator) ask(ctx context.Context, q *lock.Question) (lock.Decision, error) {
	q.Time = time.Now()
	if o.policy.Needs().Any() && len(q.Resources) > 0 && q.Facts == nil {
		facts, err := o.store.Facts(ctx, lock.FactsQuery{
			Namespace: q.Namespace, Resources: q.Resources, Owner: q.Owner, Subject: q.Caller.Subject.ID,
		})
		if err != nil {
			return lock.Decision{}, err
		}
		q.Facts = facts
	}
	return o.policy.Decide(ctx, q)
}

// permit asks and turns a refusal into *lock.DeniedError.
func (o *Orchestrator) permit(ctx context.Context, q *lock.Question) (lock.Decision, error) {
	d, err := o.ask(ctx, q)
	if err != nil {
		return d, err
	}
	if !d.Allow {
		denied := &lock.DeniedError{Action: q.Action, Decision: d.Summary}
		if len(q.Resources) > 0 {
			denied.LockID = lock.ID(q.RequestID)
		}
		return d, denied
	}
	return d, nil
}

// about is a question about an existing request.
func about(a lock.Action, c *lock.Caller, l *lock.Lock) *lock.Question {
	return &lock.Question{
		Action: a, Caller: *c, RequestID: string(l.ID), Namespace: l.Namespace, Resources: l.Resources, Owner: l.Owner,
		Want:   lock.Want{Priority: l.Priority, TTL: l.TTL, Wait: l.Wait},
		Labels: l.Labels, Context: l.Context,
	}
}

func stoppedError() error {
	return &lock.UnavailableError{RetryAfter: time.Second, Untried: true, Err: errors.New("the gateway is stopping")}
}
