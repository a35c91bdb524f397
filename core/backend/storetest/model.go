package storetest

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// world is the contract of a store as a program: one namespace, one list of
// requests, and every question answered by looking at all of them.
type world struct {
	rules    lock.Rules
	now      time.Time
	requests []*lock.Lock // in order of arrival, ended ones too
	calls    map[lock.Idempotency]lock.ID
	log      []string // since the last step
}

func (w *world) find(id lock.ID) *lock.Lock {
	for _, l := range w.requests {
		if l.ID == id {
			return l
		}
	}
	return nil
}

func (w *world) byID() []*lock.Lock {
	return slices.SortedFunc(slices.Values(w.requests), func(a, b *lock.Lock) int { return cmp.Compare(a.ID, b.ID) })
}

func (w *world) happened(what events.Type, l *lock.Lock, reason string) {
	w.log = append(w.log, line(&events.Event{Type: what, Lock: *l, Reason: reason}))
}

// ahead reports whether a goes before b in every queue.
func (w *world) ahead(a, b *lock.Lock) bool { return w.compare(a, b) < 0 }

func (w *world) compare(a, b *lock.Lock) int {
	score := func(l *lock.Lock) int64 { return w.rules.Aging.Score(l.RequestedAt, l.Value) }
	return cmp.Or(cmp.Compare(score(a), score(b)), cmp.Compare(a.ID, b.ID))
}

// against lists whoever keeps l from a key: first those who have it, by id, then
// those who wait for it ahead of l, in their order.
func (w *world) against(l *lock.Lock, r lock.Resource) (holders, waiters []*lock.Lock) {
	for _, o := range w.requests {
		mode, wants := o.Mode(r.Key)
		if o.ID == l.ID || !wants || o.Owner == l.Owner || !mode.Conflicts(r.Mode) {
			continue
		}
		switch {
		case o.State == lock.Held || o.State == lock.Offered:
			holders = append(holders, o)
		case o.State == lock.Queued && w.ahead(o, l):
			waiters = append(waiters, o)
		}
	}
	slices.SortFunc(holders, func(a, b *lock.Lock) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(waiters, w.compare)
	return holders, waiters
}

func (w *world) grantable(l *lock.Lock) bool {
	for _, r := range l.Resources {
		if holders, waiters := w.against(l, r); len(holders)+len(waiters) > 0 {
			return false
		}
	}
	return true
}

// queue lists who waits for a key, in order.
func (w *world) queue(key lock.Key) []*lock.Lock {
	var list []*lock.Lock
	for _, l := range w.requests {
		if _, wants := l.Mode(key); wants && l.State == lock.Queued {
			list = append(list, l)
		}
	}
	slices.SortFunc(list, w.compare)
	return list
}

// standing is a request as a store must answer it.
func (w *world) standing(l *lock.Lock) lock.Lock {
	s := *l
	if l.State != 0 && l.State != lock.Queued {
		return s
	}
	var all []lock.Blocker
	list := func(of []*lock.Lock, key lock.Key) {
		for _, b := range of {
			all = append(all, lock.Blocker{ID: b.ID, Resource: key})
		}
	}
	for _, r := range l.Resources {
		holders, _ := w.against(l, r)
		list(holders, r.Key)
		if at := slices.Index(w.queue(r.Key), l); at >= 0 {
			s.Position = max(s.Position, at+1)
		}
	}
	for _, r := range l.Resources {
		_, waiters := w.against(l, r)
		list(waiters, r.Key)
	}
	s.BlockedBy, s.BlockedByTotal = all[:min(len(all), lock.MaxBlockers)], len(all)
	return s
}

// promote offers what some requests left, key by key.
func (w *world) promote(left ...*lock.Lock) {
	var keys []lock.Key
	for _, l := range left {
		for _, r := range l.Resources {
			keys = append(keys, r.Key)
		}
	}
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		w.promoteAt(key)
	}
}

func (w *world) promoteAt(key lock.Key) {
	for _, l := range w.queue(key) {
		mode, _ := l.Mode(key)
		if w.grantable(l) {
			w.offer(l)
		} else if mode == lock.Exclusive {
			return
		}
	}
}

func (w *world) offer(l *lock.Lock) {
	l.State = lock.Offered
	l.OfferUntil = w.now.Add(w.rules.PollOfferTimeout)
	if l.Attended {
		l.OfferUntil = w.now.Add(w.rules.OfferTimeout)
	} else if !l.AliveUntil.IsZero() && l.AliveUntil.Before(l.OfferUntil) {
		l.OfferUntil = l.AliveUntil
	}
	w.happened(events.LockOffered, l, "")
}

func (w *world) end(l *lock.Lock, state lock.State, what events.Type, reason string) {
	l.State = state
	w.happened(what, l, reason)
}

// hold makes a request held; its token is the store's choice.
func (w *world) hold(l *lock.Lock) {
	l.State = lock.Held
	w.lease(l)
	w.happened(events.LockAcquired, l, "")
}

func (w *world) lease(l *lock.Lock) {
	l.ExpiresAt = time.Time{}
	if l.TTL > 0 {
		l.ExpiresAt = w.now.Add(l.TTL)
	}
}

// pass lets time go by: whatever is due ends at its own moment.
func (w *world) pass(until time.Time) {
	for {
		var next *lock.Lock
		for _, l := range w.requests {
			d := l.Deadline()
			if d.IsZero() || d.After(until) {
				continue
			}
			if next == nil || d.Before(next.Deadline()) || (d.Equal(next.Deadline()) && l.ID < next.ID) {
				next = l
			}
		}
		if next == nil {
			w.now = until
			return
		}
		if d := next.Deadline(); d.After(w.now) {
			w.now = d
		}
		w.lapse(next)
	}
}

func (w *world) lapse(l *lock.Lock) {
	switch {
	case l.State == lock.Held:
		w.end(l, lock.Expired, events.LockExpired, "")
	case l.State == lock.Queued && l.Deadline().Before(l.WaitUntil):
		w.end(l, lock.TimedOut, events.QueueTimeout, "caller was not heard of")
	case l.State == lock.Queued:
		w.end(l, lock.TimedOut, events.QueueTimeout, "wait ran out")
	case l.Lapses == 1:
		l.Lapses++
		w.end(l, lock.TimedOut, events.LockTimeout, "offers lapsed, nobody confirmed")
	default:
		l.Lapses++
		l.State = 0 // nobody's: neither a holder nor in a queue
		w.promote(l)
		l.State = lock.Queued
		w.happened(events.QueuedRequest, l, "offer_lapsed")
	}
	w.promote(l)
}
