package deadlock

import "slices"

// web is a directed graph from which the cheapest set of nodes is sought that
// touches every cycle: a weighted feedback vertex set. Nodes that are not
// removable (junctions, declared waits) have no price; no cycle may consist of
// them alone.
//
// The problem is NP-hard; real deadlocks collapse under the reductions. What is
// left is solved exactly up to exactLimit removable nodes a component, by
// choice of price per broken path beyond.
type web struct {
	out, in   [][]int // ascending, without duplicates
	prices    []price
	removable []bool
	gone      []bool
}

// exactLimit is the number of owners in a component, after reduction, up to
// which the cheapest set is found for certain.
const exactLimit = 20

func newWeb(n int) *web {
	return &web{
		out: make([][]int, n), in: make([][]int, n),
		prices: make([]price, n), removable: make([]bool, n), gone: make([]bool, n),
	}
}

func (w *web) clone() *web {
	c := &web{prices: w.prices, removable: w.removable, gone: slices.Clone(w.gone), out: make([][]int, len(w.out)), in: make([][]int, len(w.in))}
	for i := range w.out {
		c.out[i], c.in[i] = slices.Clone(w.out[i]), slices.Clone(w.in[i])
	}
	return c
}

func (w *web) join(from, to int) {
	w.out[from] = insert(w.out[from], to)
	w.in[to] = insert(w.in[to], from)
}

// drop takes a node out with all its arcs.
func (w *web) drop(v int) {
	for _, p := range w.in[v] {
		w.out[p] = remove(w.out[p], v)
	}
	for _, s := range w.out[v] {
		w.in[s] = remove(w.in[s], v)
	}
	w.out[v], w.in[v], w.gone[v] = nil, nil, true
}

// bypass takes a node out and joins those before it to those behind it: the
// cycles stay, without the node.
func (w *web) bypass(v int) {
	before, behind := w.in[v], w.out[v]
	w.drop(v)
	for _, p := range before {
		for _, s := range behind {
			w.join(p, s)
		}
	}
}

// cheapest answers the nodes to remove, ascending. The web is used up.
func (w *web) cheapest() []int {
	whole := w.clone()
	chosen := w.reduce(nil)
	exact := true
	for {
		component := w.someCycle()
		if component == nil {
			break
		}
		if w.countRemovable(component) <= exactLimit {
			chosen = append(chosen, w.exact(component)...)
			for _, v := range component {
				if !w.gone[v] {
					w.drop(v)
				}
			}
			continue
		}
		exact = false
		v := w.bestRatio(component)
		chosen = append(chosen, v)
		w.drop(v)
		chosen = w.reduce(chosen)
	}
	if !exact {
		chosen = whole.better(whole.needed(chosen), whole.needed(whole.oneByOne()))
	}
	slices.Sort(chosen)
	return chosen
}

// reduce applies what never makes the cheapest set dearer: nodes that are in no
// cycle go; a node with an arc to itself is chosen; a node with one neighbour on
// a side is bypassed when that neighbour is no dearer, since every cycle through
// the node passes the neighbour too.
func (w *web) reduce(chosen []int) []int {
	for changed := true; changed; {
		changed = false
		for v := range w.out {
			if w.gone[v] {
				continue
			}
			switch {
			case len(w.in[v]) == 0 || len(w.out[v]) == 0:
				w.drop(v)
			case contains(w.out[v], v):
				chosen = append(chosen, v)
				w.drop(v)
			case w.dominated(v):
				w.bypass(v)
			default:
				continue
			}
			changed = true
		}
	}
	return chosen
}

func (w *web) dominated(v int) bool {
	return len(w.in[v]) == 1 && w.noDearer(w.in[v][0], v) || len(w.out[v]) == 1 && w.noDearer(w.out[v][0], v)
}

// noDearer reports whether u may be chosen instead of v.
func (w *web) noDearer(u, v int) bool {
	return !w.removable[v] || w.removable[u] && w.prices[u].compare(w.prices[v]) <= 0
}

func (w *web) countRemovable(component []int) int {
	n := 0
	for _, v := range component {
		if w.removable[v] {
			n++
		}
	}
	return n
}

