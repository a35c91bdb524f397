package orchestrator_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

func unlimited() deadlock.Config {
	cfg := deadlock.DefaultConfig()
	cfg.MaxPerOwnerPerMinute = 0
	return cfg
}

// crowd makes owners that each hold a key of their own and wait for one of ten.
func crowd(b *testing.B, store *embedded.Store, owners int) {
	b.Helper()
	acquire := func(owner string, wait time.Duration, key string, n int) {
		out, err := store.Apply(b.Context(), []lock.Step{&lock.Acquire{Lock: lock.Lock{
			ID: lock.ID(fmt.Sprintf("01%024d", n)), Namespace: "acme", Owner: lock.Owner(owner), Subject: "s", Wait: wait,
			Resources: []lock.Resource{{Key: lock.Key(key)}}, Priority: lock.Normal, Value: lock.Normal.Base(),
		}}})
		require.NoError(b, err)
		require.NoError(b, out[0].Err)
	}
	for i := range 10 {
		acquire(fmt.Sprintf("busy%d", i), 0, fmt.Sprintf("hot%d", i), i)
	}
	for i := range owners {
		acquire(fmt.Sprintf("crowd%d", i), 0, fmt.Sprintf("own%d", i), 100+2*i)
		acquire(fmt.Sprintf("crowd%d", i), time.Hour, fmt.Sprintf("hot%d", i%10), 101+2*i)
	}
}

// BenchmarkClosingRing measures from the request that closes a ring of some
// owners to the answer of the victim, in a namespace where 10,000 owners wait.
func BenchmarkClosingRing(b *testing.B) {
	for _, size := range []int{2, 10} {
		b.Run(fmt.Sprintf("owners=%d", size), func(b *testing.B) {
			store := runningStore(b)
			g := gatewayOn(b, store, unlimited())
			crowd(b, store, 10_000)
			took := make([]time.Duration, 0, b.N)
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				ctx, cancel := context.WithCancel(b.Context())
				last := openRing(ctx, b, g, n, size)
				b.StartTimer()
				began := time.Now()
				_, err := g.Acquire(ctx, caller("s"), last)
				took = append(took, time.Since(began))
				b.StopTimer()
				var victim *lock.DeadlockError
				require.ErrorAs(b, err, &victim)
				cancel()
				for i := range size {
					_, err := g.EndOwner(b.Context(), caller("s"), "", lock.Owner(fmt.Sprintf("r%d-%d", n, i)))
					require.NoError(b, err)
				}
				b.StartTimer()
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// openRing makes all of a ring but the request that closes it, which it answers.
// The last owner has the lowest priority and is the victim.
func openRing(ctx context.Context, b *testing.B, g *orchestrator.Orchestrator, n, size int) *orchestrator.Request {
	b.Helper()
	owner := func(i int) string { return fmt.Sprintf("r%d-%d", n, i) }
	key := func(i int) lock.Key { return lock.Key(fmt.Sprintf("ring%d-%d", n, i%size)) }
	for i := range size {
		q := want(owner(i), key(i))
		q.Priority = lock.Low
		if i < size-1 {
			q.Priority = lock.High
		}
		_, err := g.Acquire(ctx, caller("s"), q)
		require.NoError(b, err)
	}
	for i := range size - 1 {
		q := want(owner(i), key(i+1))
		q.Wait, q.Priority = time.Hour, lock.High
		_, err := g.Acquire(ctx, caller("s"), q)
		require.NoError(b, err)
	}
	last := want(owner(size-1), key(size))
	last.Wait, last.Priority = time.Hour, lock.Low
	return last
}

// BenchmarkNewcomer is what a request costs that enters the queue of a busy key
// and holds nothing: it is not searched for.
func BenchmarkNewcomer(b *testing.B) {
	for _, mode := range []deadlock.Mode{deadlock.Detect, deadlock.Off} {
		b.Run("mode="+mode.String(), func(b *testing.B) {
			store := runningStore(b)
			cfg := unlimited()
			cfg.Mode = mode
			g := gatewayOn(b, store, cfg)
			crowd(b, store, 500)
			for n := 0; b.Loop(); n++ {
				q := want(fmt.Sprintf("new%d", n), "hot0")
				q.Wait = time.Hour
				out, err := g.Acquire(b.Context(), caller("s"), q)
				require.NoError(b, err)
				_, err = g.Release(b.Context(), caller("s"), out.Lock.ID, 0)
				require.NoError(b, err)
			}
		})
	}
}

// BenchmarkPairs is the throughput of 50 owners that take pairs of keys, with
// and without a deadlock in 1 % of them.
func BenchmarkPairs(b *testing.B) {
	crossings := map[int]int64{0: 0, 1: 100}
	for _, percent := range []int{0, 1} {
		b.Run(fmt.Sprintf("deadlocks=%d%%", percent), func(b *testing.B) {
			g := gatewayOn(b, runningStore(b), unlimited())
			var next atomic.Int64
			var victims atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range 25 {
				all.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						victims.Add(pair(b, g, n, crossings[percent]))
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(victims.Load())/float64(b.N)*100, "%victims")
		})
	}
}

// pair lets two owners take two keys each, in the same order or, for a deadlock
// in every so many pairs, in opposite ones. It answers how many gave way and came again.
func pair(b *testing.B, g *orchestrator.Orchestrator, n, every int64) int64 {
	b.Helper()
	crossed := every > 0 && n%every == 0
	x, y := lock.Key(fmt.Sprintf("x%d", n)), lock.Key(fmt.Sprintf("y%d", n))
	var victims atomic.Int64
	var both sync.WaitGroup
	var met sync.WaitGroup
	met.Add(2)
	one := func(owner string, first, second lock.Key) {
		release := func() {
			if _, err := g.EndOwner(b.Context(), caller("s"), "acme", lock.Owner(owner)); err != nil {
				b.Error(err)
			}
		}
		defer release()
		for attempt := 0; ; attempt++ {
			_, err := g.Acquire(b.Context(), caller("s"), waiting(owner, first))
			if attempt == 0 && crossed {
				met.Done()
				met.Wait()
			}
			if err == nil {
				_, err = g.Acquire(b.Context(), caller("s"), waiting(owner, second))
			}
			if err == nil {
				return
			}
			victims.Add(1)
			release()
		}
	}
	both.Go(func() { one(fmt.Sprintf("a%d", n), x, y) })
	both.Go(func() {
		if crossed {
			one(fmt.Sprintf("b%d", n), y, x)
			return
		}
		one(fmt.Sprintf("b%d", n), x, y)
	})
	both.Wait()
	return victims.Load()
}
