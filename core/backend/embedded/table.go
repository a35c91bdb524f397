package embedded

import (
	"github.com/lockgate/lockgate/core/lock"
)

// maxLapses is how often an offer may lapse before the request ends.
const maxLapses = 2

// mostEnded bounds the ended requests that stay readable. Rules.Ended alone would
// let a gateway that is busy for an hour remember millions.
const mostEnded = 20_000

// table is the lock table in memory: a state machine without clock, disk or
// goroutine. One goroutine owns it. What a step changes is also noted in
// changes, from which the journal makes it durable.
type table struct {
	rules lock.Rules
	now   stamp      // time of the running batch
	token lock.Token // largest token ever handed out
	tip   int        // sequence of the newest event

	entries    map[lock.ID]*entry
	live       index
	ended      index
	maxEnded   int
	passed     []*entry // the ended ones, oldest end first; forgotten ones may be among them
	namespaces map[lock.Namespace]*namespace
	resources  ranked[*resource] // in use, by namespace and key
	agenda     ranked[*entry]    // whatever ends by itself, by time
	memories   memories
	declared   declarations

	deadlocks []lock.Deadlock // the newest, oldest first

	held, offered int
	queued        map[lock.Priority]*ranked[*entry] // by age

	changes changes
}

// namespace counts what policies ask for. It stays while anything names it.
type namespace struct {
	name      lock.Namespace
	entries   int                // known requests, live and ended
	bySubject map[string]int     // held locks
	byOwner   map[lock.Owner]int // held locks
}

func newTable(rules lock.Rules) *table {
	t := &table{
		rules:      rules,
		maxEnded:   mostEnded,
		entries:    map[lock.ID]*entry{},
		live:       newIndex(),
		ended:      newIndex(),
		namespaces: make(map[lock.Namespace]*namespace),
		resources:  ranked[*resource]{less: byName},
		agenda:     ranked[*entry]{less: byDue},
		memories:   newMemories(),
		declared:   newDeclarations(),
		queued:     make(map[lock.Priority]*ranked[*entry]),
	}
	for _, p := range lock.Priorities() {
		t.queued[p] = &ranked[*entry]{less: byAge}
	}
	t.changes = newChanges()
	return t
}

// enter puts a new request into the table.
func (t *table) enter(e *entry) {
	t.entries[e.id] = e
	t.namespaces[e.ns.name] = e.ns
	e.ns.entries++
	t.attach(e)
}

// forget drops an ended request.
func (t *table) forget(e *entry) {
	t.detach(e)
	delete(t.entries, e.id)
	e.ns.entries--
	if e.ns.entries == 0 {
		delete(t.namespaces, e.ns.name)
	}
	t.changes.entries[e.id] = nil
}

// trimEnded forgets the oldest ended requests beyond t.maxEnded, and drops what
// was forgotten from the front of the list.
func (t *table) trimEnded() {
	for len(t.passed) > 0 {
		oldest := t.passed[0]
		if t.entries[oldest.id] == oldest {
			if len(t.entries)-t.live.all.len() <= t.maxEnded {
				return
			}
			t.forget(oldest)
		}
		t.passed[0] = nil
		t.passed = t.passed[1:]
	}
}

// update changes a request that is in the table.
func (t *table) update(e *entry, change func()) {
	t.detach(e)
	change()
	t.attach(e)
	t.changes.entries[e.id] = e
}

// reschedule changes when the present state of a request ends, and nothing else
// that an index looks at.
func (t *table) reschedule(e *entry, change func()) {
	t.unschedule(e)
	change()
	t.schedule(e)
	t.changes.entries[e.id] = e
}

func (t *table) schedule(e *entry) {
	e.due = e.deadline(&t.rules)
	if e.due != 0 {
		t.agenda.insert(e)
	}
}

func (t *table) unschedule(e *entry) {
	if e.due != 0 {
		t.agenda.remove(e)
	}
}

