package storetest

import (
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// do does one step. Tokens are taken from what the store answered: that they are
// the right ones is checked apart from the model.
func (w *world) do(step lock.Step) lock.Outcome {
	switch s := step.(type) {
	case *lock.Acquire:
		return w.acquire(s)
	case *lock.EndOwner:
		return w.endOwner(s)
	case *lock.Attend:
		for _, id := range s.IDs {
			if l := w.find(id); l != nil && l.State.Waiting() && (l.Attended || !s.Beat) {
				w.attend(l, s.Attendee)
			}
		}
		return lock.Outcome{}
	case *lock.Confirm:
		return w.known(s.ID, func(l *lock.Lock) lock.Outcome { return w.confirm(l, s) })
	case *lock.Refuse:
		return w.known(s.ID, w.refuse)
	case *lock.Renew:
		return w.known(s.ID, func(l *lock.Lock) lock.Outcome { return w.renew(l, s) })
	case *lock.Verify:
		return w.known(s.ID, func(l *lock.Lock) lock.Outcome { return lock.Outcome{Err: stale(l, s.Token)} })
	case *lock.Release:
		return w.known(s.ID, func(l *lock.Lock) lock.Outcome { return w.release(l, s) })
	case *lock.Revoke:
		return w.known(s.ID, w.revoke)
	case *lock.Reprioritize:
		return w.known(s.ID, func(l *lock.Lock) lock.Outcome { return w.reprioritize(l, s) })
	}
	return lock.Outcome{}
}

func (w *world) known(id lock.ID, step func(*lock.Lock) lock.Outcome) lock.Outcome {
	l := w.find(id)
	if l == nil {
		return lock.Outcome{Err: lock.ErrNotFound}
	}
	out := step(l)
	out.Lock = w.standing(l)
	return out
}

func ended(l *lock.Lock) lock.Outcome { return lock.Outcome{Err: &lock.EndedError{Lock: *l}} }

func stale(l *lock.Lock, token lock.Token) error {
	if l.State != lock.Held || l.Token != token {
		return lock.ErrStaleToken
	}
	return nil
}

func (w *world) acquire(s *lock.Acquire) lock.Outcome {
	if s.Idempotency.Key != "" {
		for call, id := range w.calls {
			if call.Key == s.Idempotency.Key && call.Hash != s.Idempotency.Hash {
				return lock.Outcome{Err: lock.ErrIdempotencyConflict}
			} else if call == s.Idempotency {
				l := w.find(id)
				w.attend(l, s.Attend)
				return lock.Outcome{Lock: w.standing(l), Repeat: true}
			}
		}
	}
	if own := w.covering(&s.Lock); own != nil {
		w.remember(s.Idempotency, own.ID)
		return lock.Outcome{Lock: *own, Repeat: true}
	}
	l := s.Lock
	l.RequestedAt = w.now
	switch {
	case w.grantable(&l):
		w.requests = append(w.requests, &l)
		w.hold(&l)
	case l.Wait == 0:
		w.happened(events.LockFailed, &l, "locked")
		return lock.Outcome{Err: &lock.ConflictError{Lock: w.standing(&l)}}
	default:
		if key, full := w.full(&l, s.MaxQueue); full {
			w.happened(events.LockFailed, &l, "queue_full")
			return lock.Outcome{Err: &lock.QueueFullError{Resource: key, Limit: s.MaxQueue}}
		}
		w.requests = append(w.requests, &l)
		l.State, l.WaitUntil = lock.Queued, w.now.Add(l.Wait)
		w.attend(&l, s.Attend)
		w.happened(events.QueuedRequest, &l, "")
	}
	w.remember(s.Idempotency, l.ID)
	return lock.Outcome{Lock: w.standing(&l)}
}

func (w *world) remember(call lock.Idempotency, id lock.ID) {
	if call.Key != "" {
		w.calls[call] = id
	}
}

func (w *world) covering(want *lock.Lock) *lock.Lock {
	var own *lock.Lock
	for _, l := range w.requests {
		if l.State == lock.Held && l.Owner == want.Owner && l.Covers(want.Resources) && (own == nil || l.ID < own.ID) {
			own = l
		}
	}
	return own
}

func (w *world) full(l *lock.Lock, limit int) (lock.Key, bool) {
	for _, r := range l.Resources {
		if limit > 0 && len(w.queue(r.Key)) >= limit {
			return r.Key, true
		}
	}
	return "", false
}

func (w *world) attend(l *lock.Lock, a lock.Attendee) {
	if !l.State.Waiting() {
		return
	}
	l.Attendance = lock.Attendance{Attended: a.Attended}
	if a.Place > 0 {
		l.AliveUntil = w.now.Add(a.Place)
	}
}

func (w *world) confirm(l *lock.Lock, s *lock.Confirm) lock.Outcome {
	switch {
	case l.State == lock.Held:
		return lock.Outcome{Repeat: true}
	case !l.State.Live():
		return ended(l)
	case l.State == lock.Queued:
		return lock.Outcome{Err: lock.ErrNotOffered}
	}
	l.TTL, l.MaxTTL = s.TTL, s.MaxTTL
	w.hold(l)
	return lock.Outcome{}
}

func (w *world) refuse(l *lock.Lock) lock.Outcome {
	switch {
	case l.State == lock.Held:
		return lock.Outcome{Err: lock.ErrNotOffered}
	case !l.State.Live():
		return ended(l)
	}
	w.end(l, lock.Denied, events.LockDenied, "")
	w.promote(l)
	return lock.Outcome{}
}

func (w *world) renew(l *lock.Lock, s *lock.Renew) lock.Outcome {
	if err := stale(l, s.Token); err != nil {
		return lock.Outcome{Err: err}
	}
	if s.TTL >= 0 {
		l.TTL = s.TTL
		if l.MaxTTL > 0 && (l.TTL == 0 || l.TTL > l.MaxTTL) {
			l.TTL = l.MaxTTL
		}
	}
	w.lease(l)
	w.happened(events.LockRenewed, l, "")
	return lock.Outcome{}
}

func (w *world) release(l *lock.Lock, s *lock.Release) lock.Outcome {
	switch {
	case l.State.Waiting():
		w.end(l, lock.Cancelled, events.LockFailed, "cancelled")
	case l.Token != s.Token:
		return lock.Outcome{Err: lock.ErrStaleToken}
	case l.State == lock.Held:
		w.end(l, lock.Released, events.LockReleased, "")
	default:
		return lock.Outcome{Repeat: true}
	}
	w.promote(l)
	return lock.Outcome{}
}

func (w *world) revoke(l *lock.Lock) lock.Outcome {
	if !l.State.Live() {
		return lock.Outcome{Repeat: true}
	}
	w.end(l, lock.Revoked, events.LockRevoked, "")
	w.promote(l)
	return lock.Outcome{}
}

func (w *world) reprioritize(l *lock.Lock, s *lock.Reprioritize) lock.Outcome {
	switch {
	case !l.State.Live():
		return ended(l)
	case l.State != lock.Queued:
		return lock.Outcome{Err: lock.ErrNotQueued}
	}
	l.Value = s.Value
	w.happened(events.LockReprioritized, l, "")
	w.promote(l)
	return lock.Outcome{}
}

func (w *world) endOwner(s *lock.EndOwner) lock.Outcome {
	out := lock.Outcome{Locks: []lock.Lock{}}
	var left []*lock.Lock
	for _, l := range w.byID() {
		if l.Owner != s.Owner || !l.State.Live() {
			continue
		}
		if l.State == lock.Held {
			w.end(l, lock.Released, events.LockReleased, "")
		} else {
			w.end(l, lock.Cancelled, events.LockFailed, "cancelled")
		}
		left = append(left, l)
		out.Locks = append(out.Locks, *l)
	}
	w.promote(left...)
	return out
}
