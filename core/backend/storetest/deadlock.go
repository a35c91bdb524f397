package storetest

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// deadlocks are the tests of what finds and resolves deadlocks.
func deadlocks() []scenario {
	all := []scenario{
		{name: "Search/newcomer", test: searchNewcomer},
		{name: "Search/closesRing", test: searchClosesRing},
		{name: "Search/ahead", test: searchAhead},
		{name: "Search/heldAtOnce", test: searchHeldAtOnce},
		{name: "Search/reprioritized", test: searchReprioritized},
		{name: "Graph/reachablePart", test: graphReachablePart},
		{name: "Graph/furtherBack", test: graphFurtherBack},
		{name: "Graph/namespaces", test: graphNamespaces},
		{name: "Graph/facts", test: graphFacts},
		{name: "Abort/standing", test: abortStanding},
		{name: "Abort/broken", test: abortBroken},
		{name: "Abort/allOrNone", test: abortAllOrNone},
		{name: "Abort/again", test: abortAgain},
		{name: "Abort/revokes", test: abortRevokes},
		{name: "Reorder/offers", test: reorderOffers},
		{name: "Reorder/stays", test: reorderStays},
		{name: "Reorder/broken", test: reorderBroken},
		{name: "Retry/keepsPlace", test: retryKeepsPlace},
		{name: "Retry/unknown", test: retryUnknown},
		{name: "Declare/life", test: declareLife},
		{name: "Declare/ends", test: declareEnds},
		{name: "Declare/invalid", test: declareInvalid},
		{name: "Deadlocks/newest", test: deadlocksNewest},
	}
	for i := range all {
		test := all[i].test
		all[i].test = func(s *stage) {
			if _, err := s.store.Graph(s.t.Context(), lock.GraphQuery{}); errors.Is(err, errors.ErrUnsupported) {
				s.t.Skip(err)
			}
			test(s)
		}
	}
	return all
}

// of is ask for an owner that is not the name.
func of(owner lock.Owner, a *lock.Acquire) *lock.Acquire {
	a.Lock.Owner = owner
	return a
}

// ring makes a hold x, b hold y, and a wait for y; A2 of a is the only request
// that waits. The answer of closing it by B2 is what the caller asks for.
func (s *stage) ring() (a, b lock.Lock) {
	s.t.Helper()
	a, b = s.held(of("a", ask("A1", 0, "x"))), s.held(of("b", ask("B1", 0, "y")))
	s.queued(of("a", ask("A2", time.Hour, "y")))
	return a, b
}

// closeRing is ring with b waiting for x: a deadlock, as a cycle from b.
func (s *stage) closeRing() (cycle lock.Cycle, a, b lock.Lock) {
	s.t.Helper()
	a, b = s.ring()
	s.queued(of("b", ask("B2", time.Hour, "x")))
	return lock.Cycle{hard("b", "B2", "x", &a), hard("a", "A2", "y", &b)}, a, b
}

// hard is the edge of a request that waits for a held lock.
func hard(from lock.Owner, request string, key lock.Key, held *lock.Lock) lock.Edge {
	return lock.Edge{
		From: from, To: held.Owner, Kind: lock.Hard, Namespace: "test",
		Request: idOf(request), Resource: key, Blocker: held.ID, Token: held.Token,
	}
}

// soft is the edge of a request that waits behind another.
func soft(from lock.Owner, request string, key lock.Key, to lock.Owner, ahead string) lock.Edge {
	return lock.Edge{
		From: from, To: to, Kind: lock.Soft, Namespace: "test", Request: idOf(request), Resource: key, Blocker: idOf(ahead),
	}
}

func abort(cycle lock.Cycle, requests ...string) *lock.Abort {
	v := lock.Abandon{Owner: cycle[0].From, Cycle: cycle}
	for _, r := range requests {
		v.Requests = append(v.Requests, idOf(r))
	}
	return &lock.Abort{
		Namespace: "test", Victims: []lock.Abandon{v},
		Deadlock: &lock.Deadlock{ID: "d1", Size: len(cycle), Cycle: cycle, Resolution: lock.GaveWay, Policy: "youngest"},
	}
}

func searchNewcomer(s *stage) {
	s.held(ask("A", 0, "x"))
	require.Empty(s.t, s.done(ask("B", time.Hour, "x")).SearchFrom, "it holds nothing and nobody is behind it")
	require.Empty(s.t, s.done(ask("C", time.Hour, "x")).SearchFrom)
	require.Empty(s.t, s.done(ask("D", 0, "y")).SearchFrom)
}