// attach files a request under everything it can be found by in its state.
func (t *table) attach(e *entry) {
	t.schedule(e)
	if !e.state.Live() {
		t.ended.add(e)
		t.passed = append(t.passed, e)
		return
	}
	e.score = t.rules.Aging.Score(e.requested.time(), int(e.value)) - e.lead
	t.live.add(e)
	t.tally(e, 1)
	for _, r := range e.resources {
		res := t.resource(e.ns.name, r.Key)
		if res == nil {
			res = newResource(e.ns.name, r.Key)
			t.resources.insert(res)
		}
		res.add(e, r.Mode)
	}
}

// detach undoes attach; it must be called before the state changes.
func (t *table) detach(e *entry) {
	t.unschedule(e)
	if !e.state.Live() {
		t.ended.remove(e)
		return
	}
	t.live.remove(e)
	t.tally(e, -1)
	for _, r := range e.resources {
		res := t.resource(e.ns.name, r.Key)
		res.remove(e, r.Mode)
		if res.empty() {
			t.resources.remove(res)
		}
	}
}

// tally counts a live request for statistics and facts.
func (t *table) tally(e *entry, n int) {
	switch e.state {
	case lock.Held:
		t.held += n
		e.ns.count(e, n)
	case lock.Offered:
		t.offered += n
	case lock.Queued:
		if n > 0 {
			t.queued[level(e.priority)].insert(e)
		} else {
			t.queued[level(e.priority)].remove(e)
		}
	case lock.Released, lock.Expired, lock.Revoked, lock.Cancelled, lock.TimedOut, lock.Victim, lock.Denied:
	}
}

// level folds a wish that was never stated, and whatever is no level, to normal.
func level(p lock.Priority) lock.Priority {
	if p < lock.Low || p > lock.Critical {
		return lock.Normal
	}
	return p
}

// resource answers nil when nobody holds or waits for the key.
func (t *table) resource(ns lock.Namespace, key lock.Key) *resource {
	probe := &resource{ns: ns, key: key}
	return t.resources.find(probe)
}

// namespace answers the namespace of that name, which is kept once a request
// has entered it.
func (t *table) namespace(name lock.Namespace) *namespace {
	ns := t.namespaces[name]
	if ns == nil {
		ns = &namespace{name: name, bySubject: map[string]int{}, byOwner: map[lock.Owner]int{}}
	}
	return ns
}

func (n *namespace) count(e *entry, by int) {
	n.bySubject[e.subject] += by
	if n.bySubject[e.subject] == 0 {
		delete(n.bySubject, e.subject)
	}
	n.byOwner[e.owner] += by
	if n.byOwner[e.owner] == 0 {
		delete(n.byOwner, e.owner)
	}
}

// index finds requests in ascending order of ids.
type index struct {
	all         ranked[*entry]
	byNamespace map[lock.Namespace]*ranked[*entry]
	byOwner     map[lock.Owner]*ranked[*entry]
}

func newIndex() index {
	return index{
		all:         ranked[*entry]{less: byID},
		byNamespace: make(map[lock.Namespace]*ranked[*entry]),
		byOwner:     map[lock.Owner]*ranked[*entry]{},
	}
}

func (x *index) add(e *entry) {
	x.all.insert(e)
	addTo(x.byNamespace, e.ns.name, e)
	addTo(x.byOwner, e.owner, e)
}

func (x *index) remove(e *entry) {
	x.all.remove(e)
	removeFrom(x.byNamespace, e.ns.name, e)
	removeFrom(x.byOwner, e.owner, e)
}

func addTo[K comparable](sets map[K]*ranked[*entry], key K, e *entry) {
	set := sets[key]
	if set == nil {
		set = &ranked[*entry]{less: byID}
		sets[key] = set
	}
	set.insert(e)
}

func removeFrom[K comparable](sets map[K]*ranked[*entry], key K, e *entry) {
	set := sets[key]
	set.remove(e)
	if set.len() == 0 {
		delete(sets, key)
	}
}
