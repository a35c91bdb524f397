package orchestrator_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

func TestAcquire_whatIsFreeIsHeldAtOnce(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		q := want("pr:1", "b", "a")
		q.TTL = time.Minute
		l := r.held("ann", q)
		require.Equal(t, []lock.Resource{{Key: "a"}, {Key: "b"}}, l.Resources)
		require.Equal(t, "ann", l.Subject)
		require.Positive(t, l.Token)
		require.Equal(t, l.AcquiredAt.Add(time.Minute), l.ExpiresAt)
		require.Equal(t, "decision", l.Decision.ID)
		require.Equal(t, []events.Type{events.LockAcquired}, r.types())
	})
}

func TestAcquire_reentryAnswersTheSameLock(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		first := r.held("ann", want("pr:1", "a", "b"))
		out, err := r.Acquire(r.t.Context(), caller("ann"), want("pr:1", "b"))
		require.NoError(t, err)
		require.True(t, out.Repeat)
		require.Equal(t, first.ID, out.Lock.ID)
	})
}

func TestAcquire_tryLockNamesTheHolder(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		_, err := r.Acquire(r.t.Context(), caller("bob"), want("pr:2", "a"))
		var conflict *lock.ConflictError
		require.ErrorAs(t, err, &conflict)
		require.ErrorIs(t, err, lock.ErrLocked)
		require.Equal(t, holder.ID, conflict.Lock.BlockedBy[0].ID)
		require.Contains(t, err.Error(), `"a" is locked by pr:1`)
	})
}

func TestAcquire_aDenialIsRecordedAndTouchesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		r.policy.set(func(_ *lock.Question, d *lock.Decision) error { deny(d, "frozen until Monday"); return nil })
		_, err := r.Acquire(r.t.Context(), caller("ann"), want("pr:1", "a"))
		var denied *lock.DeniedError
		require.ErrorAs(t, err, &denied)
		require.Contains(t, err.Error(), "frozen until Monday")
		require.NotEmpty(t, denied.LockID)
		require.Equal(t, []events.Type{events.LockDenied}, r.types())
		r.policy.set(nil)
		r.held("bob", want("pr:2", "a"))
	})
}

func TestAcquire_policyShortensWhatWasAsked(t *testing.T) {
	t.Parallel()
	bubble(t, func(s *setup) { s.queue.MaxTTL = time.Hour }, func(r *rig) {
		wait, queue := time.Minute, 1
		r.policy.set(func(_ *lock.Question, d *lock.Decision) error {
			d.Limits = lock.Limits{TTL: 10 * time.Minute, Wait: &wait, Queue: &queue}
			return nil
		})
		l := r.held("ann", want("pr:1", "a")) // until released, as asked; ten minutes, as allowed
		require.Equal(t, 10*time.Minute, l.TTL)
		longer, err := r.Renew(r.t.Context(), caller("ann"), l.ID, l.Token, new(24*time.Hour))
		require.NoError(t, err)
		require.Equal(t, 10*time.Minute, longer.TTL, "the cap stored at the grant holds")

		q := want("pr:2", "a")
		q.Wait = time.Hour
		out, err := r.Acquire(r.t.Context(), caller("bob"), q)
		require.NoError(t, err)
		require.Equal(t, time.Minute, out.Lock.Wait)

		q = want("pr:3", "a")
		q.Wait = time.Hour
		_, err = r.Acquire(r.t.Context(), caller("cy"), q)
		var full *lock.QueueFullError
		require.ErrorAs(t, err, &full)
		require.Equal(t, 1, full.Limit)
	})
}

func TestAcquire_configurationCapsTheLease(t *testing.T) {
	t.Parallel()
	bubble(t, func(s *setup) { s.queue.MaxTTL = time.Hour }, func(r *rig) {
		l := r.held("ann", want("pr:1", "a"))
		require.Equal(t, time.Hour, l.TTL)
	})
}

func TestAcquire_repeatFindsTheSameRequest(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		q := waiting("pr:2", "a")
		q.Idempotency = lock.Idempotency{Key: "bob/1", Hash: "x"}
		first, cancel := context.WithCancel(r.t.Context())
		gone := r.acquire(first, "bob", q)
		cancel()
		_, err := gone.result()
		require.ErrorIs(t, err, context.Canceled)

		again := r.acquire(r.t.Context(), "bob", waiting2(q))
		_, err = r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		l, err := again.result()
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
		require.True(t, again.out.Repeat)
		_, err = r.Release(r.t.Context(), caller("bob"), l.ID, l.Token)
		require.NoError(t, err)
		over, err := r.Acquire(r.t.Context(), caller("bob"), waiting2(q))
		require.NoError(t, err, "the same call, the same request, also when it is over")
		require.True(t, over.Repeat)
		require.Equal(t, lock.Released, over.Lock.State)

		other := waiting("pr:2", "b")
		other.Idempotency = lock.Idempotency{Key: "bob/1", Hash: "y"}
		_, err = r.Acquire(r.t.Context(), caller("bob"), other)
		require.ErrorIs(t, err, lock.ErrIdempotencyConflict)
	})
}

func waiting2(q *orchestrator.Request) *orchestrator.Request {
	again := *q
	return &again
}

func TestAcquire_givesBackWhatNobodyCanAskForAgain(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		ctx, cancel := context.WithCancel(r.t.Context())
		r.policy.set(func(q *lock.Question, _ *lock.Decision) error {
			if q.Stage == lock.AtGrant {
				cancel() // the caller leaves while its offer is being confirmed
			}
			return nil
		})
		holder := r.held("ann", want("pr:1", "a"))
		c := r.acquire(ctx, "bob", waiting("pr:2", "a"))
		_, err := r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		_, err = c.result()
		require.ErrorIs(t, err, context.Canceled)
		synctest.Wait()
		pass(time.Minute)
		r.policy.set(nil)
		r.held("cy", want("pr:3", "a"))
	})
}

func TestNormalize_namesEveryFault(t *testing.T) {
	t.Parallel()
	r := &orchestrator.Request{
		Namespace: lock.Namespace(strings.Repeat("n", 201)),
		Resources: []lock.Resource{{Key: "a"}, {Key: "a"}, {Key: "tab\t"}, {Key: ""}},
		Owner:     "", TTL: -1, Wait: -1, Labels: map[string]string{"": "x"}, Context: json.RawMessage(`[1]`),
	}
	var invalid *lock.InvalidError
	require.ErrorAs(t, r.Normalize(), &invalid)
	got := make([]string, len(invalid.Faults))
	for i, f := range invalid.Faults {
		got[i] = f.Pointer
	}
	require.Equal(t, []string{
		"/namespace", "/owner", "/resources/1/key", "/resources/2/key", "/resources/3/key", "/ttl", "/wait", "/labels", "/context",
	}, got)

	ok := &orchestrator.Request{Owner: "o", Resources: []lock.Resource{{Key: "b"}, {Key: "a"}}}
	require.NoError(t, ok.Normalize())
	require.Equal(t, lock.DefaultNamespace, ok.Namespace)
	require.Equal(t, lock.Key("a"), ok.Resources[0].Key)

	large := &orchestrator.Request{Owner: "o", Resources: ok.Resources, Context: json.RawMessage(`{"x":"` + strings.Repeat("y", lock.MaxAttachedBytes) + `"}`)}
	require.ErrorContains(t, large.Normalize(), "16 KiB")
	require.ErrorContains(t, (&orchestrator.Request{Owner: "o"}).Normalize(), "1 to 256")
}
