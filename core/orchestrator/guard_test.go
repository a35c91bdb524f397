package orchestrator_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

func TestStore_aShortFaultIsRiddenOut(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		r.store.set(errDown)
		c := r.acquire(r.t.Context(), "ann", want("pr:1", "a"))
		require.True(t, c.open(), "the batch is tried again")
		r.store.set(nil)
		l, err := c.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
	})
}

func TestStore_theBreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		require.NoError(t, r.Check(r.t.Context()))
		r.store.set(errDown)
		var away *lock.UnavailableError
		for range 2 { // three attempts each; five failures open the breaker
			_, err := r.Acquire(r.t.Context(), caller("ann"), want("pr:1", "a"))
			require.ErrorAs(t, err, &away)
		}
		hits := r.store.hits
		_, err := r.Acquire(r.t.Context(), caller("ann"), want("pr:1", "a"))
		require.ErrorAs(t, err, &away)
		require.Greater(t, away.RetryAfter, 5*time.Second)
		require.Equal(t, hits, r.store.hits, "nothing reaches the store while the breaker is open")
		require.Error(t, r.Check(r.t.Context()))

		require.True(t, away.Untried)
		<-r.StoreChanged()
		r.store.set(nil)
		pass(2 * time.Second) // long before the breaker's own delay is over
		for i := range 3 {
			r.held("ann", want("pr:1", lock.Key(strconv.Itoa(i))))
		}
		require.NoError(t, r.Check(r.t.Context()))
		n, err := testutil.GatherAndCount(r.reg, "lockgate_store_breaker_state", "lockgate_store_retries_total")
		require.NoError(t, err)
		require.Equal(t, 2, n)
	})
}

// hung is a store whose reads never answer.
type hung struct{ orchestrator.Store }

func (h hung) Get(ctx context.Context, _ lock.ID) (lock.Lock, error) {
	<-ctx.Done()
	return lock.Lock{}, ctx.Err()
}

func TestStore_aReadThatHangsHasADeadline(t *testing.T) {
	t.Parallel()
	bubble(t, func(s *setup) { s.wrap = func(s orchestrator.Store) orchestrator.Store { return hung{s} } }, func(r *rig) {
		var away *lock.UnavailableError
		_, err := r.Watch(r.t.Context(), caller("ann"), "01JDA2V7W8XQ4M3N5P6R7S8T9V", 0)
		require.ErrorAs(t, err, &away)
		require.True(t, away.Untried)
	})
}

// forgetful is a store that restarted empty: no read finds anything.
type forgetful struct{ orchestrator.Store }

func (forgetful) Get(context.Context, lock.ID) (lock.Lock, error) {
	return lock.Lock{}, lock.ErrNotFound
}

func TestStore_thatLostAParkedRequestMakesItsCallerAskAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(s *setup) { s.wrap = func(s orchestrator.Store) orchestrator.Store { return forgetful{s} } }, func(r *rig) {
		r.held("ann", want("pr:1", "a"))
		q := waiting("pr:2", "a")
		q.Hold = time.Second
		_, err := r.Acquire(r.t.Context(), caller("bob"), q)
		var away *lock.UnavailableError
		require.ErrorAs(t, err, &away)
	})
}

func TestStop_callsThatComeLaterAreToldSo(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		r.stop()
		_, err := r.Acquire(r.t.Context(), caller("ann"), want("pr:1", "a"))
		var away *lock.UnavailableError
		require.ErrorAs(t, err, &away)
	})
}

func TestNew_refusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	_, err := orchestrator.New(orchestrator.Config{}, orchestrator.QueueConfig{MaxTTL: -1, Aging: -1}, orchestrator.Options{})
	for _, name := range []string{
		"worker_count", "request_buffer_size", "batch_size", "max_queue_size", "aging", "offer_timeout",
		"poll_offer_timeout", "waiter_grace", "max_wait", "max_ttl",
	} {
		require.ErrorContains(t, err, name)
	}
}

func TestHammer_everyLockIsGivenBack(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	var owners sync.WaitGroup
	for i := range 16 {
		owners.Go(func() {
			for n := range 50 {
				q := waiting(fmt.Sprintf("pr:%d", i), lock.Key(strconv.Itoa(n%3)), lock.Key(strconv.Itoa(n%5)+"x"))
				out, err := r.Acquire(r.t.Context(), caller("ann"), q)
				if err != nil || out.Lock.State != lock.Held {
					t.Errorf("acquire: %v, %v", out.Lock.State, err)
					return
				}
				if _, err := r.Release(r.t.Context(), caller("ann"), out.Lock.ID, out.Lock.Token); err != nil {
					t.Errorf("release: %v", err)
					return
				}
			}
		})
	}
	owners.Wait()
	s, err := r.Stats(context.Background())
	require.NoError(t, err)
	require.Zero(t, s.Held+s.Offered)
}
