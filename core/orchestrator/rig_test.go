package orchestrator_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

// rules is a policy of a few lines of Go: everything is allowed as asked,
// unless a rule says something else.
type rules struct {
	needs lock.Needs

	mu    sync.Mutex
	rule  func(*lock.Question, *lock.Decision) error
	asked []lock.Question
}

func (p *rules) set(rule func(*lock.Question, *lock.Decision) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = rule
}

func (p *rules) Needs() lock.Needs { return p.needs }

func (p *rules) Decide(_ context.Context, q *lock.Question) (lock.Decision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, *q)
	d := lock.Decision{Allow: true, Priority: q.Want.Priority, Value: q.Want.Priority.Base()}
	d.ID = "decision"
	if p.rule == nil {
		return d, nil
	}
	err := p.rule(q, &d)
	return d, err
}

func deny(d *lock.Decision, msg string) {
	d.Allow = false
	d.Reasons = []lock.Reason{{Policy: "test", Code: "no", Msg: msg}}
}

// shaky is a store that fails while it is told to.
type shaky struct {
	orchestrator.Store

	mu   sync.Mutex
	fail error
	hits int
	seen func() error // called after a graph was read
}

// watch has something happen between the read of a graph and what follows.
func (s *shaky) watch(seen func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = seen
}

func (s *shaky) Graph(ctx context.Context, q lock.GraphQuery) (deadlock.Snapshot, error) {
	snapshot, err := s.Store.Graph(ctx, q)
	s.mu.Lock()
	seen := s.seen
	s.mu.Unlock()
	if seen == nil || err != nil {
		return snapshot, err
	}
	return snapshot, seen()
}

func (s *shaky) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *shaky) Apply(ctx context.Context, batch []lock.Step) ([]lock.Outcome, error) {
	s.mu.Lock()
	err := s.fail
	s.hits++
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return s.Store.Apply(ctx, batch)
}

func (s *shaky) Ping(ctx context.Context) error {
	s.mu.Lock()
	err := s.fail
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.Store.Ping(ctx)
}

type rig struct {
	*orchestrator.Orchestrator

	t      *testing.T
	policy *rules
	store  *shaky
	reg    *prometheus.Registry
	stop   func()
}

type setup struct {
	config     orchestrator.Config
	queue      orchestrator.QueueConfig
	deadlock   deadlock.Config
	extensions deadlock.Extensions
	tracer     trace.Tracer
	needs      lock.Needs
	wrap       func(orchestrator.Store) orchestrator.Store
}

// bubble runs a test with a fake clock: an orchestrator on a store in memory.
func bubble(t *testing.T, adjust func(*setup), test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(start(t, adjust)) })
}

func start(t *testing.T, adjust func(*setup)) *rig {
	t.Helper()
	s := setup{config: orchestrator.DefaultConfig(), queue: orchestrator.DefaultQueueConfig(), deadlock: deadlock.DefaultConfig(), tracer: noop.NewTracerProvider().Tracer("")}
	if adjust != nil {
		adjust(&s)
	}
	log := slog.New(slog.DiscardHandler)
	store, err := embedded.Open(embedded.Config{Rules: s.queue.Rules()}, log)
	require.NoError(t, err)
	r := &rig{t: t, policy: &rules{needs: s.needs}, store: &shaky{Store: store}, reg: prometheus.NewRegistry()}
	if s.wrap != nil {
		r.store.Store = s.wrap(store)
	}
	r.Orchestrator, err = orchestrator.New(s.config, s.queue, orchestrator.Options{
		Deadlock: s.deadlock, Extensions: s.extensions,
		Store: r.store, Policy: r.policy, OperationTimeout: 5 * time.Second, Logger: log, Tracer: s.tracer, Registerer: r.reg,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	storeCtx, stopStore := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = store.Run(storeCtx) })
	var serving sync.WaitGroup
	serving.Go(func() { _ = r.Run(ctx) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		serving.Wait()
		stopStore()
		running.Wait()
	})
	t.Cleanup(r.stop)
	return r
}

func caller(id string) *lock.Caller {
	return &lock.Caller{Subject: lock.Subject{ID: id}, Actor: lock.Actor{ID: id}, RequestID: "call-" + id}
}

// want is a request of an owner for keys, in exclusive mode.
func want(owner string, keys ...lock.Key) *orchestrator.Request {
	r := &orchestrator.Request{Namespace: "acme", Owner: lock.Owner(owner)}
	for _, k := range keys {
		r.Resources = append(r.Resources, lock.Resource{Key: k})
	}
	return r
}

// waiting is want with an open call.
func waiting(owner string, keys ...lock.Key) *orchestrator.Request {
	r := want(owner, keys...)
	r.Wait, r.Hold = 10*time.Minute, time.Minute
	return r
}

func (r *rig) held(subject string, q *orchestrator.Request) lock.Lock {
	r.t.Helper()
	out, err := r.Acquire(r.t.Context(), caller(subject), q)
	require.NoError(r.t, err)
	require.Equal(r.t, lock.Held, out.Lock.State)
	return out.Lock
}

// pass lets time pass in the bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock: nothing really waits
}

// call is a call under way.
type call struct {
	done chan struct{}
	out  lock.Outcome
	err  error
}

// acquire starts a call and returns once it is parked or answered.
func (r *rig) acquire(ctx context.Context, subject string, q *orchestrator.Request) *call {
	r.t.Helper()
	c := &call{done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.out, c.err = r.Acquire(ctx, caller(subject), q)
	}()
	synctest.Wait()
	pass(time.Millisecond) // the next one comes later, in the store's time as well
	return c
}

func (c *call) open() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

func (c *call) result() (lock.Lock, error) {
	<-c.done
	return c.out.Lock, c.err
}

// types lists the events so far.
func (r *rig) types() []events.Type {
	r.t.Helper()
	all, err := r.store.Events(r.t.Context(), "", 1000)
	require.NoError(r.t, err)
	kinds := make([]events.Type, len(all))
	for i := range all {
		kinds[i] = all[i].Type
	}
	return kinds
}

var errDown = errors.New("the disk is gone")
