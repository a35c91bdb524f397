package deadlock

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/lock"
)

// stuck is the oracle: whoever waits for nothing finishes and gives everything
// back, whoever fits is admitted in the order of the queues, again and again.
// The owners that are left are deadlocked, or wait for one who is.
func stuck(s *Snapshot) []lock.Owner {
	live := slices.Clone(s.Requests)
	waits := slices.Clone(s.Waits)
	for changed := true; changed; {
		changed = false
		for i := range live {
			if live[i].State == lock.Queued && admissible(live, &live[i]) {
				live[i].State, changed = lock.Held, true
			}
		}
		for _, o := range ownersOf(live, waits) {
			if waitsForSomething(live, waits, o) {
				continue
			}
			changed = true
			live = slices.DeleteFunc(live, func(r Request) bool { return r.Owner == o })
			waits = slices.DeleteFunc(waits, func(w Wait) bool { return w.For == o })
		}
	}
	return ownersOf(live, waits)
}

func admissible(live []Request, r *Request) bool {
	for i := range live {
		other := &live[i]
		if other.ID != r.ID && other.conflicts(r) && (other.holds() || other.ahead(r)) {
			return false
		}
	}
	return true
}

func waitsForSomething(live []Request, waits []Wait, o lock.Owner) bool {
	return slices.ContainsFunc(live, func(r Request) bool { return r.Owner == o && r.State == lock.Queued }) ||
		slices.ContainsFunc(waits, func(w Wait) bool { return w.Owner == o && w.For != o })
}

func ownersOf(live []Request, waits []Wait) []lock.Owner {
	var list []lock.Owner
	for i := range live {
		list = append(list, live[i].Owner)
	}
	for _, w := range waits {
		list = append(list, w.Owner, w.For)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// drawTable makes a lock table in which no two holders conflict.
func drawTable(t *rapid.T) *table {
	tab := newTable()
	owner := rapid.IntRange(0, rapid.IntRange(1, 7).Draw(t, "owners"))
	key := rapid.IntRange(0, rapid.IntRange(0, 5).Draw(t, "keys"))
	for range rapid.IntRange(1, 16).Draw(t, "requests") {
		var keys []string
		for _, k := range rapid.SliceOfNDistinct(key, 1, -1, rapid.ID).Draw(t, "of") {
			mode := rapid.SampledFrom([]string{"", ":shared"}).Draw(t, "mode")
			keys = append(keys, fmt.Sprintf("k%d%s", k, mode))
		}
		state := rapid.SampledFrom([]lock.State{lock.Held, lock.Queued, lock.Queued, lock.Offered}).Draw(t, "state")
		r := tab.add(state, fmt.Sprintf("o%d", owner.Draw(t, "owner")), keys...)
		r.Score = int64(rapid.IntRange(0, 12).Draw(t, "score"))
		r.Losses = rapid.IntRange(0, 4).Draw(t, "losses")
		r.Priority = rapid.SampledFrom(lock.Priorities()).Draw(t, "priority")
		for i := range tab.snap.Requests {
			other := &tab.snap.Requests[i]
			if r.holds() && other.holds() && other.conflicts(r) {
				r.State, r.Token = lock.Queued, 0
			}
		}
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "waits") {
		tab.declare(fmt.Sprintf("o%d", owner.Draw(t, "owner")), fmt.Sprintf("o%d", owner.Draw(t, "whom")))
	}
	return tab
}

// deadlocked lists the owners in the findings and whoever waits for them.
func deadlocked(g *Graph, found []Finding) []lock.Owner {
	var list []lock.Owner
	for _, f := range found {
		list = append(list, f.Owners...)
	}
	edges := allEdges(g)
	for grown := true; grown; {
		grown = false
		for _, e := range edges {
			if slices.Contains(list, e.To) && !slices.Contains(list, e.From) {
				list, grown = append(list, e.From), true
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func detector(t require.TestingT, p Policy) *Detector {
	cfg := DefaultConfig()
	cfg.VictimPolicy = p
	d, err := New(cfg, nil)
	require.NoError(t, err)
	return d
}

func TestSweep_agreesWithGraphReduction(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		g := tab.graph()
		found := detector(t, LowestPriority).Sweep(ctx, g)
		require.Empty(t, cmp.Diff(stuck(&tab.snap), deadlocked(g, found), cmpopts.EquateEmpty()))
	})
}

func TestFind_fromAnybodyInADeadlockFindsIt(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		g := tab.graph()
		d := detector(t, LowestPriority)
		for _, f := range d.Sweep(ctx, g) {
			for _, o := range f.Owners {
				again := d.Find(ctx, g, []lock.Owner{o})
				i := slices.IndexFunc(again, func(a Finding) bool { return a.ID == f.ID })
				require.GreaterOrEqual(t, i, 0, "from %s", o)
				require.Empty(t, cmp.Diff(f, again[i]), "from %s", o)
			}
		}
	})
}

func TestFind_doesNotDependOnTheOrderOfTheSnapshot(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		d := detector(t, Random)
		want := d.Sweep(ctx, tab.graph())
		tab.snap.Requests = rapid.Permutation(tab.snap.Requests).Draw(t, "order")
		tab.snap.Waits = rapid.Permutation(tab.snap.Waits).Draw(t, "order of waits")
		require.Empty(t, cmp.Diff(want, d.Sweep(ctx, tab.graph())))
	})
}

