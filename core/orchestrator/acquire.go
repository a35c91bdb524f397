package orchestrator

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// Acquire asks policy and then the lock table. The outcome's lock is held, or
// queued when the call was not held open long enough; Repeat says that it was so
// before. Errors: *lock.InvalidError, *lock.DeniedError, *lock.ConflictError,
// *lock.QueueFullError, *lock.BusyError, *lock.EndedError, *lock.DeadlockError,
// *lock.FloodError,
// lock.ErrIdempotencyConflict, *lock.PolicyError, *lock.UnavailableError.
func (o *Orchestrator) Acquire(ctx context.Context, c *lock.Caller, r *Request) (lock.Outcome, error) {
	p := lock.Unstated
	out, err := o.decideAndEnqueue(ctx, c, r, &p)
	o.metrics.call(lock.ActAcquire, p, &out.Lock, err)
	return out, err
}

func (o *Orchestrator) decideAndEnqueue(ctx context.Context, c *lock.Caller, r *Request, p *lock.Priority) (lock.Outcome, error) {
	if err := r.Normalize(); err != nil {
		return lock.Outcome{}, err
	}
	if err := o.floodgate(r.Owner); err != nil {
		return lock.Outcome{}, err
	}
	l := o.newLock(c, r)
	d, err := o.permit(ctx, &lock.Question{
		Action: lock.ActAcquire, Caller: *c, RequestID: string(l.ID), Namespace: l.Namespace, Resources: l.Resources,
		Owner: l.Owner, Want: lock.Want{Priority: r.Priority, TTL: r.TTL, Wait: r.Wait}, Labels: l.Labels, Context: l.Context,
	})
	if err != nil {
		return lock.Outcome{Lock: l}, o.recordDenial(ctx, c, &l, err)
	}
	*p = d.Priority
	l.Priority, l.Value, l.Preemptible, l.Decision = d.Priority, d.Value, d.Preemptible, d.Summary
	l.DeadlockAction = d.DeadlockAction
	l.TTL, l.MaxTTL = o.lease(r.TTL, d.Limits)
	l.Wait = o.longestWait(r.Wait, d.Limits)

	w := o.waiters.add(l.ID)
	defer o.waiters.remove(w)
	out, err := o.enqueue(ctx, &lock.Acquire{
		Lock: l, Idempotency: r.Idempotency, RetryOf: r.RetryOf, MaxQueue: o.longestQueue(d.Limits), Attend: o.attendee(r),
		NoStanding: r.Hold > 0, // a call that ends still queued reads it then
	})
	if err == nil {
		out, err = o.untangle(ctx, &l, out)
	}
	if err != nil {
		return out, err
	}
	out, err = o.await(ctx, &parking{caller: c, waiter: w, hold: r.Hold, place: r.Place}, out)
	if errors.Is(err, lock.ErrNotFound) { // a store that restarted empty: the caller's request is gone, and it may ask again
		err = &lock.UnavailableError{RetryAfter: time.Second, Err: errors.New("the store has lost the request")}
	}
	return o.giveBack(ctx, r, out, err)
}

// enqueue does the acquire step inside its span, whose context stays with the
// request: whoever grants it continues this trace.
func (o *Orchestrator) enqueue(ctx context.Context, s *lock.Acquire) (lock.Outcome, error) {
	ctx, span := o.tracer.Start(ctx, "lock.enqueue", trace.WithSpanKind(trace.SpanKindProducer))
	defer span.End()
	keepTrace(ctx, span, &s.Lock)
	out, err := o.submit(ctx, laneOf(s.Lock.Priority), s)
	recordError(span, err)
	return out, err
}

// giveBack releases what was granted to a caller that left meanwhile and has no
// way to ask for it again.
func (o *Orchestrator) giveBack(ctx context.Context, r *Request, out lock.Outcome, err error) (lock.Outcome, error) {
	if ctx.Err() == nil || err != nil || out.Repeat || r.Idempotency.Key != "" || out.Lock.State != lock.Held {
		return out, err
	}
	_, rerr := o.submit(context.WithoutCancel(ctx), laneEndings, &lock.Release{ID: out.Lock.ID, Token: out.Lock.Token})
	return out, errors.Join(ctx.Err(), rerr)
}

// recordDenial appends the event of a refusal and hands err on. The caller is
// refused also when that fails.
func (o *Orchestrator) recordDenial(ctx context.Context, c *lock.Caller, l *lock.Lock, err error) error {
	denied, ok := errors.AsType[*lock.DeniedError](err)
	if !ok {
		return err
	}
	step := &lock.Deny{Lock: *l, Action: denied.Action, By: by(c)}
	step.Lock.Decision = denied.Decision
	if _, derr := o.submit(ctx, laneEndings, step); derr != nil {
		o.log.WarnContext(ctx, "the event of a denial was not recorded", "decision_id", denied.Decision.ID, "error", derr)
	}
	return err
}

func (o *Orchestrator) newLock(c *lock.Caller, r *Request) lock.Lock {
	return lock.Lock{
		ID: o.ids.Next(r.Namespace, time.Now()), Namespace: r.Namespace, Resources: r.Resources, Owner: r.Owner,
		Subject: c.Subject.ID, Actor: c.Acts(), TTL: r.TTL, Wait: r.Wait,
		RequestedAt: time.Now().UTC().Truncate(time.Millisecond), Labels: r.Labels, Context: r.Context,
	}
}

// lease is the length asked for under the strictest cap, and that cap, which
// holds for renewals; 0 is no bound.
func (o *Orchestrator) lease(want time.Duration, limits lock.Limits) (ttl, longest time.Duration) {
	longest = o.queue.MaxTTL
	if limits.TTL > 0 && (longest == 0 || limits.TTL < longest) {
		longest = limits.TTL
	}
	if longest > 0 && (want == 0 || want > longest) {
		return longest, longest
	}
	return want, longest
}

func (o *Orchestrator) longestWait(want time.Duration, limits lock.Limits) time.Duration {
	want = min(want, o.queue.MaxWait)
	if limits.Wait != nil {
		want = min(want, *limits.Wait)
	}
	return want
}

func (o *Orchestrator) longestQueue(limits lock.Limits) int {
	if limits.Queue != nil {
		return min(*limits.Queue, o.queue.MaxQueueSize)
	}
	return o.queue.MaxQueueSize
}

// attendee says how the caller can be reached while the request is queued.
func (o *Orchestrator) attendee(r *Request) lock.Attendee {
	if r.Hold > 0 {
		return lock.Attendee{Attended: true, Place: o.queue.WaiterGrace}
	}
	return lock.Attendee{Place: r.Place}
}
