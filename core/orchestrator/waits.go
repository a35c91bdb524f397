package orchestrator

import (
	"context"
	"time"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
)

// WaitRequest declares that an owner waits for another outside of locks.
type WaitRequest struct {
	Namespace lock.Namespace // "" is lock.DefaultNamespace
	Owner     lock.Owner
	For       lock.Owner
	TTL       time.Duration // 0: lock.DefaultDeclared; at most lock.MaxDeclared
}

func (r *WaitRequest) normalize() error {
	if r.Namespace == "" {
		r.Namespace = lock.DefaultNamespace
	}
	var f faults
	f.add("/namespace", r.Namespace.Fault())
	f.add("/owner", r.Owner.Fault())
	f.add("/waits_for", r.For.Fault())
	if r.Owner == r.For {
		f.add("/waits_for", "is the owner itself")
	}
	if r.TTL < 0 || r.TTL > lock.MaxDeclared {
		f.add("/ttl", "must be between 0s and "+lock.MaxDeclared.String())
	}
	if len(f) > 0 {
		return &lock.InvalidError{Faults: f}
	}
	if r.TTL == 0 {
		r.TTL = lock.DefaultDeclared
	}
	return nil
}

// Declare lets an owner wait for another in the graph. When that closes a cycle
// a waiting lock request in it gives way; when there is none the declaration is
// refused with *lock.DeadlockError, as is every one that closes a cycle with
// deadlock.mode prevent.
func (o *Orchestrator) Declare(ctx context.Context, c *lock.Caller, r *WaitRequest) (lock.Wait, error) {
	if err := r.normalize(); err != nil {
		return lock.Wait{}, err
	}
	w := lock.Wait{
		ID: o.ids.Next(r.Namespace, time.Now()), Namespace: r.Namespace, Owner: r.Owner, For: r.For, Subject: c.Subject.ID,
	}
	_, err := o.permit(ctx, &lock.Question{
		Action: lock.ActAcquire, Caller: *c, RequestID: string(w.ID), Namespace: w.Namespace, Owner: w.Owner,
	})
	if err != nil {
		return lock.Wait{}, err
	}
	out, err := o.submit(ctx, laneNormal, &lock.Declare{Wait: w, TTL: r.TTL})
	if err != nil {
		return lock.Wait{}, err
	}
	done := o.sweeper.untangle(ctx, &occasion{from: out.SearchFrom, at: out.At, closer: w.ID})
	if cycle, refused := done.withdrawn[w.ID]; refused {
		return lock.Wait{}, &lock.DeadlockError{Cycle: cycle}
	}
	return out.Wait, nil
}

// Withdraw takes a declared wait back. Only for the subject that declared it and
// for admins: lock.ErrNotYours, lock.ErrNotFound.
func (o *Orchestrator) Withdraw(ctx context.Context, c *lock.Caller, id lock.ID) (lock.Wait, error) {
	step := &lock.Withdraw{ID: id, Subject: c.Subject.ID}
	if c.Subject.Has(lock.RoleAdmin) {
		step.Subject = ""
	}
	out, err := o.submit(ctx, laneEndings, step)
	return out.Wait, err
}

// untangle searches when a step says that it can have closed a cycle, and
// answers how the request stands then.
func (o *Orchestrator) untangle(ctx context.Context, l *lock.Lock, out lock.Outcome) (lock.Outcome, error) {
	if len(out.SearchFrom) == 0 || o.sweeper.cfg.Mode == deadlock.Off {
		return out, nil
	}
	done := o.sweeper.untangle(ctx, &occasion{from: out.SearchFrom, at: out.At, closer: out.Lock.ID})
	if done.resolved == 0 {
		return out, nil
	}
	o.sweeper.flood.Closed(l.Owner, time.Now())
	now, err := o.store.Get(ctx, out.Lock.ID)
	if err != nil {
		return out, err
	}
	out.Lock = now
	return out, nil
}

// floodgate refuses an owner that closed too many deadlocks.
func (o *Orchestrator) floodgate(owner lock.Owner) error {
	after := o.sweeper.flood.RetryAfter(owner, time.Now())
	if after == 0 {
		return nil
	}
	o.sweeper.metrics.flooded.Inc()
	return &lock.FloodError{Owner: owner, RetryAfter: after}
}