func TestFind_everyRingIsMadeOfEdges(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		g := tab.graph()
		edges := allEdges(g)
		for _, f := range detector(t, LowestPriority).Sweep(ctx, g) {
			rings := []Cycle{f.Cycle}
			for _, v := range f.Victims {
				rings = append(rings, v.Cycle)
			}
			for _, c := range rings {
				require.GreaterOrEqual(t, len(c), 2)
				require.True(t, g.Stands(c))
				for i := range c {
					require.Contains(t, edges, c[i])
					require.Equal(t, c[i].To, c[(i+1)%len(c)].From)
				}
			}
		}
	})
}

// ringsLeft counts the deadlocks that stay whatever the order of the queues is.
func ringsLeft(s *Snapshot) int {
	g := NewGraph(s)
	return len(g.components(g.everybody(), func(_ int, a *arc) bool { return a.kind != Soft }))
}

func TestFind_victimsAreNeededAndEnough(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		policy := rapid.SampledFrom(schooled()).Draw(t, "policy")
		found := detector(t, policy).Sweep(ctx, tab.graph())
		all := &table{snap: tab.snap}
		for i := range found {
			if ringsLeft(&tab.snap) == 0 {
				require.Empty(t, found[i].Victims, "queue order alone made it")
			}
			all.apply(&Finding{Victims: found[i].Victims, Withdraw: found[i].Withdraw})
		}
		require.Zero(t, ringsLeft(&all.snap), "rings are left")
		for i := range found {
			for v, victim := range found[i].Victims {
				for _, id := range victim.Requests {
					spared := &table{snap: tab.snap}
					for j := range found {
						f := Finding{Victims: slices.Clone(found[j].Victims), Withdraw: found[j].Withdraw}
						if i == j {
							f.Victims = slices.Clone(f.Victims)
							f.Victims[v].Requests = without(f.Victims[v].Requests, id)
						}
						spared.apply(&f)
					}
					require.Positive(t, ringsLeft(&spared.snap), "%s of %s ended without need", id, victim.Owner)
				}
			}
		}
	})
}

func without(ids []lock.ID, id lock.ID) []lock.ID {
	return slices.DeleteFunc(slices.Clone(ids), func(x lock.ID) bool { return x == id })
}

func TestFind_movesResolveWithoutANewDeadlock(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		d := detector(t, LowestPriority)
		before := d.Sweep(ctx, tab.graph())
		for i := range before {
			if len(before[i].Moves) == 0 {
				continue
			}
			after := &table{snap: tab.snap}
			after.snap.Requests = slices.Clone(tab.snap.Requests)
			after.apply(&before[i])
			for _, f := range d.Sweep(ctx, after.graph()) {
				known := slices.IndexFunc(before, func(b Finding) bool { return isSubset(f.Owners, b.Owners) })
				require.GreaterOrEqual(t, known, 0, "a new deadlock: %s", f.Cycle)
				require.NotEqual(t, i, known, "not resolved: %s", f.Cycle)
			}
		}
	})
}

func isSubset(a, b []lock.Owner) bool {
	return !slices.ContainsFunc(a, func(o lock.Owner) bool { return !slices.Contains(b, o) })
}

