package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

// ring makes a and b hold a key each, and a wait for b's; the last request would
// close it.
func (r *rig) ring() (a *call, last *orchestrator.Request) {
	r.t.Helper()
	r.held("s", want("a", "x"))
	pass(time.Millisecond)
	r.held("s", want("b", "y"))
	return r.acquire(r.t.Context(), "s", waiting("a", "y")), waiting("b", "x")
}

// TestSweep_findsWhatASearchMissed: the step that closes a ring is done, and
// whoever did it dies before it searches.
func TestSweep_findsWhatASearchMissed(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		r.ring()
		out, err := r.store.Apply(r.t.Context(), []lock.Step{&lock.Acquire{Lock: lock.Lock{
			ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Namespace: "acme", Owner: "b", Subject: "s", Wait: time.Hour,
			Resources: []lock.Resource{{Key: "x"}}, Priority: lock.Low, Value: lock.Low.Base(),
		}}})
		require.NoError(t, err)
		require.NotEmpty(t, out[0].SearchFrom)
		pass(5 * time.Second)
		require.Zero(t, r.counter("lockgate_deadlocks_swept_total"), "somebody may be about to resolve it")
		pass(5 * time.Second)
		require.Equal(t, 1.0, r.counter("lockgate_deadlocks_swept_total"))
		l, err := r.store.Get(r.t.Context(), out[0].Lock.ID)
		require.NoError(t, err)
		require.Equal(t, lock.Victim, l.State)
		require.True(t, l.Deadlock.Swept)
	})
}

// TestSearch_thatFailsRefusesNobody: the request is queued all the same, and the
// sweep resolves the ring once the store answers.
func TestSearch_thatFailsRefusesNobody(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		_, last := r.ring()
		r.store.watch(func() error { return errDown })
		b := r.acquire(r.t.Context(), "s", last)
		require.True(t, b.open())
		require.Equal(t, 1.0, r.counter("lockgate_deadlock_searches_failed_total"))
		r.store.watch(nil)
		pass(11 * time.Second)
		require.False(t, b.open())
		var victim *lock.DeadlockError
		_, err := b.result()
		require.ErrorAs(t, err, &victim)
		require.Len(t, victim.Cycle, 2)
	})
}

// TestSearch_ringThatBreaksMeanwhile: between the read and the abort somebody
// lets go; nobody becomes a victim.
func TestSearch_ringThatBreaksMeanwhile(t *testing.T) {
	t.Parallel()
	for _, other := range []lock.Namespace{"acme", "other"} {
		bubble(t, nil, func(r *rig) {
			held := r.held("s", want("a", "x"))
			pass(time.Millisecond)
			theirs := want("b", "y")
			theirs.Namespace = other
			r.held("s", theirs)
			mine := waiting("a", "y")
			mine.Namespace = other
			a := r.acquire(r.t.Context(), "s", mine)
			letGo := sync.OnceValue(func() error {
				_, err := r.store.Store.Apply(r.t.Context(), []lock.Step{&lock.Release{ID: held.ID, Token: held.Token}})
				return err
			})
			r.store.watch(func() error { return letGo() })
			b := r.acquire(r.t.Context(), "s", waiting("b", "x"))
			require.False(t, b.open())
			l, err := b.result()
			require.NoError(t, err)
			require.Equal(t, lock.Held, l.State)
			require.True(t, a.open())
			require.Zero(t, r.counter("lockgate_deadlocks_total"))
		})
	}
}

func TestSearch_isASpanOfTheRequest(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	bubble(t, func(s *setup) { s.tracer = provider.Tracer("test") }, func(r *rig) {
		_, last := r.ring()
		_, err := r.acquire(r.t.Context(), "s", last).result()
		require.Error(t, err)
		found := 0
		for _, s := range spans.Ended() {
			if s.Name() != "deadlock.search" {
				continue
			}
			found++
			if found == 1 {
				require.Empty(t, s.Events())
				continue
			}
			require.Len(t, s.Events(), 1)
			text := fmt.Sprint(s.Events()[0].Attributes)
			require.Contains(t, text, "lowest_priority")
			require.Contains(t, text, `b waits for`)
		}
		require.Equal(t, 2, found, "a newcomer that holds nothing pays nothing")
	})
}

