package deadlock

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Graph is who waits for whom in one snapshot. It does not change and may be
// read by many at once.
//
// Its nodes are the owners, numbered in the order of their first request, and
// behind them the junctions (see [builder]). Its arcs are kept so that their
// number grows with the requests, not with the pairs of them; [Graph.Edges]
// spells all pairs out.
type Graph struct {
	at       time.Time
	requests []Request // live ones, ascending by id
	waits    []Wait    // ascending by id
	owners   []lock.Owner
	node     map[lock.Owner]int
	mine     [][]int // by owner: its requests
	lines    []line
	place    map[place]int // to lines

	nodes int
	arcs  []arc // of node n: arcs[first[n]:first[n+1]]
	first []int
}

// place is one key of one namespace.
type place struct {
	namespace lock.Namespace
	key       lock.Key
}

// line is everybody at one place.
type line struct {
	place

	holders []slot // by owner, then id
	queue   []slot // in order of the queue
}

// slot is one request in a line.
type slot struct {
	request int
	owner   int
	mode    lock.Mode
}

// arc is one step of a walk. A wait of one owner for another is one arc, or
// several through junctions: then the first names the waiting request and the
// last the blocker.
type arc struct {
	to      int
	kind    Kind
	request int // waiting request, or declared wait; -1 from a junction
	line    int // -1 when declared
	blocker int // -1 into a junction, or when declared
}

// NewGraph derives the graph of a snapshot, which must not be changed while the
// graph is in use. A snapshot in ascending order of ids saves a copy of it.
func NewGraph(s *Snapshot) *Graph {
	g := &Graph{
		at:       s.At,
		requests: inOrder(s.Requests), waits: slices.Clone(s.Waits),
		node:  make(map[lock.Owner]int, len(s.Requests)),
		place: make(map[place]int, len(s.Requests)),
	}
	slices.SortFunc(g.waits, func(a, b Wait) int { return cmp.Compare(a.ID, b.ID) })
	for i := range g.requests {
		g.enlist(i)
	}
	for i := range g.lines {
		g.sortLine(&g.lines[i])
	}
	for i := range g.waits {
		g.nodeOf(g.waits[i].Owner)
		g.nodeOf(g.waits[i].For)
	}
	b := newBuilder(g)
	b.build()
	return g
}

// inOrder answers the live requests by id.
func inOrder(requests []Request) []Request {
	ended := func(r Request) bool { return !r.State.Live() }
	byID := func(a, b Request) int { return cmp.Compare(a.ID, b.ID) }
	if !slices.ContainsFunc(requests, ended) && slices.IsSortedFunc(requests, byID) {
		return requests
	}
	requests = slices.DeleteFunc(slices.Clone(requests), ended)
	slices.SortFunc(requests, byID)
	return requests
}

// Owners counts the owners in the graph.
func (g *Graph) Owners() int { return len(g.owners) }

func (g *Graph) nodeOf(o lock.Owner) int {
	n, ok := g.node[o]
	if !ok {
		n = len(g.owners)
		g.node[o] = n
		g.owners = append(g.owners, o)
		g.mine = append(g.mine, nil)
	}
	return n
}

// enlist puts request i into the lines of its keys.
func (g *Graph) enlist(i int) {
	r := &g.requests[i]
	n := g.nodeOf(r.Owner)
	g.mine[n] = append(g.mine[n], i)
	for _, res := range r.Resources {
		at := place{r.Namespace, res.Key}
		l, ok := g.place[at]
		if !ok {
			l = len(g.lines)
			g.place[at] = l
			g.lines = append(g.lines, line{place: at})
		}
		s := slot{request: i, owner: n, mode: res.Mode}
		if r.holds() {
			g.lines[l].holders = append(g.lines[l].holders, s)
		} else {
			g.lines[l].queue = append(g.lines[l].queue, s)
		}
	}
}

func (g *Graph) sortLine(l *line) {
	slices.SortFunc(l.holders, func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.request, b.request))
	})
	slices.SortFunc(l.queue, func(a, b slot) int {
		return cmp.Or(cmp.Compare(g.requests[a.request].Score, g.requests[b.request].Score), cmp.Compare(a.request, b.request))
	})
}

// find answers the live request with an id.
func (g *Graph) find(id lock.ID) (*Request, bool) {
	i, ok := slices.BinarySearchFunc(g.requests, id, func(r Request, id lock.ID) int { return cmp.Compare(r.ID, id) })
	if !ok {
		return nil, false
	}
	return &g.requests[i], true
}