func searchClosesRing(s *stage) {
	s.ring()
	out := s.done(of("b", ask("B2", time.Hour, "x")))
	require.Equal(s.t, []lock.Owner{"b"}, out.SearchFrom)
	require.False(s.t, out.At.Before(out.Lock.RequestedAt))
	again := s.done(of("b", ask("B2", time.Hour, "x")))
	require.True(s.t, again.Repeat)
	require.Equal(s.t, []lock.Owner{"b"}, again.SearchFrom, "whoever asked first may not have searched")
}

func searchAhead(s *stage) {
	s.held(ask("A", 0, "x"))
	s.queued(ask("B", time.Hour, "x"))
	c := ask("C", time.Hour, "x")
	c.Lock.Value = lock.Critical.Base()
	require.Equal(s.t, []lock.Owner{"C"}, s.done(c).SearchFrom, "b waits for it now")
}

// searchHeldAtOnce: b waits for y and x; a, which waits for b, takes the free y
// ahead of it.
func searchHeldAtOnce(s *stage) {
	s.held(of("b", ask("B1", 0, "w")))
	s.held(of("c", ask("C1", 0, "x")))
	s.queued(of("b", ask("B2", time.Hour, "x", "y")))
	s.queued(of("a", ask("A1", time.Hour, "w")))
	a := of("a", ask("A2", time.Hour, "y"))
	a.Lock.Value = lock.Critical.Base()
	out := s.done(a)
	require.Equal(s.t, lock.Held, out.Lock.State)
	require.Equal(s.t, []lock.Owner{"a"}, out.SearchFrom)
}

func searchReprioritized(s *stage) {
	s.held(ask("A", 0, "x"))
	s.queued(ask("B", time.Hour, "x"))
	s.queued(ask("C", time.Hour, "x"))
	out := s.done(&lock.Reprioritize{ID: idOf("C"), Priority: lock.Critical, Value: lock.Critical.Base()})
	require.Equal(s.t, []lock.Owner{"C"}, out.SearchFrom)
}

// graph answers the names of the requests that a read has.
func (s *stage) graph(q lock.GraphQuery) []string {
	s.t.Helper()
	snap, err := s.store.Graph(s.t.Context(), q)
	require.NoError(s.t, err)
	var all []string
	for i := range snap.Requests {
		all = append(all, nameOf(snap.Requests[i].ID))
	}
	for i := range snap.Waits {
		all = append(all, "wait "+nameOf(snap.Waits[i].ID))
	}
	slices.Sort(all)
	return all
}

func graphReachablePart(s *stage) {
	s.held(of("a", ask("A1", 0, "x")))
	s.held(of("b", ask("B1", 0, "y")))
	s.held(of("c", ask("C1", 0, "z")))
	s.held(of("d", ask("D1", 0, "v~")))
	s.queued(of("a", ask("A2", time.Hour, "y")))
	s.queued(of("c", ask("C2", time.Hour, "y")))
	s.queued(of("e", ask("E1", time.Hour, "z")))
	require.Equal(s.t, []string{"a1", "a2", "b1"}, s.graph(lock.GraphQuery{From: []lock.Owner{"a"}}), "c is behind a")
	require.Equal(s.t, []string{"a1", "a2", "b1", "c1", "c2"}, s.graph(lock.GraphQuery{From: []lock.Owner{"c"}}))
	require.Equal(s.t, []string{"b1"}, s.graph(lock.GraphQuery{From: []lock.Owner{"b"}}))
	require.Empty(s.t, s.graph(lock.GraphQuery{From: []lock.Owner{"nobody"}}))
	require.Equal(s.t, []string{"a1", "a2", "b1", "c1", "c2", "e1"}, s.graph(lock.GraphQuery{}), "nobody waits for d")
}

// graphFurtherBack: a queue that was read up to one request is read on when one
// further back in it is met.
func graphFurtherBack(s *stage) {
	s.held(of("h", ask("H1", 0, "x")))
	s.held(of("g", ask("G1", 0, "y")))
	s.queued(of("f", ask("F1", time.Hour, "x")))
	s.queued(of("i", ask("G2", time.Hour, "x")))
	s.queued(of("g", ask("J1", time.Hour, "x")))
	s.queued(of("k", ask("K1", time.Hour, "x")))
	s.queued(of("f", ask("N1", time.Hour, "y")))
	require.Equal(s.t, []string{"f1", "g1", "g2", "h1", "j1", "n1"}, s.graph(lock.GraphQuery{From: []lock.Owner{"f"}}))
}

