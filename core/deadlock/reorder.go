package deadlock

import (
	"cmp"
	"slices"

	"github.com/lockgate/lockgate/core/lock"
)

// Move gives a queued request a better place. It stays queued and is offered
// when it can be.
type Move struct {
	Request   lock.ID
	Namespace lock.Namespace
	Score     int64     // its new place in every queue
	Passes    []lock.ID // the conflicting requests that it then stands ahead of, ascending
}

// planner looks for moves that leave a deadlock without a cycle.
//
// The hard and declared edges of the deadlock have no cycle of their own, so
// its owners can be numbered such that each waits only for smaller numbers. A
// soft edge that leads to a larger number is wrong; every cycle has one. Turning
// it around moves the waiting request ahead of the other, and takes along
// whatever it would otherwise pass wrongly. Each such step leaves fewer wrong
// edges, so the planner ends, and no edge outside the deadlock becomes wrong, so
// it makes no new one.
type planner struct {
	original []Request // ascending by id
	part     Snapshot  // the same with new scores
	g        *Graph    // of part
	number   map[lock.Owner]int
	members  map[lock.Owner]bool // of the deadlock
	others   map[lock.Owner]bool // of other deadlocks that it waits for
}

// moves answers the moves that resolve a knot without rings, ascending by
// request, and as few as can be told by leaving out one after the other.
func (k *knot) moves() []Move {
	p := k.planner()
	for {
		comp := p.ring()
		if comp == nil || !p.turn(comp) {
			break
		}
	}
	return p.fewest()
}

// planner cuts out what the knot can reach: nothing else can come to wait for
// it by a move.
func (k *knot) planner() *planner {
	p := &planner{members: make(map[lock.Owner]bool), others: make(map[lock.Owner]bool), number: make(map[lock.Owner]int)}
	p.part.At = k.g.at
	reached := make(map[lock.Owner]bool)
	for _, n := range k.g.reach(k.owners, anyArc) {
		if !k.g.isOwner(n) {
			continue
		}
		reached[k.g.owners[n]] = true
		for _, i := range k.g.mine[n] {
			p.part.Requests = append(p.part.Requests, k.g.requests[i])
		}
		if k.label[n] == k.id {
			p.members[k.g.owners[n]] = true
		}
	}
	for i := range k.g.waits {
		if reached[k.g.waits[i].Owner] && !k.withdrawn[i] {
			p.part.Waits = append(p.part.Waits, k.g.waits[i])
		}
	}
	slices.SortFunc(p.part.Requests, func(a, b Request) int { return cmp.Compare(a.ID, b.ID) })
	p.original = slices.Clone(p.part.Requests)
	p.redraw()
	for _, comp := range p.g.components(p.g.everybody(), anyArc) {
		p.noteOthers(comp)
	}
	p.count()
	return p
}

func (p *planner) redraw() { p.g = NewGraph(&p.part) }

func (p *planner) noteOthers(comp []int) {
	for _, n := range comp {
		if p.g.isOwner(n) && !p.members[p.g.owners[n]] {
			p.others[p.g.owners[n]] = true
		}
	}
}

// count numbers the owners, beginning the walk at those who stand first in
// their queues so that few edges are wrong. The owners of another deadlock's
// ring get numbers in a row, which keeps its edges out of our cycles.
func (p *planner) count() {
	roots := p.g.everybody()
	first := make([]int, len(roots))
	for n := range roots {
		first[n] = -1
		for _, i := range p.g.mine[n] {
			if p.g.requests[i].State == lock.Queued && (first[n] < 0 || p.g.requests[i].ahead(&p.g.requests[first[n]])) {
				first[n] = i
			}
		}
	}
	slices.SortFunc(roots, func(a, b int) int {
		if first[a] < 0 || first[b] < 0 {
			return cmp.Or(cmp.Compare(first[a], first[b]), a-b)
		}
		return cmp.Or(cmp.Compare(p.g.requests[first[a]].Score, p.g.requests[first[b]].Score), cmp.Compare(first[a], first[b]), a-b)
	})
	fixed := p.g.successors(func(_ int, a *arc) bool { return a.kind != Soft })
	t := newTarjan(p.g.nodes, fixed, func(nodes []int) {
		for _, n := range nodes {
			if p.g.isOwner(n) {
				p.number[p.g.owners[n]] = len(p.number)
			}
		}
	})
	for _, n := range roots {
		t.visit(n)
	}
}