// bestRatio is the node of a component that breaks the most pairs of ways for
// its price.
func (w *web) bestRatio(component []int) int {
	best := -1
	for _, v := range component {
		if w.removable[v] && (best < 0 || w.cheaperPerPath(v, best)) {
			best = v
		}
	}
	return best
}

func (w *web) cheaperPerPath(v, u int) bool {
	if w.prices[v].immune != w.prices[u].immune {
		return w.prices[v].immune < w.prices[u].immune
	}
	mine := float64(w.prices[v].cost) * float64(len(w.in[u])*len(w.out[u]))
	theirs := float64(w.prices[u].cost) * float64(len(w.in[v])*len(w.out[v]))
	return mine < theirs || mine == theirs && w.prices[v].compare(w.prices[u]) < 0
}

// oneByOne breaks one cycle after the other at its cheapest node: what a
// detector without a view of the whole would do.
func (w *web) oneByOne() []int {
	var chosen []int
	rest := w.clone()
	for {
		ring := rest.ring()
		if ring == nil {
			return chosen
		}
		v := rest.cheapestOf(ring)
		chosen = append(chosen, v)
		rest.drop(v)
	}
}

// someCycle answers the nodes of one component that has a cycle, ascending, or
// nil.
func (w *web) someCycle() []int {
	var cyclic []int
	t := newTarjan(len(w.out), w.successor, func(nodes []int) {
		if cyclic == nil && len(nodes) > 1 {
			cyclic = slices.Clone(nodes)
		}
	})
	for v := range w.out {
		if t.visit(v); cyclic != nil {
			break
		}
	}
	slices.Sort(cyclic)
	return cyclic
}

func (w *web) successor(f *frame) (int, bool) {
	if f.next == len(w.out[f.node]) {
		return 0, false
	}
	f.next++
	return w.out[f.node][f.next-1], true
}

// ring is a shortest cycle through the first node that is in one, or nil.
func (w *web) ring() []int {
	component := w.someCycle()
	if component == nil {
		return nil
	}
	start := component[0]
	from := map[int]int{start: start}
	todo := []int{start}
	for i := 0; i < len(todo); i++ {
		v := todo[i]
		for _, s := range w.out[v] {
			if s == start {
				ring := []int{start}
				for ; v != start; v = from[v] {
					ring = append(ring, v)
				}
				return ring
			}
			if _, met := from[s]; !met {
				from[s] = v
				todo = append(todo, s)
			}
		}
	}
	return nil
}

func (w *web) cheapestOf(nodes []int) int {
	best := -1
	for _, v := range nodes {
		if w.removable[v] && (best < 0 || w.prices[v].compare(w.prices[best]) < 0) {
			best = v
		}
	}
	return best
}

// needed drops, dearest first, whatever is chosen without need.
func (w *web) needed(chosen []int) []int {
	slices.SortFunc(chosen, func(a, b int) int { return w.prices[b].compare(w.prices[a]) })
	cut := make([]bool, len(w.out))
	for _, v := range chosen {
		cut[v] = true
	}
	kept := chosen[:0:0]
	for _, v := range chosen {
		cut[v] = false
		if w.returns(v, cut) {
			cut[v] = true
			kept = append(kept, v)
		}
	}
	return kept
}

// returns reports whether some way from v comes back to it past the cut nodes.
func (w *web) returns(v int, cut []bool) bool {
	seen := make([]bool, len(w.out))
	todo := []int{v}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, s := range w.out[n] {
			if s == v {
				return true
			}
			if !seen[s] && !cut[s] {
				seen[s] = true
				todo = append(todo, s)
			}
		}
	}
	return false
}

func (w *web) better(a, b []int) []int {
	if w.total(b).compare(w.total(a)) < 0 {
		return b
	}
	return a
}

func (w *web) total(chosen []int) price {
	var sum price
	for _, v := range chosen {
		sum = sum.plus(w.prices[v])
	}
	return sum
}

func insert(set []int, v int) []int {
	at, found := slices.BinarySearch(set, v)
	if found {
		return set
	}
	return slices.Insert(set, at, v)
}

func remove(set []int, v int) []int {
	if at, found := slices.BinarySearch(set, v); found {
		return slices.Delete(set, at, at+1)
	}
	return set
}

func contains(set []int, v int) bool {
	_, found := slices.BinarySearch(set, v)
	return found
}
