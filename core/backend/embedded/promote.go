package embedded

import (
	"slices"
	"strings"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// end takes a request out of the table for good; it stays readable until its
// tombstone is due. The caller promotes who waited for it.
func (t *table) end(e *entry, state lock.State, h happening) {
	h.before = e.state
	t.update(e, func() {
		e.state, e.endedAt = state, t.now
		e.offerUntil, e.attended, e.aliveUntil = 0, false, 0
	})
	t.record(e, h)
	t.trimEnded()
}

// promote offers what the given requests left behind, or stand in now with
// another score. It walks the queue of each of their keys, ascending, from the
// head. Who can have everything is offered it. An exclusive request that cannot
// stops the walk, for nobody may pass it. A shared one that cannot is blocked at
// another key, and those behind it may go.
//
//	queue of k:  S1  S2  X3  S4     holders of k: none, X3's other key is taken
//	             │   │   └─ stop
//	             └───┴─ both offered, at once
func (t *table) promote(left ...*entry) {
	for _, p := range places(left) {
		t.promoteAt(p)
	}
}

func (t *table) promoteAt(p place) {
	var last *entry
	for {
		e := t.waiterAfter(p, last)
		switch {
		case e == nil:
			return
		case t.grantable(e):
			t.offer(e)
		case e.mode(p.key) == lock.Exclusive:
			return
		}
		last = e
	}
}

// waiterAfter is the waiter behind last, or the head of the queue for nil. An
// offer changes the queue, so every step of a walk looks again.
func (t *table) waiterAfter(p place, last *entry) *entry {
	res := t.resource(p.ns, p.key)
	if res == nil {
		return nil
	}
	for e := range res.waiters.since(func(w *entry) bool { return last != nil && !byScore(last, w) }) {
		return e
	}
	return nil
}

// offer gives a waiter its turn. From here on it counts like a holder. Nobody
// comes back to a place that has lapsed, so the offer does not outlast it.
func (t *table) offer(e *entry) {
	t.update(e, func() {
		until := t.now.plus(t.rules.PollOfferTimeout)
		switch {
		case e.attended:
			until = t.now.plus(t.rules.OfferTimeout)
		case e.aliveUntil != 0:
			until = min(until, e.aliveUntil)
		}
		e.state, e.offerUntil = lock.Offered, until
	})
	t.record(e, happening{what: events.LockOffered, before: lock.Queued})
}

// place names a resource.
type place struct {
	ns  lock.Namespace
	key lock.Key
}

func (p place) compare(q place) int {
	if c := strings.Compare(string(p.ns), string(q.ns)); c != 0 {
		return c
	}
	return strings.Compare(string(p.key), string(q.key))
}

// places lists the resources of some requests, ascending, each once.
func places(of []*entry) []place {
	var all []place
	for _, e := range of {
		for _, r := range e.resources {
			all = append(all, place{e.ns.name, r.Key})
		}
	}
	slices.SortFunc(all, place.compare)
	return slices.Compact(all)
}

// sweep ends whatever is due, the longest due first, ties by id.
func (t *table) sweep() {
	for {
		e, ok := t.agenda.first()
		if !ok || e.due > t.now {
			return
		}
		t.lapse(e)
	}
}

// lapse ends the state of a request whose time is over.
func (t *table) lapse(e *entry) {
	switch e.state {
	case lock.Held:
		t.end(e, lock.Expired, happening{what: events.LockExpired})
		t.promote(e)
	case lock.Queued:
		reason := "wait ran out"
		if e.due < e.waitUntil {
			reason = "caller was not heard of"
		}
		e.amend(func(d *details) { d.reason = reason })
		t.end(e, lock.TimedOut, happening{what: events.QueueTimeout, reason: reason})
		t.promote(e)
	case lock.Offered:
		t.lapseOffer(e)
	case lock.Released, lock.Expired, lock.Revoked, lock.Cancelled, lock.TimedOut, lock.Victim, lock.Denied:
		t.forget(e)
	}
}

// lapseOffer passes an offer that nobody confirmed to the next waiters. The
// first time the request then goes back to its old place: when nobody else
// wanted it, it is offered once more. The second time it ends.
func (t *table) lapseOffer(e *entry) {
	e.lapses++
	if e.lapses >= maxLapses {
		const reason = "offers lapsed, nobody confirmed"
		e.amend(func(d *details) { d.reason = reason })
		t.end(e, lock.TimedOut, happening{what: events.LockTimeout, reason: reason})
		t.promote(e)
		return
	}
	t.detach(e)
	t.promote(e)
	e.state, e.offerUntil = lock.Queued, 0
	t.attach(e)
	t.changes.entries[e.id] = e
	t.record(e, happening{what: events.QueuedRequest, before: lock.Offered, reason: "offer_lapsed"})
	t.promote(e)
}
