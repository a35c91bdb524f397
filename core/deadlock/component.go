package deadlock

import "slices"

// follow says whether a search may use an arc that leaves a node.
type follow func(from int, a *arc) bool

// anyArc uses every arc.
func anyArc(int, *arc) bool { return true }

// components finds the strongly connected components with at least two owners
// that can be reached from roots. Each lists its nodes, junctions too. A
// component comes after every component that it can reach.
func (g *Graph) components(roots []int, may follow) [][]int {
	if len(roots) == 0 {
		return nil
	}
	var found [][]int
	t := newTarjan(g.nodes, g.successors(may), func(nodes []int) {
		if g.countOwners(nodes) > 1 {
			found = append(found, slices.Clone(nodes))
		}
	})
	for _, r := range roots {
		t.visit(r)
	}
	return found
}

func (g *Graph) countOwners(nodes []int) int {
	n := 0
	for _, v := range nodes {
		if g.isOwner(v) {
			n++
		}
	}
	return n
}

// successors steps through the arcs of a node that may be followed.
func (g *Graph) successors(may follow) func(*frame) (int, bool) {
	return func(f *frame) (int, bool) {
		arcs := g.from(f.node)
		for f.next < len(arcs) {
			a := &arcs[f.next]
			f.next++
			if may(f.node, a) {
				return a.to, true
			}
		}
		return 0, false
	}
}

// tarjan finds strongly connected components in one pass, with a stack of its
// own instead of recursion: a ring may have any length.
type tarjan struct {
	successor func(*frame) (int, bool) // the next neighbour of the frame's node
	found     func(nodes []int)        // called with each component, those it reaches first; nodes must not be kept
	clock     int32
	seen      []int32 // when a node was met; 0: not yet, -1: its component is known
	low       []int32 // the earliest node known to be reachable within the component
	stack     []int   // nodes whose component is not known yet
	path      []frame
}

type frame struct {
	node int
	next int // neighbours looked at
}

func newTarjan(nodes int, successor func(*frame) (int, bool), found func([]int)) *tarjan {
	return &tarjan{successor: successor, found: found, seen: make([]int32, nodes), low: make([]int32, nodes)}
}

func (t *tarjan) visit(root int) {
	if t.seen[root] != 0 {
		return
	}
	t.enter(root)
	for len(t.path) > 0 {
		f := &t.path[len(t.path)-1]
		if to, more := t.step(f); more {
			t.enter(to)
			continue
		}
		node := f.node
		t.path = t.path[:len(t.path)-1]
		if len(t.path) > 0 {
			above := t.path[len(t.path)-1].node
			t.low[above] = min(t.low[above], t.low[node])
		}
		if t.low[node] == t.seen[node] {
			t.close(node)
		}
	}
}

func (t *tarjan) enter(node int) {
	t.clock++
	t.seen[node], t.low[node] = t.clock, t.clock
	t.stack = append(t.stack, node)
	t.path = append(t.path, frame{node: node})
}

// step looks for the next node to go down to.
func (t *tarjan) step(f *frame) (int, bool) {
	for {
		to, more := t.successor(f)
		switch {
		case !more:
			return 0, false
		case t.seen[to] == 0:
			return to, true
		case t.seen[to] > 0:
			t.low[f.node] = min(t.low[f.node], t.seen[to])
		}
	}
}

// close takes the component of node off the stack.
func (t *tarjan) close(node int) {
	at := len(t.stack) - 1
	for t.stack[at] != node {
		at--
	}
	nodes := t.stack[at:]
	for _, n := range nodes {
		t.seen[n] = -1
	}
	t.found(nodes)
	t.stack = t.stack[:at]
}

// walker finds shortest ways. It is for one goroutine and can be used again.
type walker struct {
	g      *Graph
	round  int
	met    []int // round in which a node was met
	by     []int // arc by which it was met
	source []int // node from which it was met
	level  []int
	next   []int
}

func newWalker(g *Graph) *walker {
	return &walker{g: g, met: make([]int, g.nodes), by: make([]int, g.nodes), source: make([]int, g.nodes)}
}

// cycle answers the ring with the fewest owners through an owner, at most
// limit of them, or nil.
func (w *walker) cycle(start, limit int, may follow) Cycle {
	w.round++
	w.level = append(w.level[:0], start)
	for range limit {
		w.next = w.next[:0]
		for at := 0; at != len(w.level); at++ { // spread adds junctions to it
			if last, closed := w.spread(w.level[at], start, may); closed {
				return w.trace(start, w.level[at], last)
			}
		}
		if len(w.next) == 0 {
			return nil
		}
		w.level, w.next = w.next, w.level
	}
	return nil
}

// spread meets everybody one arc away: junctions count as the same distance,
// owners as one further. It answers the arc that comes back to start.
func (w *walker) spread(node, start int, may follow) (int, bool) {
	for i := w.g.first[node]; i < w.g.first[node+1]; i++ {
		a := &w.g.arcs[i]
		if !may(node, a) {
			continue
		}
		if a.to == start {
			return i, true
		}
		if w.met[a.to] == w.round {
			continue
		}
		w.met[a.to], w.by[a.to], w.source[a.to] = w.round, i, node
		if w.g.isOwner(a.to) {
			w.next = append(w.next, a.to)
		} else {
			w.level = append(w.level, a.to)
		}
	}
	return 0, false
}

// trace walks back from the arc that closed the ring.
func (w *walker) trace(start, node, last int) Cycle {
	arcs := []int{last}
	for node != start {
		arcs = append(arcs, w.by[node])
		node = w.source[node]
	}
	var ring Cycle
	var open *arc
	for _, i := range slices.Backward(arcs) {
		a := &w.g.arcs[i]
		if a.request >= 0 {
			open = a
		}
		if w.g.isOwner(a.to) {
			ring = append(ring, w.g.ringEdge(open, a))
		}
	}
	return ring
}

// ringEdge joins the arc that leaves an owner and the arc that arrives at the
// next one; they are the same when there is no junction between.
func (g *Graph) ringEdge(leaves, arrives *arc) Edge {
	if leaves.kind == Declared {
		return g.declared(leaves.request)
	}
	return g.edge(leaves.request, leaves.kind, &g.lines[leaves.line], arrives.blocker)
}

// reach lists every node that can be reached from roots, roots first.
func (g *Graph) reach(roots []int, may follow) []int {
	seen := make([]bool, g.nodes)
	found := make([]int, 0, len(roots))
	meet := func(n int) {
		if !seen[n] {
			seen[n] = true
			found = append(found, n)
		}
	}
	for _, r := range roots {
		meet(r)
	}
	for at := 0; at != len(found); at++ { // meet adds to it
		arcs := g.from(found[at])
		for j := range arcs {
			if may(found[at], &arcs[j]) {
				meet(arcs[j].to)
			}
		}
	}
	return found
}
