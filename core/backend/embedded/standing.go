package embedded

import "github.com/lockgate/lockgate/core/lock"

// standing is a snapshot with the place in the queues. An offered request stands
// in no queue any more: its position is 0 and nobody blocks it.
func (t *table) standing(e *entry) lock.Lock {
	l := e.snapshot()
	if e.state == lock.Offered || (e.state != 0 && !e.state.Live()) || e.state == lock.Held {
		return l
	}
	if e.state == lock.Queued {
		l.Position = t.position(e)
	}
	for _, r := range e.resources {
		if res := t.resource(e.ns.name, r.Key); res != nil {
			l.BlockedByTotal += t.countBlockers(res, e, r.Mode)
		}
	}
	l.BlockedBy = t.blockers(e)
	return l
}

// position is the worst place of a queued request in its queues; 1 is next.
func (t *table) position(e *entry) int {
	worst := 0
	for _, r := range e.resources {
		if res := t.resource(e.ns.name, r.Key); res != nil {
			worst = max(worst, res.waiters.rank(e)+1)
		}
	}
	return worst
}

// countBlockers counts whoever conflicts with e at one resource and holds it or
// waits ahead, without walking the queue.
func (t *table) countBlockers(res *resource, e *entry, m lock.Mode) int {
	holders := res.holders.len()
	if m == lock.Shared {
		holders = res.exclusive
	}
	total := holders + res.rivals(m).rank(e)
	for _, own := range t.own(res, e.owner) {
		conflicting := m.Conflicts(own.mode(res.key))
		if conflicting && (own.state != lock.Queued || byScore(own, e)) {
			total--
		}
	}
	return total
}

// blockers lists the first of those that e waits for: holders and offers of
// every key, then the requests ahead in every queue.
func (t *table) blockers(e *entry) []lock.Blocker {
	var list []lock.Blocker
	collect := func(r lock.Resource, set *ranked[*entry], ahead bool) {
		for b := range set.all() {
			if len(list) == lock.MaxBlockers || (ahead && !byScore(b, e)) {
				return
			}
			if b.owner != e.owner && r.Mode.Conflicts(b.mode(r.Key)) {
				list = append(list, b.blocks(r.Key))
			}
		}
	}
	for _, r := range e.resources {
		if res := t.resource(e.ns.name, r.Key); res != nil && res.taken(e, r.Mode) {
			collect(r, &res.holders, false)
		}
	}
	for _, r := range e.resources {
		if res := t.resource(e.ns.name, r.Key); res != nil {
			collect(r, res.rivals(r.Mode), true)
		}
	}
	return list
}

func (e *entry) blocks(key lock.Key) lock.Blocker {
	since := e.requested
	if e.state == lock.Held {
		since = e.acquired
	}
	return lock.Blocker{
		ID: e.id, Owner: e.owner, Resource: key, State: e.state, Priority: e.priority, Since: since.time(),
	}
}
