package orchestrator

import (
	"cmp"
	"context"
	"slices"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
)

// maxEdges bounds a graph that is shown; the edges of one queue alone grow with
// the square of its length.
const maxEdges = 5000

// Graph is who waits for whom, as far as a caller may see it.
type Graph struct {
	Nodes     []Node // ascending by owner
	Edges     []lock.Edge
	Cycles    []lock.Cycle // the shortest ring of every deadlock
	Truncated bool         // there are more edges
}

// Node is one owner.
type Node struct {
	Owner    lock.Owner
	Holds    int // locks that are held or offered
	Waits    int // requests that are queued
	Priority lock.Priority
	Losses   int // how often it was a victim
	Degree   int // edges to it and from it, of those that are shown
}

// Graph answers the wait-for graph of one namespace or, when it is empty, of
// all: everybody who waits, and whom they wait for.
func (o *Orchestrator) Graph(ctx context.Context, c *lock.Caller, ns lock.Namespace) (Graph, error) {
	snapshot, err := o.store.Graph(ctx, lock.GraphQuery{Namespace: ns})
	if err != nil {
		return Graph{}, err
	}
	if err := o.blacken(ctx, c, &snapshot); err != nil {
		return Graph{}, err
	}
	g := deadlock.NewGraph(&snapshot)
	edges, truncated := g.Edges(maxEdges)
	return Graph{Nodes: nodesOf(&snapshot, edges), Edges: edges, Cycles: g.Cycles(), Truncated: truncated}, nil
}

// blacken takes out what the caller may not read.
func (o *Orchestrator) blacken(ctx context.Context, c *lock.Caller, s *deadlock.Snapshot) error {
	sees := func(ns lock.Namespace, owner lock.Owner, of []lock.Resource) (bool, error) {
		return o.sees(ctx, &lock.Question{
			Action: lock.ActRead, Listed: true, Caller: *c, RequestID: c.RequestID, Namespace: ns, Owner: owner, Resources: of,
		})
	}
	requests := s.Requests[:0]
	for i := range s.Requests {
		r := &s.Requests[i]
		ok, err := sees(r.Namespace, r.Owner, r.Resources)
		if err != nil {
			return err
		}
		if ok {
			requests = append(requests, *r)
		}
	}
	s.Requests = requests
	waits := s.Waits[:0]
	for i := range s.Waits {
		ok, err := sees(s.Waits[i].Namespace, s.Waits[i].Owner, nil)
		if err != nil {
			return err
		}
		if ok {
			waits = append(waits, s.Waits[i])
		}
	}
	s.Waits = waits
	return nil
}

func nodesOf(s *deadlock.Snapshot, edges []lock.Edge) []Node {
	nodes := make(map[lock.Owner]*Node)
	node := func(o lock.Owner) *Node {
		if nodes[o] == nil {
			nodes[o] = &Node{Owner: o}
		}
		return nodes[o]
	}
	for i := range s.Requests {
		r := &s.Requests[i]
		n := node(r.Owner)
		if r.State == lock.Queued {
			n.Waits++
		} else {
			n.Holds++
		}
		n.Priority, n.Losses = max(n.Priority, r.Priority), max(n.Losses, r.Losses)
	}
	for i := range edges {
		node(edges[i].From).Degree++
		node(edges[i].To).Degree++
	}
	all := make([]Node, 0, len(nodes))
	for _, n := range nodes {
		all = append(all, *n)
	}
	slices.SortFunc(all, func(a, b Node) int { return cmp.Compare(a.Owner, b.Owner) })
	return all
}

// Deadlocks answers the newest deadlocks that the caller may see, newest first,
// the same from every gateway.
func (o *Orchestrator) Deadlocks(ctx context.Context, c *lock.Caller) ([]lock.Deadlock, error) {
	all, err := o.store.Deadlocks(ctx)
	if err != nil {
		return nil, err
	}
	kept := all[:0]
	for i := range all {
		ok, err := o.seesDeadlock(ctx, c, &all[i])
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, all[i])
		}
	}
	return kept, nil
}

// seesDeadlock: whoever may see every resource in the cycle may see it all.
func (o *Orchestrator) seesDeadlock(ctx context.Context, c *lock.Caller, d *lock.Deadlock) (bool, error) {
	for i := range d.Cycle {
		e := &d.Cycle[i]
		q := &lock.Question{
			Action: lock.ActRead, Listed: true, Caller: *c, RequestID: c.RequestID, Namespace: e.Namespace, Owner: e.From,
		}
		if e.Resource != "" {
			q.Resources = []lock.Resource{{Key: e.Resource}}
		}
		if ok, err := o.sees(ctx, q); !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}
