package deadlock

import (
	"slices"

	"github.com/lockgate/lockgate/core/lock"
)

// builder draws the arcs of a graph.
//
// In a queue of n exclusive requests each waits for all ahead of it: n²/2
// pairs. The builder draws them with junctions, one a place in the queue, that
// stand for "everybody up to here":
//
//	queue of a key     r1 ◄──────── r2 ◄──────── r3          r4
//	                     ▲          ▲            ▲            │
//	junctions            └────────  j2  ◄─────── j3  ◄────────┘ waits for r1, r2, r3
//
// Shared requests wait for the exclusive ones only, which have junctions of
// their own. An owner never waits for itself: where it has a request further
// ahead in the same queue the walk goes around it arc by arc. Many holders of
// one key are joined in the same way, from both ends, so that somebody who
// holds the key and wants to upgrade can wait for all others.
type builder struct {
	g     *Graph
	nodes int
	links []link
}

type link struct {
	from int
	arc
}

// chain is a row of slots with one junction a slot, made when somebody needs it.
type chain struct {
	slots     []slot
	junctions []int       // junctions[i] leads to slots[:i+2]
	firstOwn  map[int]int // index of an owner's first slot; nil: not kept
	line      int
	kind      Kind
}

func newBuilder(g *Graph) *builder {
	return &builder{g: g, nodes: len(g.owners), links: make([]link, 0, 2*len(g.requests))}
}

func (b *builder) build() {
	for i := range b.g.lines {
		if len(b.g.lines[i].queue) > 0 {
			b.holders(i)
			b.queue(i)
		}
	}
	for i := range b.g.waits {
		w := &b.g.waits[i]
		if w.Owner != w.For {
			b.draw(b.g.node[w.Owner], arc{to: b.g.node[w.For], kind: Declared, request: i, line: -1, blocker: -1})
		}
	}
	b.finish()
}

// finish sorts the links into the graph's arcs.
func (b *builder) finish() {
	g := b.g
	g.nodes = b.nodes
	g.first = make([]int, b.nodes+1)
	for i := range b.links {
		g.first[b.links[i].from+1]++
	}
	for n := range b.nodes {
		g.first[n+1] += g.first[n]
	}
	g.arcs = make([]arc, len(b.links))
	next := slices.Clone(g.first)
	for i := range b.links {
		l := &b.links[i]
		g.arcs[next[l.from]] = l.arc
		next[l.from]++
	}
}

func (b *builder) draw(from int, a arc) { b.links = append(b.links, link{from, a}) }

// holders draws the hard arcs of one line.
func (b *builder) holders(l int) {
	at := &b.g.lines[l]
	all := newCrowd(at.holders, l)
	exclusive := newCrowd(slices.DeleteFunc(slices.Clone(at.holders), func(s slot) bool { return s.mode != lock.Exclusive }), l)
	for _, w := range at.queue {
		if w.mode == lock.Exclusive {
			b.toOthers(all, w)
		} else {
			b.toOthers(exclusive, w)
		}
	}
}

// crowd is a set of slots sorted by owner, chained from both ends.
type crowd struct {
	up, down chain
}

func newCrowd(slots []slot, l int) *crowd {
	back := slices.Clone(slots)
	slices.Reverse(back)
	return &crowd{up: chain{slots: slots, line: l, kind: Hard}, down: chain{slots: back, line: l, kind: Hard}}
}

// toOthers draws w's wait for everybody in the crowd but its own owner.
func (b *builder) toOthers(c *crowd, w slot) {
	low, _ := slices.BinarySearchFunc(c.up.slots, w.owner, func(s slot, o int) int { return s.owner - o })
	high, _ := slices.BinarySearchFunc(c.up.slots, w.owner+1, func(s slot, o int) int { return s.owner - o })
	if low == high {
		b.toFirst(&c.up, len(c.up.slots), w)
		return
	}
	b.toFirst(&c.up, low, w)
	b.toFirst(&c.down, len(c.up.slots)-high, w)
}

// queue draws the soft arcs of one line.
func (b *builder) queue(l int) {
	at := &b.g.lines[l]
	if len(at.queue) < 2 {
		return
	}
	all := chain{line: l, kind: Soft, firstOwn: make(map[int]int, len(at.queue))}
	exclusive := chain{line: l, kind: Soft, firstOwn: make(map[int]int, len(at.queue))}
	for _, w := range at.queue {
		if w.mode == lock.Exclusive {
			b.toAhead(&all, w)
			exclusive.add(w)
		} else {
			b.toAhead(&exclusive, w)
		}
		all.add(w)
	}
}

func (c *chain) add(s slot) {
	if _, known := c.firstOwn[s.owner]; !known {
		c.firstOwn[s.owner] = len(c.slots)
	}
	c.slots = append(c.slots, s)
}

// toAhead draws w's wait for everybody in the chain but its own owner. An
// exclusive request of that owner has drawn everything ahead of itself already.
func (b *builder) toAhead(c *chain, w slot) {
	own, known := c.firstOwn[w.owner]
	if !known {
		own = len(c.slots)
	}
	for i := len(c.slots) - 1; i > own; i-- {
		s := c.slots[i]
		if s.owner != w.owner {
			b.toSlot(c, s, w)
		} else if s.mode == lock.Exclusive {
			return
		}
	}
	if known && c.slots[own].mode == lock.Exclusive {
		return
	}
	b.toFirst(c, own, w)
}

// toFirst draws w's wait for the first n slots of a chain, none of them its
// owner's.
func (b *builder) toFirst(c *chain, n int, w slot) {
	switch n {
	case 0:
	case 1:
		b.toSlot(c, c.slots[0], w)
	default:
		b.draw(w.owner, arc{to: b.junction(c, n), kind: c.kind, request: w.request, line: c.line, blocker: -1})
	}
}

func (b *builder) toSlot(c *chain, s, w slot) {
	b.draw(w.owner, arc{to: s.owner, kind: c.kind, request: w.request, line: c.line, blocker: s.request})
}

// junction is the node that leads to the first n slots, n at least 2.
func (b *builder) junction(c *chain, n int) int {
	for len(c.junctions) < n-1 {
		i := len(c.junctions) + 1
		j := b.nodes
		b.nodes++
		b.fromJunction(j, c, c.slots[i])
		if i == 1 {
			b.fromJunction(j, c, c.slots[0])
		} else {
			b.draw(j, arc{to: c.junctions[i-2], kind: c.kind, request: -1, line: c.line, blocker: -1})
		}
		c.junctions = append(c.junctions, j)
	}
	return c.junctions[n-2]
}

func (b *builder) fromJunction(j int, c *chain, s slot) {
	b.draw(j, arc{to: s.owner, kind: c.kind, request: -1, line: c.line, blocker: s.request})
}
