package orchestrator_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

func TestRelease_theHolderNeedsItsTokenAndNoPolicy(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		l := r.held("ann", want("pr:1", "a"))
		r.policy.set(func(*lock.Question, *lock.Decision) error { return &lock.PolicyError{Err: errors.New("boom")} })
		_, err := r.Release(r.t.Context(), caller("ann"), l.ID, l.Token+1)
		require.ErrorIs(t, err, lock.ErrStaleToken)
		ended, err := r.Release(r.t.Context(), caller("ann"), l.ID, l.Token)
		require.NoError(t, err)
		require.Equal(t, lock.Released, ended.State)
		again, err := r.Release(r.t.Context(), caller("ann"), l.ID, l.Token)
		require.NoError(t, err)
		require.Equal(t, lock.Released, again.State)
	})
}

func TestRelease_aStrangerNeedsPolicyAndTheToken(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		l := r.held("ann", want("pr:1", "a"))
		r.policy.set(func(q *lock.Question, d *lock.Decision) error {
			if q.Action == lock.ActRelease && q.Caller.Subject.ID == "eve" {
				deny(d, "not yours")
			}
			return nil
		})
		_, err := r.Release(r.t.Context(), caller("eve"), l.ID, l.Token)
		require.ErrorContains(t, err, "not yours")
		_, err = r.Release(r.t.Context(), caller("bob"), l.ID, 0)
		require.ErrorIs(t, err, lock.ErrStaleToken)
		ended, err := r.Release(r.t.Context(), caller("bob"), l.ID, l.Token)
		require.NoError(t, err)
		require.Equal(t, lock.Released, ended.State)
	})
}

// A refusal is an event about the request, not its end: whoever waits goes on
// waiting.
func TestRelease_aStrangerWithoutForceThrowsNobodyOut(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		c := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		page, err := r.List(r.t.Context(), caller("bob"), lock.Query{Owner: "pr:2", Limit: 1})
		require.NoError(t, err)
		r.policy.set(func(q *lock.Question, d *lock.Decision) error {
			if q.Action == lock.ActForceRelease {
				deny(d, "no force")
			}
			return nil
		})
		_, err = r.Release(r.t.Context(), caller("eve"), page.Locks[0].ID, 0)
		require.ErrorContains(t, err, "no force")
		_, err = r.EndOwner(r.t.Context(), caller("eve"), "", "pr:2")
		require.ErrorContains(t, err, "no force")
		_, err = r.Revoke(r.t.Context(), caller("eve"), page.Locks[0].ID, "because")
		require.ErrorContains(t, err, "no force")
		pass(time.Second)
		require.True(t, c.open())
		all, err := r.store.Events(r.t.Context(), "", 100)
		require.NoError(t, err)
		last := all[len(all)-1]
		require.Equal(t, events.LockDenied, last.Type)
		require.Equal(t, "eve", last.By)
		require.Equal(t, "force_release", last.Reason)
		require.Equal(t, lock.Queued, last.Lock.State)

		_, err = r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		l, err := c.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
	})
}

func TestRenew_theHolderOutlivesABrokenPolicy(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		q := want("pr:1", "a")
		q.TTL = time.Minute
		l := r.held("ann", q)
		r.policy.set(func(*lock.Question, *lock.Decision) error { return &lock.PolicyError{Err: errors.New("boom")} })
		pass(30 * time.Second)
		renewed, err := r.Renew(r.t.Context(), caller("ann"), l.ID, l.Token, nil)
		require.NoError(t, err)
		require.Equal(t, l.ExpiresAt.Add(30*time.Second), renewed.ExpiresAt)
		var broken *lock.PolicyError
		_, err = r.Renew(r.t.Context(), caller("eve"), l.ID, l.Token, nil)
		require.ErrorAs(t, err, &broken)
		r.policy.set(func(_ *lock.Question, d *lock.Decision) error { deny(d, "no longer"); return nil })
		_, err = r.Renew(r.t.Context(), caller("ann"), l.ID, l.Token, nil)
		require.ErrorContains(t, err, "no longer")
		pass(2 * time.Minute)
		r.policy.set(nil)
		_, err = r.Renew(r.t.Context(), caller("ann"), l.ID, l.Token, nil)
		require.ErrorIs(t, err, lock.ErrStaleToken)
	})
}