func graphNamespaces(s *stage) {
	s.held(of("a", ask("A1", 0, "x")))
	s.queued(of("b", ask("B1", time.Hour, "x")))
	elsewhere := func(a *lock.Acquire) *lock.Acquire { a.Lock.Namespace = "other"; return a }
	s.held(elsewhere(of("c", ask("C1", 0, "x"))))
	s.queued(elsewhere(of("a", ask("A2", time.Hour, "x"))))
	require.Equal(s.t, []string{"a1", "a2", "b1", "c1"}, s.graph(lock.GraphQuery{From: []lock.Owner{"b"}}), "a is followed into the other one")
	require.Equal(s.t, []string{"a2", "c1"}, s.graph(lock.GraphQuery{Namespace: "other"}))
	require.Equal(s.t, []string{"a1", "b1"}, s.graph(lock.GraphQuery{Namespace: "test"}))
}

func graphFacts(s *stage) {
	a := ask("A", time.Hour, "x", "y~")
	a.Lock.TTL, a.Lock.Preemptible, a.Lock.Labels = time.Hour, true, map[string]string{"k": "v"}
	l := s.held(a)
	s.queued(ask("B", time.Hour, "y"))
	snap, err := s.store.Graph(s.t.Context(), lock.GraphQuery{From: []lock.Owner{"B"}})
	require.NoError(s.t, err)
	require.False(s.t, snap.At.Before(l.AcquiredAt))
	slices.SortFunc(snap.Requests, func(a, b deadlock.Request) int { return int(a.State) - int(b.State) })
	require.Empty(s.t, cmp.Diff(deadlock.Request{
		ID: l.ID, Namespace: "test", Owner: "A", State: lock.Held, Resources: l.Resources, Token: l.Token,
		Score:    Rules().Aging.Score(l.RequestedAt, lock.Normal.Base()),
		Priority: lock.Normal, Value: lock.Normal.Base(), Enqueued: l.RequestedAt, Acquired: l.AcquiredAt, Expires: l.ExpiresAt,
		Preemptible: true, Labels: map[string]string{"k": "v"},
	}, snap.Requests[1]))
}

func abortStanding(s *stage) {
	cycle, _, b := s.closeRing()
	s.queued(of("b", ask("B3", time.Hour, "x")))
	s.fresh()
	out := s.done(abort(cycle, "B2"))
	require.Len(s.t, out.Locks, 1)
	victim := s.get("B2")
	require.Equal(s.t, lock.Victim, victim.State)
	require.Equal(s.t, "deadlock", victim.Reason)
	require.Equal(s.t, "d1", victim.Deadlock.ID)
	require.Equal(s.t, "youngest", victim.Deadlock.Policy)
	require.Equal(s.t, cycle, victim.Deadlock.Cycle)
	require.False(s.t, victim.Deadlock.ResolvedAt.IsZero())
	require.Equal(s.t, lock.Queued, s.get("B3").State, "only the wait that was named ends")
	require.Equal(s.t, lock.Held, s.get("B1").State, "a victim keeps what it holds")
	seen := s.fresh()
	require.Equal(s.t, []events.Type{events.DeadlockDetected, events.LockFailed, events.DeadlockResolved}, types(seen))
	for i := range seen {
		require.Equal(s.t, idOf("B2"), seen[i].Lock.ID)
		require.Equal(s.t, "d1", seen[i].Lock.Deadlock.ID)
	}
	s.release(&b)
	require.Equal(s.t, lock.Offered, s.get("A2").State)
}

