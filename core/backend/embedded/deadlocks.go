package embedded

import (
	"slices"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// keptDeadlocks is how many of the newest deadlocks are kept.
const keptDeadlocks = 100

// stands reports whether every edge of a cycle is in the table.
func (t *table) stands(c lock.Cycle) bool {
	for i := range c {
		if !t.has(&c[i]) {
			return false
		}
	}
	return len(c) > 0
}

func (t *table) has(e *lock.Edge) bool {
	if e.Kind == lock.Declared {
		w := t.declared.byID[e.Request]
		return w != nil && w.Owner == e.From && w.For == e.To
	}
	r, b := t.entries[e.Request], t.entries[e.Blocker]
	switch {
	case r == nil || b == nil || r.ns != b.ns,
		r.state != lock.Queued || r.owner != e.From,
		b.owner != e.To || b.token != e.Token,
		!r.wants(e.Resource) || !b.wants(e.Resource) || !r.mode(e.Resource).Conflicts(b.mode(e.Resource)):
		return false
	case e.Kind == lock.Hard:
		return b.state == lock.Held || b.state == lock.Offered
	}
	return b.state == lock.Queued && byScore(b, r)
}

// abort ends all waits of all victims before anybody is offered anything.
func (t *table) abort(s *lock.Abort) lock.Outcome {
	if again := t.abortedBefore(s); again != nil {
		return lock.Outcome{Locks: again, Repeat: true}
	}
	for i := range s.Victims {
		if !t.stands(s.Victims[i].Cycle) {
			return lock.Outcome{Err: lock.ErrBroken}
		}
	}
	record := t.keep(s.Deadlock, s.Namespace)
	var ended, taken []*entry
	for i := range s.Victims {
		waits := t.waitsOf(&s.Victims[i])
		if slices.ContainsFunc(waits, func(e *entry) bool { return e.deadlockAction == lock.RevokeLocks }) {
			taken = append(taken, t.preemptible(&s.Victims[i])...)
		}
		ended = append(ended, waits...)
	}
	for _, e := range ended {
		e.amend(func(d *details) { d.reason, d.deadlock = "deadlock", record })
	}
	if len(ended) > 0 {
		t.record(ended[0], happening{what: events.DeadlockDetected, before: lock.Queued, reason: string(record.Resolution)})
	}
	for _, e := range ended {
		t.end(e, lock.Victim, happening{what: events.LockFailed, reason: "deadlock"})
	}
	for _, e := range taken {
		e.amend(func(d *details) { d.reason, d.deadlock = "deadlock", record })
		t.end(e, lock.Revoked, happening{what: events.LockRevoked, reason: "deadlock"})
	}
	if len(ended) > 0 {
		t.record(ended[0], happening{what: events.DeadlockResolved, before: lock.Victim, reason: string(record.Resolution)})
	}
	ended = append(ended, taken...)
	t.promote(ended...)
	return lock.Outcome{Locks: snapshots(ended)}
}

// abortedBefore answers what the same step ended when it was done already.
func (t *table) abortedBefore(s *lock.Abort) []lock.Lock {
	var ended []*entry
	for i := range s.Victims {
		for _, id := range s.Victims[i].Requests {
			e := t.entries[id]
			if e != nil && e.state == lock.Victim && e.deadlock != nil && e.deadlock.ID == s.Deadlock.ID {
				ended = append(ended, e)
			}
		}
	}
	if len(ended) == 0 {
		return nil
	}
	return snapshots(ended)
}

func (t *table) waitsOf(v *lock.Abandon) []*entry {
	var waits []*entry
	for _, id := range v.Requests {
		if e := t.entries[id]; e != nil && e.state == lock.Queued && e.owner == v.Owner {
			waits = append(waits, e)
		}
	}
	return waits
}

func (t *table) preemptible(v *lock.Abandon) []*entry {
	var taken []*entry
	for _, held := range v.Take {
		e := t.entries[held.ID]
		if e != nil && e.preemptible && e.owner == v.Owner && e.liveToken(held.Token) == nil {
			taken = append(taken, e)
		}
	}
	return taken
}

// reorder moves requests and offers what can be offered by that.
func (t *table) reorder(s *lock.Reorder) lock.Outcome {
	moved := make([]*entry, len(s.Moves))
	for i, m := range s.Moves {
		e := t.entries[m.ID]
		if e == nil || e.state != lock.Queued {
			return lock.Outcome{Err: lock.ErrBroken}
		}
		moved[i] = e
	}
	if len(moved) == 0 || !t.stands(s.Cycle) {
		return lock.Outcome{Err: lock.ErrBroken}
	}
	record := t.keep(s.Deadlock, s.Namespace)
	t.recordWith(moved[0], record, happening{what: events.DeadlockDetected, before: lock.Queued, reason: string(record.Resolution)})
	out := lock.Outcome{At: t.now.time()}
	for i, e := range moved {
		t.update(e, func() { e.lead += e.score - s.Moves[i].Score })
		t.record(e, happening{what: events.LockReprioritized, before: lock.Queued, reason: "deadlock"})
		out.SearchFrom = append(out.SearchFrom, e.owner)
	}
	t.recordWith(moved[0], record, happening{what: events.DeadlockResolved, before: lock.Queued, reason: string(record.Resolution)})
	t.promote(moved...)
	slices.Sort(out.SearchFrom)
	out.SearchFrom = slices.Compact(out.SearchFrom)
	return out
}

// recordWith appends an event of a request that a deadlock did not end.
func (t *table) recordWith(e *entry, d *lock.Deadlock, h happening) {
	l := e.snapshot()
	l.Deadlock = d
	t.append(l, h)
}

// keep puts a deadlock that is resolved now among the newest.
func (t *table) keep(d *lock.Deadlock, ns lock.Namespace) *lock.Deadlock {
	record := *d
	record.Namespace, record.ResolvedAt = ns, t.now.time()
	t.deadlocks = append(t.deadlocks, record)
	if old := len(t.deadlocks) - keptDeadlocks; old > 0 {
		t.deadlocks = slices.Clone(t.deadlocks[old:])
	}
	t.changes.deadlocks = append(t.changes.deadlocks, record)
	return &record
}

// newestDeadlocks answers the newest first.
func (t *table) newestDeadlocks() []lock.Deadlock {
	newest := slices.Clone(t.deadlocks)
	slices.Reverse(newest)
	return newest
}

// searchFrom names the owner of a request that has just come to stand where it
// stands, when that can have closed a cycle: the owner waits for somebody, and
// somebody may wait for it. Almost every request comes last into its queues,
// of an owner that has nothing else.
func (t *table) searchFrom(e *entry, out lock.Outcome) lock.Outcome {
	mine := t.live.byOwner[e.owner]
	others := mine != nil && mine.len() > 1
	targeted := t.declared.targets[e.owner] > 0
	closes := false
	switch e.state {
	case lock.Queued:
		closes = others || targeted || t.followed(e)
	case lock.Offered, lock.Held:
		closes = (others || len(t.declared.byOwner[e.owner]) > 0) && t.followed(e)
	case lock.Released, lock.Expired, lock.Revoked, lock.Cancelled, lock.TimedOut, lock.Victim, lock.Denied:
	}
	if closes {
		out.SearchFrom, out.At = []lock.Owner{e.owner}, t.now.time()
	}
	return out
}

// followed reports whether somebody waits behind e for one of its keys.
func (t *table) followed(e *entry) bool {
	for _, r := range e.resources {
		res := t.resource(e.ns.name, r.Key)
		if res == nil {
			continue
		}
		behind := res.waiters.len()
		if e.state == lock.Queued {
			behind -= res.waiters.rank(e) + 1
		}
		if behind > 0 {
			return true
		}
	}
	return false
}

func snapshots(of []*entry) []lock.Lock {
	all := make([]lock.Lock, len(of))
	for i, e := range of {
		all[i] = e.snapshot()
	}
	return all
}
