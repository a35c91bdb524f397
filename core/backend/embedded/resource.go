package embedded

import "github.com/lockgate/lockgate/core/lock"

// resource is one key that somebody holds or waits for.
//
// Two requests conflict on it when their owners differ and their modes conflict.
// No two holders ever conflict, so either all holders are shared, or all have
// one owner: that makes every question below cost O(log n), not counting the
// entries of the asking owner itself.
type resource struct {
	ns         lock.Namespace
	key        lock.Key
	holders    ranked[*entry] // held and offered, by id
	exclusive  int            // how many of them are exclusive
	waiters    ranked[*entry] // queued, in order of grants
	exclusives ranked[*entry] // of them, the exclusive ones
}

func newResource(ns lock.Namespace, key lock.Key) *resource {
	return &resource{
		ns: ns, key: key,
		holders:    ranked[*entry]{less: byID},
		waiters:    ranked[*entry]{less: byScore},
		exclusives: ranked[*entry]{less: byScore},
	}
}

func byName(a, b *resource) bool {
	if a.ns != b.ns {
		return a.ns < b.ns
	}
	return a.key < b.key
}

func (r *resource) empty() bool { return r.holders.len() == 0 && r.waiters.len() == 0 }

func (r *resource) add(e *entry, m lock.Mode) {
	if e.state == lock.Queued {
		r.waiters.insert(e)
		if m == lock.Exclusive {
			r.exclusives.insert(e)
		}
		return
	}
	r.holders.insert(e)
	if m == lock.Exclusive {
		r.exclusive++
	}
}

func (r *resource) remove(e *entry, m lock.Mode) {
	if e.state == lock.Queued {
		r.waiters.remove(e)
		if m == lock.Exclusive {
			r.exclusives.remove(e)
		}
		return
	}
	r.holders.remove(e)
	if m == lock.Exclusive {
		r.exclusive--
	}
}

// taken reports whether a holder or an offer conflicts with e.
func (r *resource) taken(e *entry, m lock.Mode) bool {
	if m == lock.Shared && r.exclusive == 0 {
		return false
	}
	for h := range r.holders.all() {
		if h.owner != e.owner {
			return true
		}
		if r.exclusive > 0 {
			return false
		}
	}
	return false
}

// rivals are the waiters that conflict with mode m, their owner aside.
func (r *resource) rivals(m lock.Mode) *ranked[*entry] {
	if m == lock.Shared {
		return &r.exclusives
	}
	return &r.waiters
}

// passed reports whether a conflicting request waits ahead of e.
func (r *resource) passed(e *entry, m lock.Mode) bool {
	for w := range r.rivals(m).all() {
		if !byScore(w, e) {
			return false
		}
		if w.owner != e.owner {
			return true
		}
	}
	return false
}
