package orchestrator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

func TestWait_aParkedCallGetsItsTurn(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		c := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		require.True(t, c.open())
		_, err := r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		l, err := c.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
		require.Greater(t, l.Token, holder.Token)
		require.Equal(t, []events.Type{
			events.LockAcquired, events.QueuedRequest, events.LockReleased, events.LockOffered, events.LockAcquired,
		}, r.types())
	})
}

func TestWait_theCallEndsStillQueuedAndAnotherConfirms(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		out, err := r.Acquire(r.t.Context(), caller("bob"), waiting("pr:2", "a"))
		require.NoError(t, err)
		require.Equal(t, lock.Queued, out.Lock.State)
		require.Equal(t, 1, out.Lock.Position)
		require.Equal(t, holder.ID, out.Lock.BlockedBy[0].ID)

		_, err = r.Wait(r.t.Context(), caller("eve"), out.Lock.ID, time.Second)
		require.ErrorIs(t, err, lock.ErrNotYours)

		pass(2 * time.Minute) // nobody asks: it was answered 202, its place stays
		_, err = r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		pass(20 * time.Second) // an offer to a polling caller lasts 30 s
		got, err := r.Wait(r.t.Context(), caller("bob"), out.Lock.ID, 0)
		require.NoError(t, err)
		require.Equal(t, lock.Held, got.Lock.State)
	})
}

// lateLog is a store whose log cannot be followed before it is let go.
type lateLog struct {
	orchestrator.Store

	begin chan struct{}
}

func (s *lateLog) Tip(ctx context.Context) (events.Cursor, error) {
	select {
	case <-s.begin:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return s.Store.Tip(ctx)
}

func TestWait_anOfferFromBeforeTheLogIsFollowedIsSeen(t *testing.T) {
	t.Parallel()
	late := &lateLog{}
	wrap := func(s *setup) {
		late.begin = make(chan struct{})
		s.wrap = func(store orchestrator.Store) orchestrator.Store {
			late.Store = store
			return late
		}
	}
	bubble(t, wrap, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		c := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		require.True(t, c.open())
		_, err := r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		require.True(t, c.open(), "nobody tells the call")
		close(late.begin)
		synctest.Wait()
		require.False(t, c.open(), "the offer need not lapse first")
		l, err := c.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
	})
}

func TestWait_policyIsAskedAgainAtTheGrant(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		refused := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		next := r.acquire(r.t.Context(), "cy", waiting("pr:3", "a"))
		r.policy.set(func(q *lock.Question, d *lock.Decision) error {
			if q.Stage == lock.AtGrant && q.Owner == "pr:2" {
				deny(d, "a freeze began")
			}
			return nil
		})
		_, err := r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		_, err = refused.result()
		require.ErrorContains(t, err, "a freeze began")
		l, err := next.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
		ended, err := r.Watch(r.t.Context(), caller("bob"), refused.out.Lock.ID, 0)
		require.NoError(t, err)
		require.Equal(t, lock.Denied, ended.State)
	})
}

func TestWait_policyThatCannotDecideRefusesAndTheNextGetsIt(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		unlucky := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		next := r.acquire(r.t.Context(), "cy", waiting("pr:3", "a"))
		r.policy.set(func(q *lock.Question, _ *lock.Decision) error {
			if q.Stage == lock.AtGrant && q.Owner == "pr:2" {
				return &lock.PolicyError{Err: errors.New("boom")}
			}
			return nil
		})
		_, err := r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		var broken *lock.PolicyError
		_, err = unlucky.result()
		require.ErrorAs(t, err, &broken)
		l, err := next.result() // after the offer has lapsed
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
	})
}

func TestWait_aCallerThatLeavesLosesItsPlaceAfterTheGrace(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		ctx, cancel := context.WithCancel(r.t.Context())
		gone := r.acquire(ctx, "bob", waiting("pr:2", "a"))
		stays := r.acquire(r.t.Context(), "cy", waiting("pr:3", "a"))
		cancel()
		_, err := gone.result()
		require.ErrorIs(t, err, context.Canceled)
		pass(31 * time.Second)
		require.True(t, stays.open(), "heartbeats keep a parked request alive")
		_, err = r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		l, err := stays.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
	})
}

func TestWait_theWaitRunsOut(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		r.held("ann", want("pr:1", "a"))
		q := waiting("pr:2", "a")
		q.Wait = 10 * time.Second
		_, err := r.Acquire(r.t.Context(), caller("bob"), q)
		require.ErrorIs(t, err, lock.ErrLocked)
	})
}

func TestWait_theHoldersLeaseEnds(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		q := want("pr:1", "a")
		q.TTL = 5 * time.Second
		dead := r.held("ann", q)
		c := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		l, err := c.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
		_, err = r.Verify(r.t.Context(), caller("ann"), dead.ID, dead.Token)
		require.ErrorIs(t, err, lock.ErrStaleToken)
	})
}

func TestDrain_parkedCallsGoAndKeepTheirPlaces(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		c := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		r.Drain()
		_, err := c.result()
		var away *lock.UnavailableError
		require.ErrorAs(t, err, &away)
		require.Positive(t, away.RetryAfter)
		pass(5 * time.Minute)
		l, err := r.Watch(r.t.Context(), caller("bob"), c.out.Lock.ID, 0)
		require.NoError(t, err)
		require.Equal(t, lock.Queued, l.State)
		_, err = r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		out, err := r.Wait(r.t.Context(), caller("bob"), l.ID, time.Minute)
		require.NoError(t, err)
		require.Equal(t, lock.Held, out.Lock.State)
	})
}

func TestWatch_answersWhenTheStateChanges(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		l := r.held("ann", want("pr:1", "a"))
		begin := time.Now()
		same, err := r.Watch(r.t.Context(), caller("eve"), l.ID, 30*time.Second)
		require.NoError(t, err)
		require.Equal(t, lock.Held, same.State)
		require.Equal(t, 30*time.Second, time.Since(begin))

		changed := make(chan lock.Lock, 1)
		go func() {
			now, _ := r.Watch(r.t.Context(), caller("eve"), l.ID, 30*time.Second)
			changed <- now
		}()
		synctest.Wait()
		_, err = r.Release(r.t.Context(), caller("ann"), l.ID, l.Token)
		require.NoError(t, err)
		require.Equal(t, lock.Released, (<-changed).State)
	})
}
