package embedded

import (
	"encoding/json"
	"slices"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// acquire looks, in this order, for the request itself, for that of an earlier
// call with the same idempotency key, for a held lock of the owner that covers
// everything wanted, and for free resources; else it queues or refuses.
//
// A newcomer with a better score than those who wait goes ahead of them, but not
// past holders and offers. A refused one leaves an event and nothing else.
func (t *table) acquire(s *lock.Acquire) lock.Outcome {
	if err := t.fault(&s.Lock); err != nil {
		return lock.Outcome{Err: err}
	}
	if e := t.entries[s.Lock.ID]; e != nil { // handed over again after a fault
		return t.searchFrom(e, lock.Outcome{Lock: t.standing(e), Repeat: true})
	}
	if call, made := t.recall(s.Lock.Namespace, s.Idempotency); call != nil {
		switch {
		case call.hash != s.Idempotency.Hash:
			return lock.Outcome{Err: lock.ErrIdempotencyConflict}
		case made == nil:
			return lock.Outcome{Err: lock.ErrForgotten}
		}
		t.attend(made, s.Attend)
		return t.searchFrom(made, lock.Outcome{Lock: t.standing(made), Repeat: true})
	}
	if own := t.covering(&s.Lock); own != nil {
		t.remember(own, s.Idempotency)
		return lock.Outcome{Lock: own.snapshot(), Repeat: true}
	}
	e := t.newcomer(&s.Lock)
	if err := t.retry(e, s.RetryOf); err != nil {
		return lock.Outcome{Err: err}
	}
	return t.admit(e, s)
}

// retry gives a request the place in time of the victim that it repeats.
func (t *table) retry(e *entry, of lock.ID) error {
	if of == "" {
		return nil
	}
	victim := t.entries[of]
	if victim == nil || victim.ns != e.ns || victim.owner != e.owner || victim.state != lock.Victim {
		return lock.Invalid("/retry_of", "names no request of this owner in this namespace that gave way in a deadlock; leave it out")
	}
	e.amend(func(d *details) { d.retryOf = of })
	e.requested, e.losses = victim.requested, min(victim.losses+1, maxLosses)
	e.score = t.rules.Aging.Score(e.requested.time(), int(e.value))
	return nil
}

// admit decides about a request that is new.
func (t *table) admit(e *entry, s *lock.Acquire) lock.Outcome {
	if t.grantable(e) {
		t.hold(e)
		t.enter(e)
		t.changes.entries[e.id] = e
		t.remember(e, s.Idempotency)
		t.record(e, happening{what: events.LockAcquired})
		return t.searchFrom(e, lock.Outcome{Lock: e.snapshot()})
	}
	if e.wait <= 0 {
		refused := t.standing(e)
		t.append(e.snapshot(), happening{what: events.LockFailed, reason: "locked"})
		return lock.Outcome{Err: &lock.ConflictError{Lock: refused}}
	}
	if full := t.full(e, s.MaxQueue); full != nil {
		t.append(e.snapshot(), happening{what: events.LockFailed, reason: "queue_full"})
		return lock.Outcome{Err: full}
	}
	e.state, e.waitUntil = lock.Queued, t.now.plus(e.wait)
	e.attended, e.aliveUntil = s.Attend.Attended, t.alive(s.Attend)
	t.enter(e)
	t.changes.entries[e.id] = e
	t.remember(e, s.Idempotency)
	t.record(e, happening{what: events.QueuedRequest})
	return t.searchFrom(e, lock.Outcome{Lock: t.standing(e)})
}

// fault refuses what a caller must not send: such a request would break the
// table for everybody.
func (t *table) fault(l *lock.Lock) error {
	var faults []lock.Fault
	add := func(pointer, detail string) {
		if detail != "" {
			faults = append(faults, lock.Fault{Pointer: pointer, Detail: detail})
		}
	}
	add("/id", l.ID.Fault())
	if e := t.entries[l.ID]; e != nil && (e.ns.name != l.Namespace || e.owner != l.Owner || e.subject != l.Subject) {
		add("/id", "names another request")
	}
	add("/namespace", l.Namespace.Fault())
	add("/owner", l.Owner.Fault())
	if len(l.Resources) == 0 {
		add("/resources", "is empty")
	}
	for i, r := range l.Resources {
		add("/resources", r.Key.Fault())
		if i > 0 && r.Key <= l.Resources[i-1].Key {
			add("/resources", "is not in ascending order of keys")
		}
	}
	faults = append(faults, unwritable(l)...)
	if faults == nil {
		return nil
	}
	return &lock.InvalidError{Faults: faults}
}

// unwritable lists what the journal could not write so that it reads the same.
func unwritable(l *lock.Lock) []lock.Fault {
	var faults []lock.Fault
	for _, r := range l.Resources {
		if r.Mode > lock.Shared {
			faults = append(faults, lock.Fault{Pointer: "/resources", Detail: "has an unknown mode"})
		}
	}
	if l.Context != nil && !json.Valid(l.Context) {
		faults = append(faults, lock.Fault{Pointer: "/context", Detail: "is no JSON"})
	}
	return faults
}

// newcomer packs a request with nothing but what its caller says of it.
func (t *table) newcomer(l *lock.Lock) *entry {
	ask := lock.Lock{
		ID: l.ID, Resources: l.Resources, Owner: l.Owner, Subject: l.Subject, Actor: l.Actor,
		Priority: level(l.Priority), Value: l.Value, TTL: l.TTL, MaxTTL: l.MaxTTL, Wait: l.Wait,
		RequestedAt: t.now.time(), Decision: l.Decision, Labels: l.Labels, Context: l.Context, Trace: l.Trace,
		Preemptible: l.Preemptible, DeadlockAction: l.DeadlockAction,
	}
	e := newEntry(t.namespace(l.Namespace), &ask)
	e.score = t.rules.Aging.Score(e.requested.time(), int(e.value))
	return e
}

// covering is the held lock of the same owner, the one with the smallest id,
// that has everything wanted already.
func (t *table) covering(want *lock.Lock) *entry {
	res := t.resource(want.Namespace, want.Resources[0].Key)
	if res == nil {
		return nil
	}
	for _, e := range t.own(res, want.Owner) {
		if e.state == lock.Held && e.covers(want.Resources) {
			return e
		}
	}
	return nil
}

// own lists the requests of one owner at one resource, by id. It walks whatever
// is shorter: everything of the owner or everything at the resource.
func (t *table) own(res *resource, owner lock.Owner) []*entry {
	all := t.live.byOwner[owner]
	if all == nil {
		return nil
	}
	var own []*entry
	if all.len() <= res.holders.len()+res.waiters.len() {
		for e := range all.all() {
			if e.ns.name == res.ns && e.wants(res.key) {
				own = append(own, e)
			}
		}
		return own
	}
	for _, set := range []*ranked[*entry]{&res.holders, &res.waiters} {
		for e := range set.all() {
			if e.owner == owner {
				own = append(own, e)
			}
		}
	}
	slices.SortFunc(own, compareID)
	return own
}

// grantable reports whether a request can have all its resources at once: no
// holder, no offer and nobody ahead conflicts on any of them.
func (t *table) grantable(e *entry) bool {
	for _, r := range e.resources {
		res := t.resource(e.ns.name, r.Key)
		if res != nil && (res.taken(e, r.Mode) || res.passed(e, r.Mode)) {
			return false
		}
	}
	return true
}

// full answers a QueueFullError when a queue that e would join is too long.
func (t *table) full(e *entry, limit int) error {
	if limit <= 0 {
		return nil
	}
	for _, r := range e.resources {
		res := t.resource(e.ns.name, r.Key)
		if res != nil && res.waiters.len() >= limit {
			return &lock.QueueFullError{Resource: r.Key, Limit: limit}
		}
	}
	return nil
}

// hold makes a request held: its token is larger than every token before, also
// those handed out before a restart, and its lease starts.
func (t *table) hold(e *entry) {
	t.token = max(t.token+1, lock.Token(t.now*1000))
	e.state, e.token, e.acquired = lock.Held, t.token, t.now
	e.waitUntil, e.offerUntil = 0, 0
	e.attended, e.aliveUntil = false, 0
	t.lease(e)
}

// lease starts the lease of a held lock; without a TTL it has none.
func (t *table) lease(e *entry) {
	e.expires = 0
	if e.ttl > 0 {
		e.expires = t.now.plus(e.ttl)
	}
}

// alive is until when a caller's place is kept.
func (t *table) alive(a lock.Attendee) stamp {
	if a.Place <= 0 {
		return 0
	}
	return t.now.plus(a.Place)
}