// abortBroken: whatever happened to one edge, nobody is made a victim.
func abortBroken(s *stage) {
	cycle, a, _ := s.closeRing()
	for name, spoil := range map[string]func(e *lock.Edge){
		"another token":   func(e *lock.Edge) { e.Token++ },
		"another blocker": func(e *lock.Edge) { e.Blocker = idOf("B1") },
		"another owner":   func(e *lock.Edge) { e.To = "z" },
		"another waiter":  func(e *lock.Edge) { e.From = "z" },
		"another key":     func(e *lock.Edge) { e.Resource = "z" },
		"not waiting":     func(e *lock.Edge) { e.Request = idOf("B1") },
		"unknown":         func(e *lock.Edge) { e.Request = idOf("Z9") },
		"not ahead":       func(e *lock.Edge) { e.Kind = lock.Soft },
		"never declared":  func(e *lock.Edge) { e.Kind = lock.Declared },
	} {
		spoiled := slices.Clone(cycle)
		spoil(&spoiled[0])
		require.ErrorIs(s.t, s.apply(abort(spoiled, "B2")).Err, lock.ErrBroken, name)
	}
	s.release(&a)
	s.fresh()
	require.ErrorIs(s.t, s.apply(abort(cycle, "B2")).Err, lock.ErrBroken)
	require.Empty(s.t, s.fresh())
	require.Equal(s.t, lock.Offered, s.get("B2").State)
	kept, err := s.store.Deadlocks(s.t.Context())
	require.NoError(s.t, err)
	require.Empty(s.t, kept)
}

func abortAllOrNone(s *stage) {
	cycle, _, _ := s.closeRing()
	step := abort(cycle, "B2")
	broken := slices.Clone(cycle)
	broken[0].Token++
	step.Victims = append(step.Victims, lock.Abandon{Owner: "a", Requests: []lock.ID{idOf("A2")}, Cycle: broken})
	require.ErrorIs(s.t, s.apply(step).Err, lock.ErrBroken)
	require.Equal(s.t, lock.Queued, s.get("B2").State)
}

func abortAgain(s *stage) {
	cycle, _, _ := s.closeRing()
	first := s.done(abort(cycle, "B2"))
	s.fresh()
	again := s.done(abort(cycle, "B2"))
	require.True(s.t, again.Repeat)
	require.Equal(s.t, first.Locks, again.Locks)
	require.Empty(s.t, s.fresh())
	other := abort(cycle, "B2")
	other.Deadlock.ID = "d2"
	require.ErrorIs(s.t, s.apply(other).Err, lock.ErrBroken, "another deadlock's")
}

func abortRevokes(s *stage) {
	for i, tt := range []struct {
		action      string
		preemptible bool
		stale       bool
		want        lock.State
	}{
		{action: lock.RevokeLocks, preemptible: true, want: lock.Revoked},
		{action: lock.RevokeLocks, want: lock.Held},
		{action: lock.CancelWait, preemptible: true, want: lock.Held},
		{action: lock.RevokeLocks, preemptible: true, stale: true, want: lock.Held},
	} {
		n := strconv.Itoa(i)
		hold := of("b", ask("B1"+n, 0, "y"+n))
		hold.Lock.Preemptible = tt.preemptible
		a, b := s.held(of("a", ask("A1"+n, 0, "x"+n))), s.held(hold)
		s.queued(of("a", ask("A2"+n, time.Hour, "y"+n)))
		wait := of("b", ask("B2"+n, time.Hour, "x"+n))
		wait.Lock.DeadlockAction = tt.action
		s.queued(wait)
		step := abort(lock.Cycle{hard("b", "B2"+n, lock.Key("x"+n), &a), hard("a", "A2"+n, lock.Key("y"+n), &b)}, "B2"+n)
		token := b.Token
		if tt.stale {
			token--
		}
		step.Victims[0].Take = []lock.Taken{{ID: b.ID, Token: token}}
		s.done(step)
		require.Equal(s.t, tt.want, s.get("B1"+n).State, "case %d", i)
		next := lock.Queued
		if tt.want == lock.Revoked {
			next = lock.Offered
		}
		require.Equal(s.t, next, s.get("A2"+n).State, "case %d", i)
	}
}

// softCycle makes b wait behind a for x, which is free, and a wait for b's y.
func (s *stage) softCycle() lock.Cycle {
	s.t.Helper()
	b := s.held(of("b", ask("B1", 0, "y")))
	s.queued(of("a", ask("A1", time.Hour, "x", "y")))
	s.queued(of("b", ask("B2", time.Hour, "x")))
	return lock.Cycle{hard("a", "A1", "y", &b), soft("b", "B2", "x", "a", "A1")}
}

func reorder(s *stage, cycle lock.Cycle, name, before string) *lock.Reorder {
	s.t.Helper()
	snap, err := s.store.Graph(s.t.Context(), lock.GraphQuery{})
	require.NoError(s.t, err)
	i := slices.IndexFunc(snap.Requests, func(r deadlock.Request) bool { return r.ID == idOf(before) })
	return &lock.Reorder{
		Namespace: "test", Cycle: cycle, Moves: []lock.Move{{ID: idOf(name), Score: snap.Requests[i].Score - 1}},
		Deadlock: &lock.Deadlock{ID: "d1", Size: len(cycle), Cycle: cycle, Resolution: lock.Reordered},
	}
}

