package embedded

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// Config says where the lock table lives and what it obeys.
type Config struct {
	Path  string     // of the file; "" keeps nothing: the table ends with the process
	Rules lock.Rules // all of them must be set, see lock.DefaultRules
}

// Validate answers all faults joined.
func (c *Config) Validate() error { return c.Rules.Validate() }

// retryAfter is what callers are told when the store is not there.
const retryAfter = time.Second

var (
	errStopped = errors.New("the store has stopped")
	errRunning = errors.New("the store runs already: Run may be called once")
)

// Store is a lock table with its event log in one process. It is safe for
// concurrent use. Calls before Run wait for it, calls after Run has ended answer
// [lock.UnavailableError].
type Store struct {
	rules   lock.Rules
	logger  *slog.Logger
	journal journal
	feed    *feed
	jobs    chan *job
	running atomic.Bool
	started chan struct{} // closed when Run begins
	stopped chan struct{} // closed when Run has ended

	table   *table // owned by Run; nil while it could not be rebuilt
	failed  error  // the last commit's, owned by Run
	backoff stamp  // after a failed commit: no timer and no trial before then
}

// job is one call: transitions to do, or a question to answer after the commit.
type job struct {
	batch    []lock.Step
	read     func(*table)
	outcomes []lock.Outcome
	err      error
	done     chan struct{}
}

// maxJobs is how many calls may wait for the running drain, and so how many one
// commit answers at most. Further ones block until their ctx ends.
const maxJobs = 1024

// Open opens the file and reads the last committed state. It starts nothing.
func Open(cfg Config, logger *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{
		rules: cfg.Rules, logger: logger, journal: volatile{}, jobs: make(chan *job, maxJobs),
		started: make(chan struct{}), stopped: make(chan struct{}),
	}
	if cfg.Path != "" {
		file, err := openFile(cfg.Path, cfg.Rules.Events)
		if err != nil {
			return nil, err
		}
		s.journal = file
	}
	loaded, err := s.journal.load()
	if err != nil {
		return nil, errors.Join(err, s.journal.close())
	}
	s.table = restore(&loaded, cfg.Rules)
	s.feed = newFeed(s.table.tip)
	return s, nil
}

// Apply implements orchestrator.Table.
func (s *Store) Apply(ctx context.Context, batch []lock.Step) ([]lock.Outcome, error) {
	j := &job{batch: batch}
	if err := s.do(ctx, j); err != nil {
		return nil, err
	}
	return j.outcomes, nil
}

// Get implements orchestrator.Table.
func (s *Store) Get(ctx context.Context, id lock.ID) (lock.Lock, error) {
	return ask(ctx, s, func(t *table) (lock.Lock, error) { return t.get(id) })
}

// List implements orchestrator.Table.
func (s *Store) List(ctx context.Context, q lock.Query) (lock.Page, error) {
	return ask(ctx, s, func(t *table) (lock.Page, error) { return t.list(&q) })
}

// Queues implements orchestrator.Table.
func (s *Store) Queues(ctx context.Context, q lock.QueueQuery) (lock.QueuePage, error) {
	return ask(ctx, s, func(t *table) (lock.QueuePage, error) { return t.queues(&q) })
}

// Facts implements orchestrator.Table.
func (s *Store) Facts(ctx context.Context, q lock.FactsQuery) ([]lock.Facts, error) {
	return ask(ctx, s, func(t *table) ([]lock.Facts, error) { return t.facts(&q), nil })
}

// Graph implements orchestrator.Tangle. It answers all namespaces as of one
// moment.
func (s *Store) Graph(ctx context.Context, q lock.GraphQuery) (deadlock.Snapshot, error) {
	return ask(ctx, s, func(t *table) (deadlock.Snapshot, error) { return t.graph(&q), nil })
}

// Deadlocks implements orchestrator.Tangle.
func (s *Store) Deadlocks(ctx context.Context) ([]lock.Deadlock, error) {
	return ask(ctx, s, func(t *table) ([]lock.Deadlock, error) { return t.newestDeadlocks(), nil })
}

// Stats implements orchestrator.Table.
func (s *Store) Stats(ctx context.Context) (lock.Stats, error) {
	return ask(ctx, s, func(t *table) (lock.Stats, error) { return t.stats(), nil })
}

// Ping implements orchestrator.Store. After a commit that failed it answers an
// error until another one succeeds; when nobody else commits, Ping tries.
func (s *Store) Ping(ctx context.Context) error {
	_, err := ask(ctx, s, func(*table) (struct{}, error) {
		if s.failed != nil {
			return struct{}{}, unavailable(s.failed)
		}
		return struct{}{}, nil
	})
	return err
}

// Tip implements events.Log.
func (s *Store) Tip(ctx context.Context) (events.Cursor, error) {
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	return cursorOf(s.feed.after(0, 0).tip), nil
}

// Events implements events.Log.
func (s *Store) Events(ctx context.Context, after events.Cursor, limit int) ([]events.Event, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	r, err := newReader(after, pageSize(limit), s.feed.after(0, 0).tip)
	if err != nil {
		return nil, err
	}
	for {
		v := s.feed.after(r.from, r.limit)
		found, err := r.read(&v, s.journal)
		if err != nil {
			return nil, unavailable(err)
		}
		if len(found) > 0 {
			return found, nil
		}
		select {
		case <-v.changed:
		case <-s.stopped:
			return nil, unavailable(errStopped)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ready waits for Run.
func (s *Store) ready(ctx context.Context) error {
	select {
	case <-s.stopped:
		return unavailable(errStopped)
	default:
	}
	select {
	case <-s.started:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask answers a question in the first moment after a commit.
func ask[T any](ctx context.Context, s *Store, read func(*table) (T, error)) (T, error) {
	var answer T
	var fault error
	j := &job{read: func(t *table) { answer, fault = read(t) }}
	if err := s.do(ctx, j); err != nil {
		var none T
		return none, err
	}
	return answer, fault
}

// do hands a job to Run and waits for its end.
func (s *Store) do(ctx context.Context, j *job) error {
	j.done = make(chan struct{})
	select {
	case s.jobs <- j:
	case <-s.stopped:
		return unavailable(errStopped)
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
	}
	select {
	case <-j.done:
		return j.err
	default:
		return unavailable(errStopped)
	}
}

func unavailable(err error) error { return &lock.UnavailableError{RetryAfter: retryAfter, Err: err} }
