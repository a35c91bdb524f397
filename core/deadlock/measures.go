package deadlock

import (
	"slices"

	"github.com/lockgate/lockgate/core/lock"
)

// Measures describe the shape of one deadlock: its owners and every edge
// between two of them.
type Measures struct {
	Owners      int
	Edges       int            // pairs of owners of which one waits for the other; 0 beyond 128 owners
	LongestPath int            // steps on the longest of all shortest ways; 0 beyond 128 owners
	Clustering  float64        // mean of the owners'; 0 beyond 128 owners
	Each        []OwnerMeasure // ascending by owner; empty beyond 128 owners
}

// OwnerMeasure is the place of one owner in a deadlock.
type OwnerMeasure struct {
	Owner       lock.Owner
	WaitsFor    int     // owners it waits for, itself
	WaitedBy    int     // owners that wait for it, themselves
	Betweenness float64 // share of the shortest ways between two others that pass it, 0 to 1
	Clustering  float64 // share of the pairs of its neighbours that are joined, 0 to 1
}

// measured is the largest deadlock whose shape is worked out. The work grows
// with owners times edges, and nobody looks at a picture with more.
const measured = 128

// mesh is a deadlock with every edge spelled out, nodes numbered in order of
// the owners' names. It is empty when the deadlock is too large.
type mesh struct {
	owners  []lock.Owner
	out, in [][]int
	paths   shortestPaths
	size    int
}

func (k *knot) mesh() *mesh {
	m := &mesh{size: len(k.owners)}
	if len(k.owners) > measured {
		return m
	}
	at := make(map[int]int, len(k.owners))
	for i, n := range k.owners {
		at[n] = i
		m.owners = append(m.owners, k.g.owners[n])
	}
	m.out, m.in = make([][]int, len(k.owners)), make([][]int, len(k.owners))
	join := func(from, to int) {
		if t, inside := at[to]; inside {
			m.out[at[from]], m.in[t] = insert(m.out[at[from]], t), insert(m.in[t], at[from])
		}
	}
	for _, n := range k.owners {
		for _, i := range k.g.mine[n] {
			k.g.blockers(i, func(_ Kind, _ *line, b slot) { join(n, b.owner) })
		}
		for _, a := range k.g.from(n) {
			if a.kind == Declared {
				join(n, a.to)
			}
		}
	}
	m.paths = m.shortestPaths()
	return m
}

func (m *mesh) measures() Measures {
	all := Measures{Owners: m.size, LongestPath: m.paths.longest}
	for v := range m.owners {
		each := OwnerMeasure{
			Owner: m.owners[v], WaitsFor: len(m.out[v]), WaitedBy: len(m.in[v]),
			Betweenness: m.paths.betweenness[v], Clustering: m.clustering(v),
		}
		all.Edges += each.WaitsFor
		all.Clustering += each.Clustering / float64(len(m.owners))
		all.Each = append(all.Each, each)
	}
	return all
}

// describe fills what the shape says about candidates.
func (m *mesh) describe(candidates []Candidate) {
	if len(m.owners) == 0 {
		return
	}
	for i := range candidates {
		c := &candidates[i]
		v, _ := slices.BinarySearch(m.owners, c.Owner)
		c.Centrality = m.paths.betweenness[v]
		c.Frees = m.frees(v)
	}
}

// frees counts who can finish once v waits no more: v, then everybody who waits
// only for those who can.
func (m *mesh) frees(v int) int {
	waits := make([]int, len(m.out))
	for i := range m.out {
		waits[i] = len(m.out[i])
	}
	waits[v] = 0
	free := []int{v}
	for i := 0; i < len(free); i++ {
		for _, p := range m.in[free[i]] {
			if waits[p]--; waits[p] == 0 {
				free = append(free, p)
			}
		}
	}
	return len(free)
}

func (m *mesh) clustering(v int) float64 {
	near := slices.Clone(m.out[v])
	for _, p := range m.in[v] {
		near = insert(near, p)
	}
	if len(near) < 2 {
		return 0
	}
	joined := 0
	for _, a := range near {
		for _, b := range m.out[a] {
			if contains(near, b) {
				joined++
			}
		}
	}
	return float64(joined) / float64(len(near)*(len(near)-1))
}

type shortestPaths struct {
	longest     int
	betweenness []float64
}

// shortestPaths is Brandes' algorithm: from every owner one search by distance,
// then the shares of the ways are added up from the far end.
func (m *mesh) shortestPaths() shortestPaths {
	n := len(m.owners)
	p := shortestPaths{betweenness: make([]float64, n)}
	for s := range n {
		t := m.treeFrom(s)
		p.longest = max(p.longest, t.distance[t.order[len(t.order)-1]])
		share := make([]float64, n)
		for i := len(t.order) - 1; i > 0; i-- {
			v := t.order[i]
			for _, u := range t.before[v] {
				share[u] += t.ways[u] / t.ways[v] * (1 + share[v])
			}
			p.betweenness[v] += share[v]
		}
	}
	for v := range n {
		if n > 2 {
			p.betweenness[v] /= float64((n - 1) * (n - 2))
		}
	}
	return p
}

// tree is every shortest way from one owner.
type tree struct {
	order    []int // by distance
	distance []int // -1: not reached
	ways     []float64
	before   [][]int
}

func (m *mesh) treeFrom(s int) *tree {
	n := len(m.owners)
	t := &tree{order: []int{s}, distance: make([]int, n), ways: make([]float64, n), before: make([][]int, n)}
	for v := range t.distance {
		t.distance[v] = -1
	}
	t.distance[s], t.ways[s] = 0, 1
	for i := 0; i < len(t.order); i++ {
		u := t.order[i]
		for _, v := range m.out[u] {
			if t.distance[v] < 0 {
				t.distance[v] = t.distance[u] + 1
				t.order = append(t.order, v)
			}
			if t.distance[v] == t.distance[u]+1 {
				t.ways[v] += t.ways[u]
				t.before[v] = append(t.before[v], u)
			}
		}
	}
	return t
}
