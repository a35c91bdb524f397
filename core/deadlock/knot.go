package deadlock

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/lockgate/lockgate/core/lock"
)

// knot is one deadlock under study: a strongly connected component and what was
// found out about it.
type knot struct {
	*study

	id     int   // label of its nodes
	owners []int // ascending by name
	rings  [][]int
}

// study is everything that one search found, with what its knots share. It is
// for one goroutine.
type study struct {
	g         *Graph
	walk      *walker
	label     []int        // by node: its knot from 1 on, 0 none
	hard      []int        // by node: its ring of hard and declared edges from 1 on, 0 none
	withdrawn map[int]bool // declared waits that must go
	backward  *backward
	knots     []knot
}

// examine searches from the given nodes.
func examine(g *Graph, roots []int) *study {
	s := &study{g: g}
	components := g.components(roots, anyArc)
	if len(components) == 0 {
		return s
	}
	s.walk = newWalker(g)
	s.label, s.hard = make([]int, g.nodes), make([]int, g.nodes)
	s.backward = newBackward(g)
	var nodes []int
	for i, c := range components {
		k := knot{study: s, id: i + 1}
		for _, n := range c {
			s.label[n] = k.id
			if g.isOwner(n) {
				k.owners = append(k.owners, n)
			}
		}
		slices.SortFunc(k.owners, func(a, b int) int { return cmp.Compare(g.owners[a], g.owners[b]) })
		nodes = append(nodes, c...)
		s.knots = append(s.knots, k)
	}
	s.withdraw(nodes)
	s.findRings(nodes)
	return s
}

// withdraw picks, in every ring of declared waits alone, the latest
// declaration: nobody in it waits for a lock, so nobody else can give way.
func (s *study) withdraw(nodes []int) {
	if len(s.g.waits) == 0 {
		return
	}
	s.withdrawn = make(map[int]bool)
	declared := func(_ int, a *arc) bool { return a.kind == Declared && !s.withdrawn[a.request] }
	for {
		rings := s.g.components(nodes, declared)
		if len(rings) == 0 {
			return
		}
		for _, r := range rings {
			s.withdrawn[s.latestWait(r)] = true
		}
	}
}

// latestWait is the declared wait inside a component that was declared last.
func (s *study) latestWait(nodes []int) int {
	inside := make(map[int]bool, len(nodes))
	for _, n := range nodes {
		inside[n] = true
	}
	latest := -1
	for _, n := range nodes {
		for _, a := range s.g.from(n) {
			if a.kind == Declared && !s.isWithdrawn(&a) && inside[a.to] && (latest < 0 || s.later(a.request, latest)) {
				latest = a.request
			}
		}
	}
	return latest
}

func (s *study) later(a, b int) bool {
	x, y := &s.g.waits[a], &s.g.waits[b]
	return cmp.Or(x.Declared.Compare(y.Declared), cmp.Compare(x.ID, y.ID)) > 0
}

// findRings finds what stays a deadlock whatever the order of the queues is.
func (s *study) findRings(nodes []int) {
	fixed := func(_ int, a *arc) bool { return a.kind != Soft && !s.isWithdrawn(a) }
	for i, ring := range s.g.components(nodes, fixed) {
		for _, n := range ring {
			s.hard[n] = i + 1
		}
		k := &s.knots[s.label[ring[0]]-1]
		k.rings = append(k.rings, ring)
	}
}

func (s *study) isWithdrawn(a *arc) bool { return a.kind == Declared && s.withdrawn[a.request] }

// within follows the arcs of one ring, but not the lock waits of those who gave
// way.
func (s *study) within(ring int, gaveWay map[int]bool) follow {
	return func(from int, a *arc) bool {
		switch {
		case s.hard[from] != ring || s.hard[a.to] != ring:
			return false
		case a.kind == Declared:
			return !s.withdrawn[a.request]
		default:
			return a.kind == Hard && !gaveWay[from]
		}
	}
}

// tries bounds for how many of n owners the shortest cycle through them is
// looked for: all of a small deadlock, fewer the longer each walk is.
func tries(n int) int { return min(n, max(1, min(64, 4096/n))) }

// cycle is the shortest ring of a knot, of the edges that decide how it is
// resolved; among equals the one met first from the owners in order of their
// names, whoever searched. In a large knot a shorter one may be missed.
func (k *knot) cycle() Cycle {
	owners, inside := k.decisive()
	var shortest Cycle
	limit := len(k.owners)
	for _, n := range owners[:tries(len(owners))] {
		if c := k.walk.cycle(n, limit, inside); c != nil {
			shortest, limit = c, len(c)-1
		}
		if limit < 2 {
			break
		}
	}
	return fromSmallest(shortest)
}