// TestAdaptive_learnsFromRetries: what came of a victim is told to the policy.
func TestAdaptive_learnsFromRetries(t *testing.T) {
	t.Parallel()
	bubble(t, func(s *setup) { s.deadlock.VictimPolicy = deadlock.Adaptive }, func(r *rig) {
		seen := map[string]bool{}
		for range 40 {
			r.held("s", want("a", "x"))
			pass(time.Millisecond)
			held := r.held("s", want("b", "y"))
			a := r.acquire(r.t.Context(), "s", waiting("a", "y"))
			b := r.acquire(r.t.Context(), "s", waiting("b", "x"))
			loser, owner := b, "b"
			if !a.open() {
				loser, owner = a, "a"
			}
			var victim *lock.DeadlockError
			_, err := loser.result()
			require.ErrorAs(t, err, &victim)
			seen[victim.Policy] = true
			again := waiting(owner, "z")
			again.RetryOf = victim.LockID
			require.False(t, r.acquire(r.t.Context(), "s", again).open())
			for _, o := range []lock.Owner{"a", "b"} {
				_, err = r.EndOwner(r.t.Context(), caller("s"), "", o)
				require.NoError(t, err)
			}
			_ = held
			pass(7 * time.Second) // below the flood limit
		}
		require.Greater(t, len(seen), 3, "without experience it would try the first one for ever: %v", seen)
	})
}

// TestTwoGateways_oneVictim: two gateways close one ring at the same instant;
// exactly one of the two requests gives way.
func TestTwoGateways_oneVictim(t *testing.T) {
	store := runningStore(t)
	first, second := gatewayOn(t, store, deadlock.DefaultConfig()), gatewayOn(t, store, deadlock.DefaultConfig())
	const rounds = 1000
	for i := range rounds {
		a, b := fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i)
		x, y := lock.Key(fmt.Sprintf("x%d", i)), lock.Key(fmt.Sprintf("y%d", i))
		ctx, cancel := context.WithCancel(t.Context())
		ns := lock.Namespace(a)
		in := func(q *orchestrator.Request) *orchestrator.Request { q.Namespace = ns; return q }
		for _, q := range []*orchestrator.Request{in(want(a, x)), in(want(b, y))} {
			_, err := first.Acquire(ctx, caller("s"), q)
			require.NoError(t, err)
		}
		results := make(chan error, 2)
		go func() { _, err := first.Acquire(ctx, caller("s"), in(waiting(a, y))); results <- err }()
		go func() { _, err := second.Acquire(ctx, caller("s"), in(waiting(b, x))); results <- err }()
		var victim *lock.DeadlockError
		require.ErrorAs(t, <-results, &victim, "round %d", i)
		page, err := store.List(ctx, lock.Query{States: []lock.State{lock.Victim}, Namespace: ns, Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Locks, 1, "round %d", i)
		cancel()
		require.ErrorIs(t, <-results, context.Canceled, "the other one goes on waiting")
	}
}

