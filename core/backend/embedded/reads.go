package embedded

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

const (
	maxPage     = 1000 // requests or queues a page
	maxExamined = 5000 // requests looked at for one page
)

func (t *table) get(id lock.ID) (lock.Lock, error) {
	e := t.entries[id]
	if e == nil {
		return lock.Lock{}, lock.ErrNotFound
	}
	return t.standing(e), nil
}

// list answers one page in ascending order of ids. A page looks at a bounded
// number of requests, so it may be short, or even empty, and still have a next
// one. The cursor is the last id that was looked at.
func (t *table) list(q *lock.Query) (lock.Page, error) {
	if q.After != "" && lock.ID(q.After).Fault() != "" {
		return lock.Page{}, lock.Invalid("after", "is no cursor of a list of locks")
	}
	limit := pageSize(q.Limit)
	examined := t.candidates(q)
	page := lock.Page{}
	for i, e := range examined {
		if i == maxExamined || len(page.Locks) == limit {
			page.Next = string(examined[i-1].id)
			break
		}
		if t.matches(e, q) {
			page.Locks = append(page.Locks, t.standing(e))
		}
	}
	return page, nil
}

func pageSize(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}

// candidates lists, by id, the first requests after the cursor under the
// narrowest name that the query gives: one more than a page may look at.
func (t *table) candidates(q *lock.Query) []*entry {
	live, ended := len(q.States) == 0, false
	for _, s := range q.States {
		live, ended = live || s.Live(), ended || !s.Live()
	}
	var found []*entry
	if live {
		found = append(found, t.first(t.narrowest(&t.live, q), q.After)...)
	}
	if ended {
		found = append(found, t.first(t.narrowest(&t.ended, q), q.After)...)
	}
	slices.SortFunc(found, compareID)
	return found[:min(len(found), maxExamined+1)]
}

func (t *table) narrowest(x *index, q *lock.Query) *ranked[*entry] {
	var set *ranked[*entry]
	switch {
	case q.Owner != "":
		set = x.byOwner[q.Owner]
	case q.Namespace != "":
		set = x.byNamespace[q.Namespace]
	default:
		set = &x.all
	}
	if set == nil {
		return &ranked[*entry]{less: byID}
	}
	if res := t.resource(q.Namespace, q.Resource); x == &t.live && q.Namespace != "" && q.Resource != "" {
		return narrower(set, res)
	}
	return set
}

// narrower prefers the requests at one resource to a larger set; nil stands for
// a resource that nobody holds or waits for.
func narrower(set *ranked[*entry], res *resource) *ranked[*entry] {
	here := &ranked[*entry]{less: byID}
	if res == nil {
		return here
	}
	if res.holders.len()+res.waiters.len() > min(set.len(), maxExamined) {
		return set
	}
	for _, part := range []*ranked[*entry]{&res.holders, &res.waiters} {
		for e := range part.all() {
			here.insert(e)
		}
	}
	return here
}

// first lists at most one more request after the cursor than a page may look at.
func (t *table) first(set *ranked[*entry], after string) []*entry {
	var found []*entry
	for e := range set.since(func(e *entry) bool { return string(e.id) <= after }) {
		found = append(found, e)
		if len(found) > maxExamined {
			break
		}
	}
	return found
}

func (t *table) matches(e *entry, q *lock.Query) bool {
	switch {
	case len(q.States) == 0 && !e.state.Live(),
		len(q.States) > 0 && !slices.Contains(q.States, e.state),
		q.Namespace != "" && e.ns.name != q.Namespace,
		q.Owner != "" && e.owner != q.Owner,
		q.Priority != lock.Unstated && e.priority != q.Priority:
		return false
	}
	for k, v := range q.Labels {
		if got, ok := e.labels[k]; !ok || got != v {
			return false
		}
	}
	return slices.ContainsFunc(e.resources, func(r lock.Resource) bool {
		return (q.Resource == "" || r.Key == q.Resource) && strings.HasPrefix(string(r.Key), q.Prefix)
	})
}

// queues answers one page of the resources in use, by namespace and key.
func (t *table) queues(q *lock.QueueQuery) (lock.QueuePage, error) {
	from := place{ns: q.Namespace, key: q.Resource}
	passed := func(r *resource) bool { return r.at().compare(from) < 0 }
	if q.After != "" {
		last, ok := parsePlace(q.After)
		if !ok {
			return lock.QueuePage{}, lock.Invalid("after", "is no cursor of a list of queues")
		}
		passed = func(r *resource) bool { return r.at().compare(last) <= 0 || r.at().compare(from) < 0 }
	}
	limit, examined := pageSize(q.Limit), 0
	page := lock.QueuePage{}
	var last place
	for res := range t.resources.since(passed) {
		if q.Namespace != "" && res.ns != q.Namespace {
			break
		}
		if len(page.Queues) == limit || examined >= maxExamined {
			page.Next = last.cursor()
			break
		}
		last = res.at()
		examined++
		if q.Resource != "" && res.key != q.Resource {
			continue
		}
		queue := t.queue(res, min(max(q.Depth, 0), maxPage))
		examined += len(queue.Holders) + len(queue.Waiters)
		page.Queues = append(page.Queues, queue)
	}
	return page, nil
}

func (t *table) queue(res *resource, depth int) lock.Queue {
	q := lock.Queue{Namespace: res.ns, Resource: res.key, Length: res.waiters.len()}
	for h := range res.holders.all() {
		q.Holders = append(q.Holders, h.snapshot())
	}
	for w := range res.waiters.all() {
		if len(q.Waiters) == depth {
			break
		}
		q.Waiters = append(q.Waiters, t.standing(w))
	}
	return q
}

func (r *resource) at() place { return place{r.ns, r.key} }

// cursor spells a place; names have no control characters, so NUL parts them.
func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(p.ns) + "\x00" + string(p.key)))
}

func parsePlace(cursor string) (place, bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return place{}, false
	}
	ns, key, ok := strings.Cut(string(text), "\x00")
	return place{lock.Namespace(ns), lock.Key(key)}, ok
}

// facts answers one entry a resource. Waited is how long the owner's oldest
// request for the resource has been waiting, offers included.
func (t *table) facts(q *lock.FactsQuery) []lock.Facts {
	ns := t.namespaces[q.Namespace]
	all := make([]lock.Facts, len(q.Resources))
	for i, r := range q.Resources {
		f := &all[i]
		if ns != nil {
			f.HeldBySubject, f.HeldByOwner = ns.bySubject[q.Subject], ns.byOwner[q.Owner]
		}
		res := t.resource(q.Namespace, r.Key)
		if res == nil {
			continue
		}
		if h, ok := res.holders.first(); ok {
			l := h.snapshot()
			f.Holder = &l
		}
		f.QueueLength = res.waiters.len()
		for _, own := range t.own(res, q.Owner) {
			if own.state == lock.Queued {
				f.Mine++
			}
			if own.state.Waiting() {
				f.Waited = max(f.Waited, t.since(own.requested))
			}
		}
	}
	return all
}

func (t *table) stats() lock.Stats {
	s := lock.Stats{
		Held: t.held, Offered: t.offered, Namespaces: len(t.live.byNamespace),
		Queued: make(map[lock.Priority]int), OldestWait: make(map[lock.Priority]time.Duration),
	}
	for p, waiting := range t.queued {
		s.Queued[p] = waiting.len()
		if oldest, ok := waiting.first(); ok {
			s.OldestWait[p] = t.since(oldest.requested)
		}
	}
	return s
}

func (t *table) since(s stamp) time.Duration { return time.Duration(t.now-s) * time.Millisecond }
