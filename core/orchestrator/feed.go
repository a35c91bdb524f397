package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

const (
	feedBatch   = 1000
	feedRetry   = time.Second // after a read of the log failed
	attendBatch = 1000        // requests a heartbeat step
)

// feed follows the event log and wakes whoever waits for what it tells. After a
// fault or a gap it reads the state of every request that a call follows: nothing
// that was missed leaves a call asleep.
func (o *Orchestrator) feed(ctx context.Context) error {
	after, err := o.store.Tip(ctx)
	if err == nil {
		o.heal(ctx) // calls were served before there was a place in the log
	}
	for ctx.Err() == nil {
		if err != nil {
			o.log.WarnContext(ctx, "reading the event log, trying again", "error", err)
			pause(ctx, feedRetry)
			o.heal(ctx)
		}
		var batch []events.Event
		batch, err = o.store.Events(ctx, after, feedBatch)
		for i := range batch {
			o.follow(ctx, &batch[i])
			after = batch[i].Cursor
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end of ctx is how Run ends, not a fault
		}
	}
	return nil
}

func (o *Orchestrator) follow(ctx context.Context, e *events.Event) {
	if e.Type == events.Gap {
		o.heal(ctx)
		return
	}
	o.waiters.tell(&e.Lock)
	o.sweeper.lessons.follow(e)
	o.sweeper.follow(e)
	if e.Before == lock.Held && !e.Lock.State.Live() {
		held := e.Lock.EndedAt.Sub(e.Lock.AcquiredAt)
		o.metrics.hold.Observe(held.Seconds())
		o.holds.observe(&e.Lock, held)
	}
}

// heartbeat keeps the places of parked requests alive and looks at each of
// them: a slow poll that heals whatever the feed may have missed.
func (o *Orchestrator) heartbeat(ctx context.Context) {
	beat := time.NewTicker(o.queue.WaiterGrace / 3)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			o.keepPlaces(ctx)
			o.heal(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (o *Orchestrator) keepPlaces(ctx context.Context) {
	ids := o.waiters.parkedIDs()
	for len(ids) > 0 {
		n := min(len(ids), attendBatch)
		beat := &lock.Attend{IDs: ids[:n], Attendee: lock.Attendee{Attended: true, Place: o.queue.WaiterGrace}, Beat: true}
		if _, err := o.submit(ctx, laneEndings, beat); err != nil {
			o.log.WarnContext(ctx, "keeping the places of parked requests", "requests", n, "error", err)
			return
		}
		ids = ids[n:]
	}
}

// heal tells every open call how its request stands when it is no longer queued.
// A call that is not parked yet reads it when it parks; whatever happens to a
// request after it was read here is in the log.
func (o *Orchestrator) heal(ctx context.Context) {
	for id, parked := range o.waiters.followed() {
		l, err := o.store.Get(ctx, id)
		switch {
		case errors.Is(err, lock.ErrNotFound):
			if parked {
				o.waiters.tell(&lock.Lock{ID: id, State: lock.TimedOut, Reason: "the request is no longer known"})
			}
		case err != nil:
			return
		case l.State != lock.Queued:
			o.waiters.tell(&l)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
