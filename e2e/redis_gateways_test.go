package e2e

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/gateway/wire"
)

func lockOf(ns, owner string, wait time.Duration, keys ...string) *wire.AcquireRequest {
	r := &wire.AcquireRequest{Namespace: ns, Owner: owner, Wait: wire.Duration(wait)}
	for _, k := range append(keys, "x")[:max(len(keys), 1)] {
		r.Resources = append(r.Resources, wire.Resource{Key: k})
	}
	return r
}

// TestGateways_anyServesAnyLock takes a lock at one gateway and does everything
// else with it at others.
func TestGateways_anyServesAnyLock(t *testing.T) {
	f := startFleet(t, 3, redistest.Start(t).URL())
	first, second, third := f.client(t, 0), f.client(t, 1), f.client(t, 2)
	held, err := first.Acquire(t.Context(), lockOf("any", "a", 0))
	require.NoError(t, err)
	_, err = second.Acquire(t.Context(), lockOf("any", "b", 0))
	require.ErrorIs(t, err, client.ErrLocked)
	verified, err := second.Verify(t.Context(), held.ID, held.Token)
	require.NoError(t, err)
	require.Equal(t, held.Acquired, verified.Acquired)
	_, err = third.Renew(t.Context(), held.ID, held.Token, nil)
	require.NoError(t, err)
	for l, err := range third.List(t.Context(), client.ListFilter{Namespace: "any"}) {
		require.NoError(t, err)
		require.Equal(t, held.ID, l.ID)
	}
	_, err = third.Release(t.Context(), held.ID, held.Token)
	require.NoError(t, err)
	_, err = first.Verify(t.Context(), held.ID, held.Token)
	require.ErrorIs(t, err, client.ErrStaleToken)
	next, err := second.Acquire(t.Context(), lockOf("any", "b", 0))
	require.NoError(t, err)
	require.Greater(t, next.Token, held.Token)
}

// waiting is a caller that stands in line.
type waiting struct {
	key    string
	queued wire.Lock       // as the gateway first answered
	ended  chan *wire.Lock // closed without a lock when the call broke
}

// stand has a caller wait at a gateway and returns when it is queued.
func stand(t *testing.T, c *client.Client, r *wire.AcquireRequest, key string) *waiting {
	t.Helper()
	w := &waiting{key: key, ended: make(chan *wire.Lock, 1)}
	queued := make(chan wire.Lock, 1)
	var once sync.Once
	go func() {
		defer close(w.ended)
		l, err := c.Acquire(t.Context(), r, client.WithIdempotencyKey(key),
			client.OnProgress(func(l *wire.Lock) { once.Do(func() { queued <- *l }) }))
		if err == nil {
			w.ended <- l
		}
	}()
	select {
	case w.queued = <-queued:
	case <-time.NewTimer(auditWithin).C:
		t.Fatal("the request was not queued")
	}
	return w
}

// TestGateways_aRepeatElsewhereFindsTheSame: the idempotency key finds the lock,
// the place and the token at another gateway.
func TestGateways_aRepeatElsewhereFindsTheSame(t *testing.T) {
	f := startFleet(t, 2, redistest.Start(t).URL())
	here, there := f.client(t, 0), f.client(t, 1)
	held, err := here.Acquire(t.Context(), lockOf("same", "a", 0), client.WithIdempotencyKey("first"))
	require.NoError(t, err)
	again, err := there.Acquire(t.Context(), lockOf("same", "a", 0), client.WithIdempotencyKey("first"))
	require.NoError(t, err)
	require.Equal(t, [2]any{held.ID, held.Token}, [2]any{again.ID, again.Token})

	b := stand(t, here, lockOf("same", "b", time.Minute), "second")
	c := stand(t, here, lockOf("same", "c", time.Minute), "third")
	elsewhere := stand(t, there, lockOf("same", "c", time.Minute), "third")
	require.Equal(t, c.queued.ID, elsewhere.queued.ID)
	require.Equal(t, 2, elsewhere.queued.Position)

	_, err = there.Release(t.Context(), held.ID, held.Token)
	require.NoError(t, err)
	next := <-b.ended
	require.NotNil(t, next)
	_, err = here.Release(t.Context(), next.ID, next.Token)
	require.NoError(t, err)
	one, other := <-c.ended, <-elsewhere.ended
	require.NotNil(t, one)
	require.NotNil(t, other)
	require.Equal(t, [2]any{one.ID, one.Token}, [2]any{other.ID, other.Token}, "both calls got the one grant")
	_, err = there.Acquire(t.Context(), lockOf("same", "c", time.Minute, "other"), client.WithIdempotencyKey("third"))
	require.ErrorIs(t, err, client.ErrIdempotencyConflict)
}

// TestGateways_parkedWaitersGoElsewhere kills a gateway with waiters: their
// callers repeat at the other one, and are granted in the order they came.
func TestGateways_parkedWaitersGoElsewhere(t *testing.T) {
	f := startFleet(t, 2, redistest.Start(t).URL())
	here, there := f.client(t, 0), f.client(t, 1)
	held, err := there.Acquire(t.Context(), lockOf("parked", "holder", 0))
	require.NoError(t, err)
	var parked []*waiting
	for i := range 10 {
		parked = append(parked, stand(t, here, lockOf("parked", fmt.Sprint("w", i), time.Minute), fmt.Sprint("key-", i)))
	}
	f.gateways[0].kill()
	var moved []*waiting
	for i, w := range parked {
		m := stand(t, there, lockOf("parked", fmt.Sprint("w", i), time.Minute), w.key)
		require.Equal(t, w.queued.ID, m.queued.ID)
		require.Equal(t, i+1, m.queued.Position)
		moved = append(moved, m)
	}
	for i, m := range moved {
		_, err = there.Release(t.Context(), held.ID, held.Token)
		require.NoError(t, err)
		next, ok := <-m.ended
		require.True(t, ok, "waiter %d", i)
		require.Greater(t, next.Token, held.Token)
		held = next
	}
}

// TestGateways_anOfferMovesOn: the lock is offered to a waiter whose gateway was
// killed; the next one, at another gateway, has it seconds later.
func TestGateways_anOfferMovesOn(t *testing.T) {
	f := startFleet(t, 2, redistest.Start(t).URL(), "--queue.offer_timeout", "1s")
	here, there := f.client(t, 0), f.client(t, 1)
	held, err := there.Acquire(t.Context(), lockOf("offer", "holder", 0))
	require.NoError(t, err)
	dead := stand(t, here, lockOf("offer", "dead", time.Minute), "dead")
	alive := stand(t, there, lockOf("offer", "alive", time.Minute), "alive")
	f.gateways[0].kill()
	released := time.Now()
	_, err = there.Release(t.Context(), held.ID, held.Token)
	require.NoError(t, err)
	offered, err := there.Get(t.Context(), dead.queued.ID, 0)
	require.NoError(t, err)
	require.Equal(t, client.Offered, offered.State, "the first in line was asked")
	next, ok := <-alive.ended
	require.True(t, ok)
	require.Less(t, time.Since(released), 5*time.Second)
	require.Greater(t, next.Token, held.Token)
}
