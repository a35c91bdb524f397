package embedded

import (
	"errors"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// apply does one step. Every step first checks everything and then changes
// everything, so that an outcome with an error has changed nothing.
func (t *table) apply(step lock.Step) lock.Outcome {
	switch s := step.(type) {
	case *lock.Acquire:
		return t.acquire(s)
	case *lock.Confirm:
		return t.with(s.ID, func(e *entry) lock.Outcome { return t.confirm(e, s) })
	case *lock.Refuse:
		return t.with(s.ID, func(e *entry) lock.Outcome { return t.refuse(e, s) })
	case *lock.Renew:
		return t.with(s.ID, func(e *entry) lock.Outcome { return t.renew(e, s) })
	case *lock.Verify:
		return t.with(s.ID, func(e *entry) lock.Outcome { return lock.Outcome{Err: e.liveToken(s.Token)} })
	case *lock.Release:
		return t.with(s.ID, func(e *entry) lock.Outcome { return t.release(e, s) })
	case *lock.Revoke:
		return t.with(s.ID, func(e *entry) lock.Outcome { return t.revoke(e, s) })
	case *lock.Reprioritize:
		return t.with(s.ID, func(e *entry) lock.Outcome { return t.reprioritize(e, s) })
	case *lock.EndOwner:
		return t.endOwner(s)
	case *lock.Attend:
		for _, id := range s.IDs {
			if e := t.entries[id]; e != nil && (e.attended || !s.Beat) {
				t.attend(e, s.Attendee)
			}
		}
		return lock.Outcome{}
	case *lock.Deny:
		return t.deny(s)
	case *lock.Abort:
		return t.abort(s)
	case *lock.Reorder:
		return t.reorder(s)
	case *lock.Declare:
		return t.declare(s)
	case *lock.Withdraw:
		return t.withdraw(s)
	case *lock.Announce:
		t.append(lock.Lock{Namespace: lock.SystemNamespace}, happening{what: events.Type(s.Event), reason: s.Reason})
		return lock.Outcome{}
	}
	return lock.Outcome{Err: errors.New("the embedded store does not know this step")}
}

// with does a step on a known request and answers it as it then stands.
func (t *table) with(id lock.ID, step func(*entry) lock.Outcome) lock.Outcome {
	e := t.entries[id]
	if e == nil {
		return lock.Outcome{Err: lock.ErrNotFound}
	}
	out := step(e)
	out.Lock = t.standing(e)
	return out
}

func (e *entry) ended() error { return &lock.EndedError{Lock: e.snapshot()} }

// liveToken answers [lock.ErrStaleToken] unless e is held with that token.
func (e *entry) liveToken(token lock.Token) error {
	if e.state != lock.Held || e.token != token {
		return lock.ErrStaleToken
	}
	return nil
}

func (t *table) confirm(e *entry, s *lock.Confirm) lock.Outcome {
	switch {
	case e.state == lock.Held:
		return lock.Outcome{Repeat: true}
	case !e.state.Live():
		return lock.Outcome{Err: e.ended()}
	case e.state != lock.Offered:
		return lock.Outcome{Err: lock.ErrNotOffered}
	}
	t.update(e, func() {
		e.ttl, e.maxTTL = s.TTL, s.MaxTTL
		e.amend(func(d *details) { d.decision = cloneSummary(s.Decision) })
		t.hold(e)
	})
	t.record(e, happening{what: events.LockAcquired, before: lock.Offered})
	return lock.Outcome{}
}

func (t *table) refuse(e *entry, s *lock.Refuse) lock.Outcome {
	switch {
	case e.state == lock.Held:
		return lock.Outcome{Err: lock.ErrNotOffered}
	case !e.state.Live():
		return lock.Outcome{Err: e.ended()}
	}
	e.amend(func(d *details) { d.decision = cloneSummary(s.Decision) })
	t.end(e, lock.Denied, happening{what: events.LockDenied})
	t.promote(e)
	return lock.Outcome{}
}

func (t *table) renew(e *entry, s *lock.Renew) lock.Outcome {
	if err := e.liveToken(s.Token); err != nil {
		return lock.Outcome{Err: err}
	}
	t.reschedule(e, func() {
		if s.TTL >= 0 {
			e.ttl = capped(s.TTL, e.maxTTL)
		}
		t.lease(e)
	})
	t.record(e, happening{what: events.LockRenewed, before: lock.Held})
	return lock.Outcome{}
}

// capped bounds a lease; a lock that would have none gets the longest allowed.
func capped(ttl, limit time.Duration) time.Duration {
	if limit > 0 && (ttl == 0 || ttl > limit) {
		return limit
	}
	return ttl
}

// release ends a held lock and cancels a waiting request. Once ended, the same
// token gets the same answer: the token of one that was never held is 0.
func (t *table) release(e *entry, s *lock.Release) lock.Outcome {
	switch {
	case s.Subject != "" && e.subject != s.Subject:
		return lock.Outcome{Err: lock.ErrNotYours}
	case e.state.Waiting():
		t.end(e, lock.Cancelled, happening{what: events.LockFailed, reason: "cancelled", by: s.By})
	case e.token != s.Token:
		return lock.Outcome{Err: lock.ErrStaleToken}
	case e.state == lock.Held:
		t.end(e, lock.Released, happening{what: events.LockReleased, by: s.By})
	default:
		return lock.Outcome{Repeat: true}
	}
	t.promote(e)
	return lock.Outcome{}
}

func (t *table) revoke(e *entry, s *lock.Revoke) lock.Outcome {
	if !e.state.Live() {
		return lock.Outcome{Repeat: true}
	}
	e.amend(func(d *details) { d.reason = s.Reason })
	t.end(e, lock.Revoked, happening{what: events.LockRevoked, reason: s.Reason, by: s.By})
	t.promote(e)
	return lock.Outcome{}
}

func (t *table) reprioritize(e *entry, s *lock.Reprioritize) lock.Outcome {
	switch {
	case !e.state.Live():
		return lock.Outcome{Err: e.ended()}
	case e.state != lock.Queued:
		return lock.Outcome{Err: lock.ErrNotQueued}
	}
	t.update(e, func() {
		e.priority, e.value = level(s.Priority), value(s.Value)
		e.amend(func(d *details) { d.decision = cloneSummary(s.Decision) })
	})
	t.record(e, happening{what: events.LockReprioritized, before: lock.Queued, by: s.By})
	t.promote(e)
	return t.searchFrom(e, lock.Outcome{})
}

// endOwner ends everything of one owner before anybody else is offered anything,
// so that nobody meets a part of it.
func (t *table) endOwner(s *lock.EndOwner) lock.Outcome {
	var ended []*entry
	if all := t.live.byOwner[s.Owner]; all != nil {
		for e := range all.all() {
			if (s.Namespace == "" || e.ns.name == s.Namespace) && (s.Only == nil || slices.Contains(s.Only, e.id)) {
				ended = append(ended, e)
			}
		}
	}
	out := lock.Outcome{Locks: make([]lock.Lock, 0, len(ended))}
	for _, e := range ended {
		if e.state == lock.Held {
			t.end(e, lock.Released, happening{what: events.LockReleased, by: s.By})
		} else {
			t.end(e, lock.Cancelled, happening{what: events.LockFailed, reason: "cancelled", by: s.By})
		}
		out.Locks = append(out.Locks, e.snapshot())
	}
	t.promote(ended...)
	return out
}

// attend notes how the caller of a waiting request can be reached. An offer that
// stands keeps its end: only the next one depends on who attends.
func (t *table) attend(e *entry, a lock.Attendee) {
	if !e.state.Waiting() {
		return
	}
	t.reschedule(e, func() { e.attended, e.aliveUntil = a.Attended, t.alive(a) })
}

func (t *table) deny(s *lock.Deny) lock.Outcome {
	if faults := unwritable(&s.Lock); faults != nil {
		return lock.Outcome{Err: &lock.InvalidError{Faults: faults}}
	}
	if e := t.entries[s.Lock.ID]; e != nil { // refused was something else than the request itself
		t.record(e, happening{what: events.LockDenied, before: e.state, reason: s.Action.String(), by: s.By})
		return lock.Outcome{Lock: e.snapshot()}
	}
	denied := newEntry(t.namespace(s.Lock.Namespace), &s.Lock)
	denied.priority, denied.state = level(s.Lock.Priority), lock.Denied
	denied.requested, denied.endedAt = t.now, t.now
	t.record(denied, happening{what: events.LockDenied, reason: s.Action.String(), by: s.By})
	return lock.Outcome{Lock: denied.snapshot()}
}