func TestFind_repeatedUntilNothingIsLeftEnds(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		d := detector(t, LowestPriority)
		for range len(tab.snap.Requests) + len(tab.snap.Waits) + 1 {
			found := d.Sweep(ctx, tab.graph())
			if len(found) == 0 {
				require.Empty(t, stuck(&tab.snap))
				return
			}
			tab.apply(&found[0])
		}
		require.Fail(t, "the cascade does not end")
	})
}

func TestClosedBy_namesTheRequestThatClosedTheRing(t *testing.T) {
	tab := newTable()
	tab.ring(5)
	last := tab.snap.Requests[len(tab.snap.Requests)-1]
	before := newTable()
	before.snap.Requests = tab.snap.Requests[:len(tab.snap.Requests)-1]
	require.Empty(t, before.graph().Cycles())

	after := before.snap.With(last)
	c, closes := NewGraph(&after).ClosedBy(last.ID)
	require.True(t, closes)
	require.Len(t, c, 5)
	require.Len(t, before.snap.Requests, 9, "With leaves its receiver alone")

	harmless := Request{ID: "zz", Namespace: "ns", Owner: "somebody", State: lock.Queued, Resources: []lock.Resource{{Key: "k00000"}}, Score: 1}
	after = before.snap.With(harmless)
	_, closes = NewGraph(&after).ClosedBy("zz")
	require.False(t, closes)
	_, closes = NewGraph(&after).ClosedBy("nobody")
	require.False(t, closes)
}

func TestStands_onlyWhileEveryEdgeDoes(t *testing.T) {
	tab := newTable()
	tab.ring(3)
	tab.snap.Requests[0].Expires = tab.snap.At.Add(time.Minute)
	c := tab.graph().Cycles()[0]
	require.True(t, tab.graph().Stands(c))
	require.False(t, tab.graph().Stands(nil))

	for i := range tab.snap.Requests {
		gone := &table{snap: Snapshot{Requests: slices.Clone(tab.snap.Requests)}}
		gone.end(tab.snap.Requests[i].ID)
		require.False(t, gone.graph().Stands(c), "without %s", tab.snap.Requests[i].ID)

		again := &table{snap: Snapshot{Requests: slices.Clone(tab.snap.Requests)}}
		if again.snap.Requests[i].State == lock.Held {
			again.snap.Requests[i].Token += 100
		} else {
			again.snap.Requests[i].State = lock.Held
		}
		require.False(t, again.graph().Stands(c), "%s was granted again", tab.snap.Requests[i].ID)
	}
}

// reachable is the part of a snapshot that a store answers for one owner: every
// request of everybody whom it waits for, directly or not.
func reachable(s *Snapshot, from lock.Owner) Snapshot {
	reached := []lock.Owner{from}
	edges := allEdges(NewGraph(s))
	for i := 0; i != len(reached); i++ {
		for _, e := range edges {
			if e.From == reached[i] && !slices.Contains(reached, e.To) {
				reached = append(reached, e.To)
			}
		}
	}
	part := Snapshot{At: s.At}
	for i := range s.Requests {
		if slices.Contains(reached, s.Requests[i].Owner) {
			part.Requests = append(part.Requests, s.Requests[i])
		}
	}
	for _, w := range s.Waits {
		if slices.Contains(reached, w.Owner) {
			part.Waits = append(part.Waits, w)
		}
	}
	return part
}

func TestFind_thePartThatAnOwnerReachesIsEnough(t *testing.T) {
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		tab := drawTable(t)
		d := detector(t, Random)
		for _, f := range d.Sweep(ctx, tab.graph()) {
			for _, o := range f.Owners {
				part := reachable(&tab.snap, o)
				again := d.Find(ctx, NewGraph(&part), []lock.Owner{o})
				i := slices.IndexFunc(again, func(a Finding) bool { return slices.Equal(a.Owners, f.Owners) })
				require.GreaterOrEqual(t, i, 0, "from %s", o)
				require.Equal(t, f.ID, again[i].ID, "from %s", o)
				require.Equal(t, f.Withdraw, again[i].Withdraw, "from %s", o)
				require.Empty(t, cmp.Diff(f.Victims, again[i].Victims, cmpopts.IgnoreFields(Victim{}, "Cycle")), "from %s", o)
			}
		}
	})
}
