package deadlock

import (
	"cmp"
	"context"
	"slices"

	"github.com/lockgate/lockgate/core/lock"
)

// Finding is one deadlock and what resolves it: the moves when queue order
// alone made it, else the victims, and in any case the declared waits to
// withdraw.
type Finding struct {
	ID         string       // the same for whoever finds it, in whatever part of the table
	Owners     []lock.Owner // everybody in it, not who merely waits for it; ascending
	Cycle      Cycle        // its shortest ring, or the first victim's
	Moves      []Move
	Victims    []Victim
	Withdraw   []lock.ID   // declared waits; nobody in their ring waits for a lock
	Candidates []Candidate // ascending by owner; none when moves resolve it
	Policy     Policy      // who chose the victims
	Fallback   error       // why the configured policy did not choose
	Class      Class       // for Detector.Learn
	Measures   Measures
}

// Detector finds deadlocks and says how to resolve them. It may be used by many
// at once.
type Detector struct {
	cfg        Config
	extensions Extensions
	history    history
}

// New builds a detector. Extensions may be nil; a policy that names one then
// falls back to lowest_priority.
func New(cfg Config, extensions Extensions) (*Detector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Detector{cfg: cfg, extensions: extensions}, nil
}

// Find answers every deadlock that can be reached from the given owners, in
// order of the names of their first owners. Owners that are not in the graph
// are passed over. Everything but an extension's answer depends on the graph
// alone.
func (d *Detector) Find(ctx context.Context, g *Graph, from []lock.Owner) []Finding {
	return d.findings(ctx, g, g.nodesOf(from))
}

// Sweep answers every deadlock in the graph.
func (d *Detector) Sweep(ctx context.Context, g *Graph) []Finding {
	return d.findings(ctx, g, g.everybody())
}

// Learn tells the adaptive policy how a resolution went on.
func (d *Detector) Learn(e Experience) { d.history.learn(e) }

func (d *Detector) findings(ctx context.Context, g *Graph, roots []int) []Finding {
	if d.cfg.Mode == Off {
		return nil
	}
	s := examine(g, roots)
	found := make([]Finding, 0, len(s.knots))
	for i := range s.knots {
		found = append(found, d.resolve(ctx, &s.knots[i]))
	}
	slices.SortFunc(found, func(a, b Finding) int { return compareOwners(a.Owners[0], b.Owners[0]) })
	return found
}

func (d *Detector) resolve(ctx context.Context, k *knot) Finding {
	f := Finding{ID: k.name(), Cycle: k.cycle(), Withdraw: k.withdrawals()}
	for _, n := range k.owners {
		f.Owners = append(f.Owners, k.g.owners[n])
	}
	m := k.mesh()
	f.Measures = m.measures()
	if len(k.rings) == 0 {
		if len(f.Withdraw) == 0 {
			f.Moves = k.moves()
		}
		return f
	}
	f.Candidates = k.candidates()
	m.describe(f.Candidates)
	f.Class = classOf(f.Candidates, len(k.owners))
	v := d.judge(ctx, k, f.ID, f.Candidates)
	f.Policy, f.Fallback = v.policy, v.fallback
	f.Victims = k.victims(f.Candidates, v)
	if len(f.Victims) > 0 {
		f.Cycle = f.Victims[0].Cycle
	}
	return f
}

// nodesOf passes over owners that are not in the graph.
func (g *Graph) nodesOf(owners []lock.Owner) []int {
	nodes := make([]int, 0, len(owners))
	for _, o := range owners {
		if n, ok := g.node[o]; ok {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// everybody lists the nodes of all owners.
func (g *Graph) everybody() []int {
	nodes := make([]int, len(g.owners))
	for i := range nodes {
		nodes[i] = i
	}
	return nodes
}

// Cyclic reports whether a deadlock can be reached from the given owners.
func (g *Graph) Cyclic(from []lock.Owner) bool {
	return len(g.components(g.nodesOf(from), anyArc)) > 0
}

// Cycles answers the shortest ring of every deadlock in the graph, in order of
// the names of their first owners.
func (g *Graph) Cycles() []Cycle {
	s := examine(g, g.everybody())
	rings := make([]Cycle, len(s.knots))
	for i := range s.knots {
		rings[i] = s.knots[i].cycle()
	}
	slices.SortFunc(rings, func(a, b Cycle) int { return compareOwners(a[0].From, b[0].From) })
	return rings
}

// ClosedBy answers the shortest ring of hard and declared edges that a request
// or declared wait is part of: what prevention refuses it for. Queue order is
// not counted, since it can be changed.
func (g *Graph) ClosedBy(id lock.ID) (Cycle, bool) {
	var owner lock.Owner
	if r, ok := g.find(id); ok {
		owner = r.Owner
	}
	for i := range g.waits {
		if g.waits[i].ID == id {
			owner = g.waits[i].Owner
		}
	}
	n, ok := g.node[owner]
	if !ok {
		return nil, false
	}
	c := newWalker(g).cycle(n, len(g.owners), func(from int, a *arc) bool {
		return a.kind != Soft && (from != n || g.nameOf(a) == id)
	})
	return c, c != nil
}

// nameOf is the request or declared wait that draws an arc.
func (g *Graph) nameOf(a *arc) lock.ID {
	if a.kind == Declared {
		return g.waits[a.request].ID
	}
	return g.requests[a.request].ID
}

func compareOwners(a, b lock.Owner) int { return cmp.Compare(a, b) }
