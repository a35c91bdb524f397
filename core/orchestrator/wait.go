package orchestrator

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// parking is one call that stays open while its request is queued.
type parking struct {
	caller *lock.Caller
	waiter *waiter
	hold   time.Duration // from now; 0: not parked at all
	place  time.Duration // as Request.Place
}

// Wait is the waiting call of a queued request: it stays open until the lock is
// offered, confirms it, and answers like Acquire; after the timeout the lock is
// still queued. Only for the subject that made the request: lock.ErrNotYours.
func (o *Orchestrator) Wait(ctx context.Context, c *lock.Caller, id lock.ID, timeout time.Duration) (lock.Outcome, error) {
	w := o.waiters.add(id)
	defer o.waiters.remove(w)
	l, err := o.store.Get(ctx, id)
	if err != nil {
		return lock.Outcome{}, err
	}
	if l.Subject != c.Subject.ID {
		return lock.Outcome{}, lock.ErrNotYours
	}
	if l.State == lock.Queued && timeout > 0 {
		if err := o.attend(ctx, lock.Attendee{Attended: true, Place: o.queue.WaiterGrace}, id); err != nil {
			return lock.Outcome{Lock: l}, err
		}
	}
	return o.await(ctx, &parking{caller: c, waiter: w, hold: timeout}, lock.Outcome{Lock: l})
}

// await follows a request until it is held, has ended, or the call's time is
// up.
func (o *Orchestrator) await(ctx context.Context, p *parking, out lock.Outcome) (lock.Outcome, error) {
	if out.Lock.ID != p.waiter.id { // an idempotent replay: the request has another id than the call's
		o.waiters.rename(p.waiter, out.Lock.ID)
		l, err := o.store.Get(ctx, out.Lock.ID)
		if err != nil {
			return out, err
		}
		out.Lock = l
	}
	until := time.NewTimer(p.hold)
	defer until.Stop()
	for {
		switch out.Lock.State {
		case lock.Held:
			return out, nil
		case lock.Offered:
			granted, err := o.grant(ctx, p.caller, &out.Lock)
			if !errors.Is(err, lock.ErrNotOffered) {
				granted.Repeat = granted.Repeat || out.Repeat
				return granted, err
			}
			out.Lock = granted.Lock // the offer lapsed first
		case lock.Queued:
			if p.hold == 0 {
				return out, nil
			}
			l, open, err := o.park(ctx, p, &out.Lock, until.C)
			out.Lock = l
			if err != nil || (!open && l.State == lock.Queued) {
				return out, err
			}
		case lock.Released, lock.Expired, lock.Revoked, lock.Cancelled:
			if out.Repeat { // a replay: the same call gets the same request, also when it is over
				return out, nil
			}
			return out, ended(&out.Lock)
		case lock.TimedOut, lock.Victim, lock.Denied:
			return out, ended(&out.Lock)
		default:
			return out, &lock.EndedError{Lock: out.Lock}
		}
	}
}

// park waits until something happened to the request. It answers the request as
// it is then, and whether the call may stay open.
func (o *Orchestrator) park(ctx context.Context, p *parking, l *lock.Lock, until <-chan time.Time) (lock.Lock, bool, error) {
	o.waiters.park(p.waiter)
	defer o.waiters.unpark(p.waiter)
	select {
	case changed := <-p.waiter.changed:
		return changed, true, nil
	case <-until:
		return o.leave(ctx, l, p.place)
	case <-o.drained:
		left, open, err := o.leave(ctx, l, p.place)
		if err == nil && left.State == lock.Queued {
			err = stoppedError()
		}
		return left, open, err
	case <-ctx.Done():
		// The caller is gone; it may come back within the grace, here or at another gateway.
		// Until then its offers are as short as an open call's: the next waiter must not
		// stand behind somebody who left.
		err := o.attend(context.WithoutCancel(ctx), lock.Attendee{Attended: true, Place: o.queue.WaiterGrace}, l.ID)
		return *l, false, errors.Join(ctx.Err(), err)
	}
}

// leave ends an open call: the caller will be told that it is still queued. An
// offer that came in the same moment is seen by the read after the step.
func (o *Orchestrator) leave(ctx context.Context, l *lock.Lock, place time.Duration) (lock.Lock, bool, error) {
	if err := o.attend(ctx, lock.Attendee{Place: place}, l.ID); err != nil {
		return *l, false, err
	}
	now, err := o.store.Get(ctx, l.ID)
	return now, false, err
}

func (o *Orchestrator) attend(ctx context.Context, a lock.Attendee, id lock.ID) error {
	_, err := o.submit(ctx, laneEndings, &lock.Attend{IDs: []lock.ID{id}, Attendee: a})
	return err
}

// grant asks policy again, at the grant, and confirms the offer.
// lock.ErrNotOffered says that the offer lapsed before; the outcome's lock is
// then the request as it is.
func (o *Orchestrator) grant(ctx context.Context, c *lock.Caller, l *lock.Lock) (lock.Outcome, error) {
	ctx, links := o.drawWait(ctx, l)
	ctx, span := o.tracer.Start(ctx, "lock.grant", trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(links...))
	defer span.End()
	q := about(lock.ActAcquire, c, l)
	q.Stage = lock.AtGrant
	d, err := o.permit(ctx, q)
	if denied, ok := errors.AsType[*lock.DeniedError](err); ok {
		out, rerr := o.submit(ctx, laneEndings, &lock.Refuse{ID: l.ID, Decision: denied.Decision})
		if rerr != nil {
			recordError(span, rerr)
			return out, rerr
		}
	}
	if err != nil {
		recordError(span, err)
		return lock.Outcome{Lock: *l}, err
	}
	ttl, longest := o.lease(l.TTL, d.Limits)
	out, err := o.submit(ctx, laneEndings, &lock.Confirm{ID: l.ID, TTL: ttl, MaxTTL: longest, Decision: d.Summary})
	if err == nil {
		o.metrics.wait.WithLabelValues(l.Priority.String()).Observe(out.Lock.AcquiredAt.Sub(out.Lock.RequestedAt).Seconds())
	}
	if over, ok := errors.AsType[*lock.EndedError](err); ok {
		err = ended(&over.Lock)
	}
	recordError(span, err)
	return out, err
}

// ended is the error of a waiting call whose request is over.
func ended(l *lock.Lock) error {
	switch l.State {
	case lock.TimedOut:
		return &lock.ConflictError{Lock: *l}
	case lock.Denied:
		return &lock.DeniedError{LockID: l.ID, Action: lock.ActAcquire, Decision: l.Decision}
	case lock.Victim:
		gaveWay := &lock.DeadlockError{LockID: l.ID}
		if l.Deadlock != nil {
			gaveWay.Cycle, gaveWay.Policy = l.Deadlock.Cycle, l.Deadlock.Policy
		}
		return gaveWay
	case lock.Released, lock.Expired, lock.Revoked, lock.Cancelled, lock.Queued, lock.Offered, lock.Held:
		return &lock.EndedError{Lock: *l}
	}
	return &lock.EndedError{Lock: *l}
}