func TestRevoke_policySeesTheReasonAndItIsKept(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		l := r.held("ann", want("pr:1", "a"))
		r.policy.set(func(q *lock.Question, d *lock.Decision) error {
			if q.Action == lock.ActForceRelease && q.Want.Reason == "" {
				deny(d, "say why")
			}
			return nil
		})
		_, err := r.Revoke(r.t.Context(), caller("oncall"), l.ID, "")
		require.ErrorContains(t, err, "say why")
		gone, err := r.Revoke(r.t.Context(), caller("oncall"), l.ID, "runner died")
		require.NoError(t, err)
		require.Equal(t, lock.Revoked, gone.State)
		require.Equal(t, "runner died", gone.Reason)
		_, err = r.Verify(r.t.Context(), caller("ann"), l.ID, l.Token)
		require.ErrorIs(t, err, lock.ErrStaleToken)
		_, err = r.Revoke(r.t.Context(), caller("oncall"), l.ID, string(make([]byte, lock.MaxReasonBytes+1)))
		var invalid *lock.InvalidError
		require.ErrorAs(t, err, &invalid)
	})
}

func TestEndOwner_allOrNothing(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		a := r.held("ann", want("pr:1", "a"))
		b := r.held("bob", want("pr:1", "b"))
		other := r.held("ann", want("pr:2", "c"))
		r.policy.set(func(q *lock.Question, d *lock.Decision) error {
			if q.Action == lock.ActForceRelease && q.Resources[0].Key == "b" {
				deny(d, "bob's")
			}
			return nil
		})
		_, err := r.EndOwner(r.t.Context(), caller("ann"), "", "pr:1")
		require.ErrorContains(t, err, "bob's")
		_, err = r.Verify(r.t.Context(), caller("ann"), a.ID, a.Token)
		require.NoError(t, err)
		r.policy.set(nil)
		ended, err := r.EndOwner(r.t.Context(), caller("ann"), "acme", "pr:1")
		require.NoError(t, err)
		require.Len(t, ended, 2)
		_, err = r.Verify(r.t.Context(), caller("bob"), b.ID, b.Token)
		require.ErrorIs(t, err, lock.ErrStaleToken)
		_, err = r.Verify(r.t.Context(), caller("ann"), other.ID, other.Token)
		require.NoError(t, err)
		none, err := r.EndOwner(r.t.Context(), caller("ann"), "", "pr:1")
		require.NoError(t, err)
		require.Empty(t, none)
	})
}

func TestReprioritize_movesAWaitingRequestAsFarAsPolicyGrants(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		first := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		second := r.acquire(r.t.Context(), "cy", waiting("pr:3", "a"))
		page, err := r.List(r.t.Context(), caller("cy"), lock.Query{Owner: "pr:3", Limit: 10})
		require.NoError(t, err)
		moved, err := r.Reprioritize(r.t.Context(), caller("lead"), page.Locks[0].ID, lock.Critical)
		require.NoError(t, err)
		require.Equal(t, lock.Critical, moved.Priority)
		require.Equal(t, 1, moved.Position)
		_, err = r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		l, err := second.result()
		require.NoError(t, err)
		require.True(t, first.open())
		_, err = r.Reprioritize(r.t.Context(), caller("lead"), l.ID, lock.Low)
		require.ErrorIs(t, err, lock.ErrNotQueued)
		_, err = r.Release(r.t.Context(), caller("cy"), l.ID, l.Token)
		require.NoError(t, err)
		_, err = r.Reprioritize(r.t.Context(), caller("lead"), l.ID, lock.Low)
		require.ErrorIs(t, err, lock.ErrNotQueued)
		require.ErrorContains(t, err, "released")
	})
}

func TestReads_showWhatPolicyLetsTheCallerSee(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		mine := r.held("ann", want("pr:1", "open/a"))
		theirs := r.held("bob", want("pr:2", "secret/b"))
		r.policy.set(func(q *lock.Question, d *lock.Decision) error {
			if q.Action == lock.ActRead && q.Resources[0].Key == "secret/b" {
				deny(d, "secret")
			}
			return nil
		})
		page, err := r.List(r.t.Context(), caller("ann"), lock.Query{Limit: 10})
		require.NoError(t, err)
		require.Len(t, page.Locks, 1)
		require.Equal(t, mine.ID, page.Locks[0].ID)
		queues, err := r.Queues(r.t.Context(), caller("ann"), lock.QueueQuery{Limit: 10, Depth: 10})
		require.NoError(t, err)
		require.Len(t, queues.Queues, 1)
		seen, next, err := r.Events(r.t.Context(), caller("ann"), "", 10)
		require.NoError(t, err)
		require.Len(t, seen, 1)
		tip, err := r.Tip(r.t.Context())
		require.NoError(t, err)
		require.Equal(t, tip, next, "the cursor passes what was not shown")
		var denied *lock.DeniedError
		_, err = r.Watch(r.t.Context(), caller("ann"), theirs.ID, 0)
		require.ErrorAs(t, err, &denied)
		own, err := r.Watch(r.t.Context(), caller("bob"), theirs.ID, 0)
		require.NoError(t, err, "whoever made a request sees it")
		require.Equal(t, theirs.ID, own.ID)
	})
}
