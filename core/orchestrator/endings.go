package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Renew starts the lease again; ttl nil keeps its length. A holder renews also
// while policy cannot decide: the cap stored at the grant holds in any case.
// lock.ErrStaleToken, lock.ErrNotFound, *lock.DeniedError.
func (o *Orchestrator) Renew(ctx context.Context, c *lock.Caller, id lock.ID, token lock.Token, ttl *time.Duration) (lock.Lock, error) {
	return o.counted(lock.ActRenew, func() (lock.Lock, error) {
		l, err := o.store.Get(ctx, id)
		if err != nil {
			return l, err
		}
		_, err = o.permit(ctx, about(lock.ActRenew, c, &l))
		if _, broken := errors.AsType[*lock.PolicyError](err); broken && l.Subject == c.Subject.ID {
			o.log.WarnContext(ctx, "policy could not decide, the holder renews all the same", "lock_id", id, "error", err)
			err = nil
		}
		if err != nil {
			return l, o.recordDenial(ctx, c, &l, err)
		}
		step := &lock.Renew{ID: id, Token: token, TTL: -1}
		if ttl != nil {
			step.TTL = *ttl
		}
		out, err := o.submit(ctx, laneEndings, step)
		return out.Lock, err
	})
}

// Verify is the fencing check for whatever guards a resource: nil while the
// token is the live one, else lock.ErrStaleToken. The caller must be allowed to
// read the lock.
func (o *Orchestrator) Verify(ctx context.Context, c *lock.Caller, id lock.ID, token lock.Token) (lock.Lock, error) {
	return o.counted(lock.ActRead, func() (lock.Lock, error) {
		l, err := o.readable(ctx, c, id)
		if err != nil {
			return l, err
		}
		out, err := o.submit(ctx, laneEndings, &lock.Verify{ID: id, Token: token})
		return out.Lock, err
	})
}

// Release ends a held lock whose token is given, or cancels a request that
// still waits. Policy is asked only when the caller is not the subject that
// made the request: for release when the lock is held, as the token shows that
// this grant is meant; for force_release when it waits and there is no token.
func (o *Orchestrator) Release(ctx context.Context, c *lock.Caller, id lock.ID, token lock.Token) (lock.Lock, error) {
	return o.counted(lock.ActRelease, func() (lock.Lock, error) {
		step := &lock.Release{ID: id, Token: token, Subject: c.Subject.ID}
		out, err := o.submit(ctx, laneEndings, step)
		if !errors.Is(err, lock.ErrNotYours) {
			if err == nil && !out.Repeat {
				o.drawHold(ctx, &out.Lock)
			}
			return out.Lock, err
		}
		action := lock.ActRelease
		if out.Lock.State.Waiting() {
			action = lock.ActForceRelease
		}
		if _, err := o.permit(ctx, about(action, c, &out.Lock)); err != nil {
			return out.Lock, o.recordDenial(ctx, c, &out.Lock, err)
		}
		out, err = o.submit(ctx, laneEndings, &lock.Release{ID: id, Token: token, By: by(c)})
		return out.Lock, err
	})
}

// Revoke ends somebody else's lock or request by force, action force_release;
// the reason is kept.
func (o *Orchestrator) Revoke(ctx context.Context, c *lock.Caller, id lock.ID, reason string) (lock.Lock, error) {
	return o.counted(lock.ActForceRelease, func() (lock.Lock, error) {
		if len(reason) > lock.MaxReasonBytes {
			return lock.Lock{}, lock.Invalid("reason", "is too long")
		}
		l, err := o.store.Get(ctx, id)
		if err != nil {
			return l, err
		}
		q := about(lock.ActForceRelease, c, &l)
		q.Want.Reason = reason
		if _, err := o.permit(ctx, q); err != nil {
			return l, o.recordDenial(ctx, c, &l, err)
		}
		out, err := o.submit(ctx, laneEndings, &lock.Revoke{ID: id, By: by(c), Reason: reason})
		return out.Lock, err
	})
}

// EndOwner ends everything of one owner, in one namespace or, when it is empty,
// in all, and answers what it ended. There are no tokens, so for what another
// subject asked for policy is asked for force_release; when it refuses one of
// them nothing is ended.
func (o *Orchestrator) EndOwner(ctx context.Context, c *lock.Caller, ns lock.Namespace, owner lock.Owner) ([]lock.Lock, error) {
	if fault := owner.Fault(); fault != "" {
		return nil, lock.Invalid("owner", fault)
	}
	permitted, err := o.endable(ctx, c, lock.Query{Namespace: ns, Owner: owner, Limit: listLimit})
	if err != nil {
		return nil, err
	}
	out, err := o.submit(ctx, laneEndings, &lock.EndOwner{Namespace: ns, Owner: owner, Only: permitted, By: by(c)})
	for i := range out.Locks {
		o.metrics.call(lock.ActRelease, out.Locks[i].Priority, &out.Locks[i], nil)
	}
	return out.Locks, err
}

// endable names the requests that the caller may end.
func (o *Orchestrator) endable(ctx context.Context, c *lock.Caller, q lock.Query) ([]lock.ID, error) {
	permitted := []lock.ID{}
	for {
		page, err := o.store.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Locks {
			l := &page.Locks[i]
			if l.Subject != c.Subject.ID {
				question := about(lock.ActForceRelease, c, l)
				question.Want.Reason = "everything of " + string(l.Owner) + " is ended"
				if _, err := o.permit(ctx, question); err != nil {
					return nil, o.recordDenial(ctx, c, l, err)
				}
			}
			permitted = append(permitted, l.ID)
		}
		if q.After = page.Next; q.After == "" {
			return permitted, nil
		}
	}
}

// Reprioritize changes the priority of a queued request as far as policy grants
// it; lock.ErrNotQueued.
func (o *Orchestrator) Reprioritize(ctx context.Context, c *lock.Caller, id lock.ID, p lock.Priority) (lock.Lock, error) {
	return o.counted(lock.ActReprioritize, func() (lock.Lock, error) {
		l, err := o.store.Get(ctx, id)
		if err != nil {
			return l, err
		}
		q := about(lock.ActReprioritize, c, &l)
		q.Want.Priority = p
		d, err := o.permit(ctx, q)
		if err != nil {
			return l, o.recordDenial(ctx, c, &l, err)
		}
		out, err := o.submit(ctx, laneEndings, &lock.Reprioritize{
			ID: id, Priority: d.Priority, Value: d.Value, Decision: d.Summary, By: by(c),
		})
		if err == nil {
			out, err = o.untangle(ctx, &l, out)
		}
		if _, over := errors.AsType[*lock.EndedError](err); over {
			err = fmt.Errorf("%w: it has ended: %s", lock.ErrNotQueued, out.Lock.State)
		}
		return out.Lock, err
	})
}

func (o *Orchestrator) counted(a lock.Action, do func() (lock.Lock, error)) (lock.Lock, error) {
	l, err := do()
	o.metrics.call(a, l.Priority, &l, err)
	if errors.Is(err, lock.ErrStaleToken) {
		err = &lock.StaleTokenError{Lock: l}
	}
	return l, err
}

// by names who does something to a lock that may not be theirs.
func by(c *lock.Caller) string {
	if a := c.Acts(); a != "" {
		return a + " (by " + c.Subject.ID + ")"
	}
	return c.Subject.ID
}