// ring answers a component that still has members in it, or nil.
func (p *planner) ring() []int {
	for _, comp := range p.g.components(p.g.everybody(), anyArc) {
		for _, n := range comp {
			if p.g.isOwner(n) && p.members[p.g.owners[n]] {
				return comp
			}
		}
	}
	return nil
}

// turn moves the request of a wrong edge ahead of everybody in the component
// that it waits for wrongly. It answers false when no edge is wrong, which the
// numbers rule out.
func (p *planner) turn(comp []int) bool {
	inside := make(map[int]bool, len(comp))
	start := comp[0]
	for _, n := range comp {
		inside[n] = true
		if p.g.isOwner(n) && p.members[p.g.owners[n]] {
			start = n
		}
	}
	c := newWalker(p.g).cycle(start, len(comp), func(from int, a *arc) bool { return inside[from] && inside[a.to] })
	for i := range c {
		e := &c[i]
		if e.Kind == Soft && p.number[e.To] > p.number[e.From] {
			mover, target := p.index(e.Request), p.index(e.Blocker)
			p.place(mover, p.foremost(mover, target, inside))
			p.redraw()
			return true
		}
	}
	return false
}

func (p *planner) index(id lock.ID) int {
	i, _ := slices.BinarySearchFunc(p.part.Requests, id, func(r Request, id lock.ID) int { return cmp.Compare(r.ID, id) })
	return i
}

// foremost is the first request in the component that mover waits for wrongly;
// target is one of them.
func (p *planner) foremost(mover, target int, inside map[int]bool) int {
	m := &p.part.Requests[mover]
	for i := range p.part.Requests {
		r := &p.part.Requests[i]
		if r.State == lock.Queued && r.ahead(&p.part.Requests[target]) && inside[p.g.node[r.Owner]] &&
			p.number[r.Owner] > p.number[m.Owner] && r.conflicts(m) {
			target = i
		}
	}
	return target
}

// place puts a request directly ahead of another. Scores are whole numbers and
// ties go by id, so it may pass more than that one; whoever must stay ahead of
// it is placed ahead of it in turn.
func (p *planner) place(mover, target int) {
	m, t := &p.part.Requests[mover], &p.part.Requests[target]
	before := *m
	m.Score = t.Score
	if !m.ahead(t) {
		m.Score--
	}
	for i := range p.part.Requests {
		r := &p.part.Requests[i]
		if r.State == lock.Queued && r.ahead(&before) && m.ahead(r) && p.number[r.Owner] < p.number[m.Owner] && r.conflicts(m) {
			p.place(i, mover)
		}
	}
}

// fewest takes back every move without which the deadlock is resolved just as
// well, and lists the others.
func (p *planner) fewest() []Move {
	var moved []int
	for i := range p.part.Requests {
		if p.part.Requests[i].Score != p.original[i].Score {
			moved = append(moved, i)
		}
	}
	var list []Move
	for _, i := range moved {
		score := p.part.Requests[i].Score
		if len(moved) > 1 {
			p.part.Requests[i].Score = p.original[i].Score
			if p.redraw(); p.clean() {
				continue
			}
		}
		p.part.Requests[i].Score = score
		list = append(list, Move{Request: p.part.Requests[i].ID, Namespace: p.part.Requests[i].Namespace, Score: score})
	}
	for i := range list {
		list[i].Passes = p.passes(p.index(list[i].Request))
	}
	return list
}

// clean reports whether nobody is deadlocked but those of other deadlocks.
func (p *planner) clean() bool {
	for _, comp := range p.g.components(p.g.everybody(), anyArc) {
		for _, n := range comp {
			if p.g.isOwner(n) && !p.others[p.g.owners[n]] {
				return false
			}
		}
	}
	return true
}

func (p *planner) passes(mover int) []lock.ID {
	var ids []lock.ID
	m, was := &p.part.Requests[mover], &p.original[mover]
	for i := range p.part.Requests {
		r := &p.part.Requests[i]
		if r.State == lock.Queued && p.original[i].ahead(was) && m.ahead(r) && r.conflicts(m) {
			ids = append(ids, r.ID)
		}
	}
	return ids
}