// name is the id of a knot: of the owners in its rings and of what they wait for
// in them. It is the same in every snapshot that holds the knot, whatever else
// is in it.
func (k *knot) name() string {
	owners, _ := k.decisive()
	var words []byte
	for _, n := range owners {
		words = fmt.Appendf(words, "%q\n", k.g.owners[n])
		for _, i := range k.g.mine[n] {
			if k.g.requests[i].State == lock.Queued && (k.hard[n] == 0 || len(k.blockersInRing(i, n)) > 0) {
				words = fmt.Appendln(words, k.g.requests[i].ID)
			}
		}
		for _, a := range k.g.from(n) {
			if a.kind == Declared && k.label[a.to] == k.id {
				words = fmt.Appendln(words, k.g.waits[a.request].ID)
			}
		}
	}
	sum := sha256.Sum256(words)
	return hex.EncodeToString(sum[:16])
}

// decisive answers owners of which each is in a ring, and the arcs of these
// rings: without soft edges if there are such, else of declared waits alone if
// one of them must go, else all.
func (k *knot) decisive() ([]int, follow) {
	inside := func(from int, a *arc) bool { return k.label[from] == k.id && k.label[a.to] == k.id }
	if i := slices.IndexFunc(k.owners, func(n int) bool { return k.hard[n] != 0 }); i >= 0 {
		ring := k.hard[k.owners[i]]
		return k.ownersWhere(func(n int) bool { return k.hard[n] == ring }), k.within(ring, nil)
	}
	if gone := k.withdrawals(); len(gone) > 0 {
		leaves := func(a arc) bool { return k.isWithdrawn(&a) }
		return k.ownersWhere(func(n int) bool { return slices.ContainsFunc(k.g.from(n), leaves) }),
			func(from int, a *arc) bool { return a.kind == Declared && inside(from, a) }
	}
	return k.owners, inside
}

func (k *knot) ownersWhere(is func(n int) bool) []int {
	return slices.DeleteFunc(slices.Clone(k.owners), func(n int) bool { return !is(n) })
}

// withdrawals lists the declared waits of the knot that must go.
func (k *knot) withdrawals() []lock.ID {
	var ids []lock.ID
	for i := range k.g.waits {
		if k.withdrawn[i] && k.label[k.g.node[k.g.waits[i].Owner]] == k.id {
			ids = append(ids, k.g.waits[i].ID)
		}
	}
	return ids
}

// candidates lists, ascending by owner, who could give way, with their facts.
func (k *knot) candidates() []Candidate {
	blocked := k.backward.count(k.owners) - 1
	var found []Candidate
	for _, n := range k.owners {
		if k.hard[n] == 0 {
			continue
		}
		c := k.g.facts(n, k.g.at)
		for _, i := range k.g.mine[n] {
			if len(k.blockersInRing(i, n)) > 0 {
				c.addWait(&k.g.requests[i], k.g.at)
			}
		}
		if len(c.Requests) == 0 {
			continue
		}
		c.Blocked = blocked
		c.Preemptible = k.preemptible(n)
		found = append(found, c)
	}
	return found
}

// wanted lists the held locks of an owner that others of its ring wait for.
func (k *knot) wanted(n int) []Taken {
	var locks []Taken
	for _, i := range k.g.mine[n] {
		r := &k.g.requests[i]
		if r.State == lock.Held && k.isWanted(r, n) {
			locks = append(locks, Taken{ID: r.ID, Token: r.Token, Preemptible: r.Preemptible})
		}
	}
	return locks
}

func (k *knot) isWanted(r *Request, n int) bool {
	for _, res := range r.Resources {
		at := &k.g.lines[k.g.place[place{r.Namespace, res.Key}]]
		for _, q := range at.queue {
			if q.owner != n && k.hard[q.owner] == k.hard[n] && q.mode.Conflicts(res.Mode) {
				return true
			}
		}
	}
	return false
}

func (k *knot) preemptible(n int) bool {
	locks := k.wanted(n)
	return len(locks) > 0 && !slices.ContainsFunc(locks, func(t Taken) bool { return !t.Preemptible })
}

// backward answers who waits for somebody, directly or not.
type backward struct {
	g     *Graph
	first []int
	nodes []int // those before node n: nodes[first[n]:first[n+1]]
	met   []int
	round int
}

func newBackward(g *Graph) *backward {
	b := &backward{g: g, first: make([]int, g.nodes+1), nodes: make([]int, len(g.arcs)), met: make([]int, g.nodes)}
	for i := range g.arcs {
		b.first[g.arcs[i].to+1]++
	}
	for n := range g.nodes {
		b.first[n+1] += b.first[n]
	}
	next := slices.Clone(b.first)
	for n := range g.nodes {
		for _, a := range g.from(n) {
			b.nodes[next[a.to]] = n
			next[a.to]++
		}
	}
	return b
}

// count counts the owners from which some of the given nodes can be reached,
// those among the given too.
func (b *backward) count(nodes []int) int {
	b.round++
	todo := slices.Clone(nodes)
	for _, n := range nodes {
		b.met[n] = b.round
	}
	for i := 0; i < len(todo); i++ {
		for _, p := range b.nodes[b.first[todo[i]]:b.first[todo[i]+1]] {
			if b.met[p] != b.round {
				b.met[p] = b.round
				todo = append(todo, p)
			}
		}
	}
	return b.g.countOwners(todo)
}