func runningStore(tb testing.TB) *embedded.Store {
	tb.Helper()
	store, err := embedded.Open(embedded.Config{Rules: lock.DefaultRules()}, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	run(tb, store.Run)
	return store
}

func gatewayOn(tb testing.TB, store orchestrator.Store, cfg deadlock.Config) *orchestrator.Orchestrator {
	tb.Helper()
	o, err := orchestrator.New(orchestrator.DefaultConfig(), orchestrator.DefaultQueueConfig(), orchestrator.Options{
		Store: store, Policy: &rules{}, Deadlock: cfg, OperationTimeout: 5 * time.Second,
		Logger: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider().Tracer(""), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(tb, err)
	run(tb, o.Run)
	return o
}

func run(tb testing.TB, f func(context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = f(ctx) })
	tb.Cleanup(func() { cancel(); running.Wait() })
}

// witness is a store that keeps the waits-for relation of its own, and checks
// every victim against it at the moment of its abort.
type witness struct {
	orchestrator.Store

	mu       sync.Mutex
	innocent []string
	victims  atomic.Int64
}

// Apply lets one batch through at a time, so that what is read before an abort
// is what the abort meets.
func (w *witness) Apply(ctx context.Context, batch []lock.Step) ([]lock.Outcome, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []lock.Outcome
	for _, step := range batch {
		stuck := map[lock.Owner]bool{}
		abort, isAbort := step.(*lock.Abort)
		if isAbort {
			s, err := w.Graph(ctx, lock.GraphQuery{})
			if err != nil {
				return nil, err
			}
			stuck = stuckOwners(&s)
		}
		out, err := w.Store.Apply(ctx, []lock.Step{step})
		if err != nil {
			return nil, err
		}
		if isAbort && out[0].Err == nil && !out[0].Repeat {
			w.victims.Add(int64(len(out[0].Locks)))
			for _, v := range abort.Victims {
				if !stuck[v.Owner] {
					w.innocent = append(w.innocent, string(v.Owner)+": "+v.Cycle.String())
				}
			}
		}
		all = append(all, out...)
	}
	return all, nil
}

// stuckOwners reduces the table: whoever waits for nobody finishes and lets go,
// again and again; the rest is deadlocked.
func stuckOwners(s *deadlock.Snapshot) map[lock.Owner]bool {
	edges, _ := deadlock.NewGraph(s).Edges(1 << 30)
	stuck := map[lock.Owner]bool{}
	for i := range s.Requests {
		stuck[s.Requests[i].Owner] = true
	}
	for changed := true; changed; {
		changed = false
		waits := map[lock.Owner]bool{}
		for i := range edges {
			if stuck[edges[i].From] && stuck[edges[i].To] {
				waits[edges[i].From] = true
			}
		}
		for o := range stuck {
			if !waits[o] {
				delete(stuck, o)
				changed = true
			}
		}
	}
	return stuck
}

// TestHammerDeadlocks: owners take keys in any order while others end, give up,
// expire or release by themselves. Everybody gets through, and no owner that
// could have gone on is ever made a victim.
func TestHammerDeadlocks(t *testing.T) {
	w := &witness{Store: runningStore(t)}
	cfg := deadlock.DefaultConfig()
	cfg.MaxPerOwnerPerMinute, cfg.SweepInterval = 0, 50*time.Millisecond
	gateways := []*orchestrator.Orchestrator{gatewayOn(t, w, cfg), gatewayOn(t, w, cfg)}
	const workers, rounds, keys = 8, 40, 5
	var done sync.WaitGroup
	for i := range workers {
		done.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for n := range rounds {
				hammer(t, gateways[r.IntN(2)], r, fmt.Sprintf("o%d-%d", i, n), keys)
			}
		})
	}
	done.Wait()
	require.Empty(t, w.innocent)
	require.Positive(t, w.victims.Load(), "the hammer made no deadlock")
}

// hammer takes three keys one after the other and ends in one of several ways.
func hammer(t *testing.T, g *orchestrator.Orchestrator, r *rand.Rand, owner string, keys int) {
	t.Helper()
	defer func() {
		_, err := g.EndOwner(context.Background(), caller("s"), "", lock.Owner(owner))
		if err != nil {
			t.Errorf("end %s: %v", owner, err)
		}
	}()
	for range 3 {
		q := waiting(owner, lock.Key(fmt.Sprintf("k%d", r.IntN(keys))))
		if r.IntN(4) == 0 {
			q.Resources[0].Mode = lock.Shared
		}
		if r.IntN(4) == 0 {
			q.TTL = time.Duration(1+r.IntN(5)) * time.Millisecond
		}
		ctx, cancel := context.WithCancel(context.Background())
		if r.IntN(6) == 0 {
			ctx, cancel = context.WithTimeout(context.Background(), time.Duration(r.IntN(3))*time.Millisecond)
		}
		_, err := g.Acquire(ctx, caller("s"), q)
		gone := ctx.Err() != nil
		cancel()
		var victim *lock.DeadlockError
		var ended *lock.EndedError // its lease was over before it was answered
		switch {
		case gone, errors.As(err, &victim), errors.As(err, &ended):
			return
		case err != nil:
			t.Errorf("acquire by %s: %v", owner, err)
			return
		}
	}
}

// TestMetrics_deadlockFamiliesMove: each family of the resolver is moved by what
// its help says.
func TestMetrics_deadlockFamiliesMove(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		_, last := r.ring()
		_, err := r.acquire(r.t.Context(), "s", last).result()
		require.Error(t, err)
		families, err := r.reg.Gather()
		require.NoError(t, err)
		moved := map[string]uint64{}
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "lockgate_deadlock") {
				moved[f.GetName()] = f.Metric[0].GetHistogram().GetSampleCount() + uint64(f.Metric[0].GetCounter().GetValue())
			}
		}
		require.Equal(t, uint64(3), moved["lockgate_deadlock_search_seconds"], "for the first wait, the one that closed it, and what is left")
		require.Equal(t, uint64(1), moved["lockgate_deadlock_resolution_seconds"])
		require.Equal(t, 1.0, r.counter("lockgate_deadlocks_total"))
		kinds := r.types()
		require.Equal(t, []events.Type{events.DeadlockDetected, events.LockFailed, events.DeadlockResolved}, kinds[len(kinds)-3:])
		synctest.Wait()
	})
}