func reorderOffers(s *stage) {
	cycle := s.softCycle()
	s.fresh()
	out := s.done(reorder(s, cycle, "B2", "A1"))
	require.Equal(s.t, []lock.Owner{"b"}, out.SearchFrom)
	require.Equal(s.t, lock.Offered, s.get("B2").State, "x was free all the time")
	seen := s.fresh()
	require.Equal(s.t, []events.Type{
		events.DeadlockDetected, events.LockReprioritized, events.DeadlockResolved, events.LockOffered,
	}, types(seen))
	require.Equal(s.t, "d1", seen[0].Lock.Deadlock.ID)
	require.Nil(s.t, s.get("B2").Deadlock, "it lost nothing")
}

// reorderStays: the new place survives what does not change places.
func reorderStays(s *stage) {
	s.held(of("c", ask("C1", 0, "x")))
	cycle := s.softCycle()
	s.done(reorder(s, cycle, "B2", "A1"))
	require.Equal(s.t, 1, s.get("B2").Position)
	s.done(&lock.Attend{IDs: []lock.ID{idOf("B2")}, Attendee: lock.Attendee{Attended: true}})
	s.queued(ask("D", time.Hour, "x"))
	require.Equal(s.t, 1, s.get("B2").Position)
	require.Equal(s.t, 2, s.get("A1").Position)
}

func reorderBroken(s *stage) {
	cycle := s.softCycle()
	step := reorder(s, cycle, "B2", "A1")
	s.done(&lock.Release{ID: idOf("A1")})
	require.ErrorIs(s.t, s.apply(step).Err, lock.ErrBroken)
	require.ErrorIs(s.t, s.apply(&lock.Reorder{Namespace: "test", Deadlock: &lock.Deadlock{}}).Err, lock.ErrBroken)
}

func retryKeepsPlace(s *stage) {
	cycle, a, _ := s.closeRing()
	first := s.get("B2")
	s.done(abort(cycle, "B2"))
	s.held(leased(ask("K", 0, "z"), moment))
	s.await(events.LockExpired, "K") // time passes
	s.queued(ask("C", time.Hour, "x"))
	again := of("b", ask("D2", time.Hour, "x"))
	again.RetryOf = idOf("B2")
	l := s.queued(again)
	require.Equal(s.t, first.RequestedAt, l.RequestedAt)
	require.Equal(s.t, 1, l.Losses)
	require.Equal(s.t, idOf("B2"), l.RetryOf)
	require.False(s.t, l.WaitUntil.Before(first.WaitUntil), "it waits as long as it asks for now")
	cycle[0] = hard("b", "D2", "x", &a)
	step := abort(cycle, "D2")
	step.Deadlock.ID = "d2"
	s.done(step)
	twice := of("b", ask("E2", time.Hour, "x"))
	twice.RetryOf = idOf("D2")
	require.Equal(s.t, 2, s.queued(twice).Losses)
	side := of("b", ask("F2", time.Hour, "x"))
	side.RetryOf = idOf("B2")
	require.Equal(s.t, 1, s.queued(side).Losses, "several may name the same one")
	snap, err := s.store.Graph(s.t.Context(), lock.GraphQuery{From: []lock.Owner{"b"}})
	require.NoError(s.t, err)
	i := slices.IndexFunc(snap.Requests, func(r deadlock.Request) bool { return r.ID == idOf("E2") })
	require.Equal(s.t, 2, snap.Requests[i].Losses)
}

func retryUnknown(s *stage) {
	cycle, _, _ := s.closeRing()
	s.done(abort(cycle, "B2"))
	for name, spoil := range map[string]func(*lock.Acquire){
		"unknown":           func(a *lock.Acquire) { a.RetryOf = idOf("Z9") },
		"no victim":         func(a *lock.Acquire) { a.RetryOf = idOf("B1") },
		"another owner":     func(a *lock.Acquire) { a.Lock.Owner = "c" },
		"another namespace": func(a *lock.Acquire) { a.Lock.Namespace = "other" },
	} {
		a := of("b", ask("D2", time.Hour, "x"))
		a.RetryOf = idOf("B2")
		spoil(a)
		var invalid *lock.InvalidError
		require.ErrorAs(s.t, s.apply(a).Err, &invalid, name)
		require.Equal(s.t, "/retry_of", invalid.Faults[0].Pointer)
	}
}