// from lists the arcs that leave a node.
func (g *Graph) from(node int) []arc { return g.arcs[g.first[node]:g.first[node+1]] }

// isOwner tells owners from junctions.
func (g *Graph) isOwner(node int) bool { return node < len(g.owners) }

// blockers calls yield for every edge that queued request i draws, hard ones
// first.
func (g *Graph) blockers(i int, yield func(kind Kind, at *line, blocker slot)) {
	g.holders(i, func(at *line, h slot) { yield(Hard, at, h) })
	g.aheadOf(i, func(at *line, q slot) { yield(Soft, at, q) })
}

// holders calls yield for every conflicting holder that queued request i waits
// for.
func (g *Graph) holders(i int, yield func(at *line, h slot)) {
	g.eachLine(i, func(at *line, mine slot) {
		for _, h := range at.holders {
			if h.owner != mine.owner && h.mode.Conflicts(mine.mode) {
				yield(at, h)
			}
		}
	})
}

// aheadOf calls yield for every conflicting request ahead of queued request i.
func (g *Graph) aheadOf(i int, yield func(at *line, q slot)) {
	g.eachLine(i, func(at *line, mine slot) {
		for _, q := range at.queue {
			if q.request == i {
				return
			}
			if q.owner != mine.owner && q.mode.Conflicts(mine.mode) {
				yield(at, q)
			}
		}
	})
}

// eachLine calls visit for every line that request i is queued in.
func (g *Graph) eachLine(i int, visit func(at *line, mine slot)) {
	r := &g.requests[i]
	if r.State != lock.Queued {
		return
	}
	n := g.node[r.Owner]
	for _, res := range r.Resources {
		visit(&g.lines[g.place[place{r.Namespace, res.Key}]], slot{request: i, owner: n, mode: res.Mode})
	}
}

// Edges spells out every edge: requests in ascending order of ids, each with
// holders before requests ahead, each with its keys in order; then the declared waits.
// Their number grows with the square of a queue's length: it stops after a
// request with which there are limit or more, and answers whether some are left
// out.
func (g *Graph) Edges(limit int) (all []Edge, truncated bool) {
	for i := range g.requests {
		if len(all) >= limit {
			return all, true
		}
		g.blockers(i, func(kind Kind, at *line, blocker slot) {
			all = append(all, g.edge(i, kind, at, blocker.request))
		})
	}
	for i := range g.waits {
		all = append(all, g.declared(i))
	}
	return all, false
}

// NamespaceOf is the namespace of a request, or "" for one that is not in the
// graph.
func (g *Graph) NamespaceOf(id lock.ID) lock.Namespace {
	if r, ok := g.find(id); ok {
		return r.Namespace
	}
	return ""
}

func (g *Graph) edge(request int, kind Kind, at *line, blocker int) Edge {
	r, b := &g.requests[request], &g.requests[blocker]
	return Edge{
		From: r.Owner, To: b.Owner, Kind: kind, Namespace: at.namespace,
		Request: r.ID, Resource: at.key, Blocker: b.ID, Token: b.Token,
	}
}

func (g *Graph) declared(wait int) Edge {
	w := &g.waits[wait]
	return Edge{From: w.Owner, To: w.For, Kind: Declared, Namespace: w.Namespace, Request: w.ID}
}

// Stands reports whether every edge of a cycle is in the graph, with the same
// request, the same blocker and the same token. A cycle of a first read that
// stands in a second one, begun after the first had ended, existed as a whole
// at one moment: nobody in it can have moved in between.
func (g *Graph) Stands(c Cycle) bool {
	for i := range c {
		if !g.has(&c[i]) {
			return false
		}
	}
	return len(c) > 0
}

func (g *Graph) has(e *Edge) bool {
	if e.Kind == Declared {
		return slices.ContainsFunc(g.waits, func(w Wait) bool {
			return w.ID == e.Request && w.Owner == e.From && w.For == e.To
		})
	}
	r, ok := g.find(e.Request)
	if !ok || r.State != lock.Queued || r.Owner != e.From {
		return false
	}
	b, ok := g.find(e.Blocker)
	if !ok || b.Owner != e.To || b.Token != e.Token || b.Namespace != r.Namespace {
		return false
	}
	want, mine := r.mode(e.Resource)
	has, theirs := b.mode(e.Resource)
	if !mine || !theirs || !want.Conflicts(has) {
		return false
	}
	if e.Kind == Hard {
		return b.holds()
	}
	return b.State == lock.Queued && b.ahead(r)
}
