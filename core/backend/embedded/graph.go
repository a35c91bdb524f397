package embedded

import (
	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
)

// reach collects everybody that some owners wait for, directly or not. Each
// queue is walked once for each mode, however many stand in it.
type reach struct {
	table     *table
	namespace lock.Namespace // "": all
	met       map[lock.Owner]bool
	next      []lock.Owner
	walked    map[lock.Mode]map[*resource]*entry // the furthest request of a mode whose view of a queue was taken
	snapshot  deadlock.Snapshot
}

// graph answers the part of the table that can be reached from some owners, or
// from everybody who waits.
func (t *table) graph(q *lock.GraphQuery) deadlock.Snapshot {
	r := &reach{
		table: t, namespace: q.Namespace, met: make(map[lock.Owner]bool), walked: map[lock.Mode]map[*resource]*entry{lock.Exclusive: {}, lock.Shared: {}},
		snapshot: deadlock.Snapshot{At: t.now.time()},
	}
	for _, o := range q.From {
		r.meet(o)
	}
	if q.From == nil {
		r.meetWaiting()
	}
	for len(r.next) > 0 {
		o := r.next[len(r.next)-1]
		r.next = r.next[:len(r.next)-1]
		r.visit(o)
	}
	return r.snapshot
}

func (r *reach) meet(o lock.Owner) {
	if !r.met[o] {
		r.met[o] = true
		r.next = append(r.next, o)
	}
}

func (r *reach) meetWaiting() {
	for _, p := range lock.Priorities() {
		for e := range r.table.queued[p].all() {
			if r.covers(e.ns.name) {
				r.meet(e.owner)
			}
		}
	}
	for _, w := range r.table.declared.byID {
		if r.covers(w.Namespace) {
			r.meet(w.Owner)
		}
	}
}

func (r *reach) covers(ns lock.Namespace) bool { return r.namespace == "" || r.namespace == ns }

// visit takes everything of one owner and meets those that it waits for.
func (r *reach) visit(o lock.Owner) {
	if mine := r.table.live.byOwner[o]; mine != nil {
		for e := range mine.all() {
			if !r.covers(e.ns.name) {
				continue
			}
			r.snapshot.Requests = append(r.snapshot.Requests, e.request())
			if e.state == lock.Queued {
				r.follow(e)
			}
		}
	}
	for _, w := range r.table.declared.byOwner[o] {
		if r.covers(w.Namespace) {
			r.snapshot.Waits = append(r.snapshot.Waits, deadlock.Wait{
				ID: w.ID, Namespace: w.Namespace, Owner: w.Owner, For: w.For, Declared: w.Declared,
			})
			r.meet(w.For)
		}
	}
}

// follow meets the owners that a queued request waits for, but for those that
// one behind it in the same queue has met.
func (r *reach) follow(e *entry) {
	for _, want := range e.resources {
		res := r.table.resource(e.ns.name, want.Key)
		walked := r.walked[want.Mode]
		last := walked[res]
		if last == nil {
			r.meetHolders(res, want)
		} else if !byScore(last, e) {
			continue
		}
		walked[res] = e
		for w := range res.rivals(want.Mode).since(func(w *entry) bool { return last != nil && byScore(w, last) }) {
			if !byScore(w, e) {
				break
			}
			r.meet(w.owner)
		}
	}
}

func (r *reach) meetHolders(res *resource, want lock.Resource) {
	for h := range res.holders.all() {
		if want.Mode.Conflicts(h.mode(want.Key)) {
			r.meet(h.owner)
		}
	}
}

// request is what a search needs to know of e.
func (e *entry) request() deadlock.Request {
	return deadlock.Request{
		ID: e.id, Namespace: e.ns.name, Owner: e.owner, State: e.state, Resources: e.resources, Token: e.token,
		Score: e.score, Priority: e.priority, Value: int(e.value),
		Enqueued: e.requested.time(), Acquired: e.acquired.time(), Expires: e.expires.time(),
		Losses: int(e.losses), Preemptible: e.preemptible, Labels: e.labels,
	}
}