func declared(name string, owner, target lock.Owner) *lock.Declare {
	return &lock.Declare{TTL: time.Hour, Wait: lock.Wait{
		ID: idOf(name), Namespace: "test", Owner: owner, For: target, Subject: "subject",
	}}
}

func declareLife(s *stage) {
	out := s.done(declared("W1", "a", "b"))
	require.Empty(s.t, out.SearchFrom, "b waits for nobody")
	require.Equal(s.t, time.Hour, out.Wait.Until.Sub(out.Wait.Declared))
	again := s.done(declared("W1", "a", "b"))
	require.True(s.t, again.Repeat)
	require.Equal(s.t, out.Wait, again.Wait)
	require.Equal(s.t, []string{"wait w1"}, s.graph(lock.GraphQuery{From: []lock.Owner{"a"}}))
	require.Equal(s.t, []lock.Owner{"b"}, s.done(declared("W2", "b", "a")).SearchFrom)
	s.held(of("a", ask("A1", 0, "x")))
	require.Equal(s.t, []lock.Owner{"b"}, s.done(of("b", ask("B1", time.Hour, "x"))).SearchFrom, "a waits for it")
	require.ErrorIs(s.t, s.apply(&lock.Withdraw{ID: idOf("W1"), Subject: "other"}).Err, lock.ErrNotYours)
	require.Equal(s.t, lock.Owner("b"), s.done(&lock.Withdraw{ID: idOf("W1"), Subject: "subject"}).Wait.For)
	require.ErrorIs(s.t, s.apply(&lock.Withdraw{ID: idOf("W1")}).Err, lock.ErrNotFound)
	gone := lock.Cycle{{From: "a", To: "b", Kind: lock.Declared, Namespace: "test", Request: idOf("W1")}}
	require.ErrorIs(s.t, s.apply(&lock.Withdraw{ID: idOf("W2"), Cycle: gone}).Err, lock.ErrBroken)
	stands := lock.Cycle{{From: "b", To: "a", Kind: lock.Declared, Namespace: "test", Request: idOf("W2")}}
	s.done(&lock.Withdraw{ID: idOf("W2"), Cycle: stands, Deadlock: &lock.Deadlock{ID: "d1"}})
	require.Equal(s.t, []string{"a1", "b1"}, s.graph(lock.GraphQuery{From: []lock.Owner{"b"}}))
}

func declareEnds(s *stage) {
	short := declared("W1", "a", "b")
	short.TTL = moment
	s.done(short)
	s.held(leased(ask("A", 0, "x"), 2*moment))
	s.await(events.LockExpired, "A")
	require.Empty(s.t, s.graph(lock.GraphQuery{From: []lock.Owner{"a"}}))
}

func declareInvalid(s *stage) {
	for name, spoil := range map[string]func(*lock.Wait){
		"no id":        func(w *lock.Wait) { w.ID = "" },
		"no namespace": func(w *lock.Wait) { w.Namespace = "" },
		"no owner":     func(w *lock.Wait) { w.Owner = "" },
		"no target":    func(w *lock.Wait) { w.For = "" },
	} {
		d := declared("W1", "a", "b")
		spoil(&d.Wait)
		var invalid *lock.InvalidError
		require.ErrorAs(s.t, s.apply(d).Err, &invalid, name)
	}
	for i := range lock.MaxWaits {
		s.done(declared("W"+strconv.Itoa(1000+i), "a", "b"))
	}
	require.ErrorContains(s.t, s.apply(declared("W2000", "a", "b")).Err, "withdraw some")
	s.done(declared("W2001", "b", "c"))
}

func deadlocksNewest(s *stage) {
	const many = 103
	for i := range many {
		s.done(declared("W1", "a", "b"))
		s.done(&lock.Withdraw{ID: idOf("W1"), Deadlock: &lock.Deadlock{ID: "d" + strconv.Itoa(i), Resolution: lock.Withdrawn}})
	}
	kept, err := s.store.Deadlocks(s.t.Context())
	require.NoError(s.t, err)
	require.GreaterOrEqual(s.t, len(kept), 100)
	for i := range 100 {
		require.Equal(s.t, "d"+strconv.Itoa(many-1-i), kept[i].ID)
		require.Equal(s.t, lock.Namespace("test"), kept[i].Namespace)
	}
}
