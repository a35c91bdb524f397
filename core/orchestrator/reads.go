package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

const listLimit = 1000

// Watch answers as soon as the state of a request has changed, or after the
// timeout; 0 answers at once. It changes nothing. lock.ErrNotFound,
// *lock.DeniedError.
func (o *Orchestrator) Watch(ctx context.Context, c *lock.Caller, id lock.ID, timeout time.Duration) (lock.Lock, error) {
	w := o.waiters.add(id)
	defer o.waiters.remove(w)
	l, err := o.readable(ctx, c, id)
	if err != nil || timeout <= 0 || !l.State.Live() {
		return l, err
	}
	until := time.NewTimer(timeout)
	defer until.Stop()
	for {
		select {
		case now := <-w.changed:
			if now.State == l.State {
				continue
			}
		case <-until.C:
		case <-o.drained:
		case <-ctx.Done():
			return l, ctx.Err()
		}
		return o.store.Get(ctx, id)
	}
}

// List answers what policy lets the caller see of a page; a page may be short
// and still have a next one.
func (o *Orchestrator) List(ctx context.Context, c *lock.Caller, q lock.Query) (lock.Page, error) {
	page, err := o.store.List(ctx, q)
	if err != nil {
		return page, err
	}
	page.Locks, err = o.visible(ctx, c, page.Locks)
	return page, err
}

// Find is List without policy: for doors, which must find the request that a
// call is about before they can do anything about it. What a door answers its
// caller of it must be what the call's own action entitles to.
func (o *Orchestrator) Find(ctx context.Context, q lock.Query) (lock.Page, error) {
	return o.store.List(ctx, q)
}

// Queues answers the queues of resources that policy lets the caller see.
func (o *Orchestrator) Queues(ctx context.Context, c *lock.Caller, q lock.QueueQuery) (lock.QueuePage, error) {
	page, err := o.store.Queues(ctx, q)
	if err != nil {
		return page, err
	}
	kept := page.Queues[:0]
	for _, queue := range page.Queues {
		ok, err := o.sees(ctx, &lock.Question{
			Action: lock.ActRead, Listed: true, Caller: *c, RequestID: c.RequestID, Namespace: queue.Namespace,
			Resources: []lock.Resource{{Key: queue.Resource}},
		})
		if err != nil {
			return lock.QueuePage{}, err
		}
		if ok {
			kept = append(kept, queue)
		}
	}
	page.Queues = kept
	return page, nil
}

// Events answers events after a cursor that policy lets the caller see; it waits
// until there is at least one in the log. The cursor answered is where to go on,
// also when the caller may see none of them.
func (o *Orchestrator) Events(ctx context.Context, c *lock.Caller, after events.Cursor, limit int) ([]events.Event, events.Cursor, error) {
	batch, err := o.store.Events(ctx, after, limit)
	if err != nil {
		return nil, after, err
	}
	kept := batch[:0]
	for i := range batch {
		after = batch[i].Cursor
		if batch[i].Type == events.Gap {
			kept = append(kept, batch[i])
			continue
		}
		q := about(lock.ActRead, c, &batch[i].Lock)
		q.Listed = true
		ok, err := o.sees(ctx, q)
		if err != nil {
			return nil, after, err
		}
		if ok {
			kept = append(kept, batch[i])
		}
	}
	return kept, after, nil
}

// readable answers a lock that policy lets the caller see. Whoever made a
// request sees it in any case.
func (o *Orchestrator) readable(ctx context.Context, c *lock.Caller, id lock.ID) (lock.Lock, error) {
	l, err := o.store.Get(ctx, id)
	if err != nil || l.Subject == c.Subject.ID {
		return l, err
	}
	_, err = o.permit(ctx, about(lock.ActRead, c, &l))
	return l, err
}

func (o *Orchestrator) visible(ctx context.Context, c *lock.Caller, all []lock.Lock) ([]lock.Lock, error) {
	kept := all[:0]
	for i := range all {
		q := about(lock.ActRead, c, &all[i])
		q.Listed = true
		ok, err := o.sees(ctx, q)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, all[i])
		}
	}
	return kept, nil
}

// sees tells a refusal from a policy that cannot decide.
func (o *Orchestrator) sees(ctx context.Context, q *lock.Question) (bool, error) {
	_, err := o.permit(ctx, q)
	if _, denied := errors.AsType[*lock.DeniedError](err); denied {
		return false, nil
	}
	return err == nil, err
}
