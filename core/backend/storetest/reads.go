package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// reading are the tests of what can be asked, and of the event log.
func reading() []scenario {
	return []scenario{
		{name: "Get/everything", test: everythingIsKept},
		{name: "Get/sharesNothing", test: nothingIsShared},
		{name: "Acquire/invalid", test: acquireInvalid},
		{name: "Acquire/handedOverAgain", test: acquireHandedOverAgain},
		{name: "Release/notYours", test: releaseNotYours},
		{name: "Blockers/bounded", test: blockersBounded},
		{name: "List/pages", test: listPages},
		{name: "List/filters", test: listFilters},
		{name: "Queues/pages", test: queuesPages},
		{name: "Cursor/malformed", test: cursorMalformed},
		{name: "Facts", test: facts},
		{name: "Stats", test: stats},
		{name: "Events/order", test: eventsOrder},
		{name: "Events/wait", test: eventsWait},
		{name: "Events/deny", test: eventsDeny},
		{name: "Events/denyOfALiveRequest", test: eventsDenyLive},
		{name: "Events/announce", test: eventsAnnounce},
		{name: "Events/unknownCursor", test: eventsUnknownCursor},
		{name: "Events/retention", rules: func(r *lock.Rules) { r.Events = moment }, test: eventsRetention},
		{name: "EndOwner/everyNamespace", test: endOwnerEveryNamespace},
		{name: "Apply/batch", test: applyBatch},
	}
}

func everythingIsKept(s *stage) {
	want := ask("A", time.Minute, "x", "y~")
	want.Lock.Actor, want.Lock.TTL, want.Lock.MaxTTL = "actor", time.Hour, 2*time.Hour
	want.Lock.Preemptible = true
	want.Lock.Labels = map[string]string{"team": "infra"}
	want.Lock.Context = json.RawMessage(`{"commit":"abc","n":12345678901234567890}`)
	want.Lock.Trace = lock.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", State: "a=b"}
	want.Lock.Decision = lock.Summary{
		ID: "d1", Revision: "r1", Warnings: []lock.Reason{{Policy: "p", Code: "c", Msg: "careful"}},
	}
	l := s.held(want)
	expect := want.Lock
	expect.State, expect.Token, expect.RequestedAt = lock.Held, l.Token, l.RequestedAt
	expect.AcquiredAt, expect.ExpiresAt = l.RequestedAt, l.RequestedAt.Add(time.Hour)
	require.Empty(s.t, cmp.Diff(expect, s.get("A")))
	require.NotZero(s.t, l.Token)
	require.Equal(s.t, time.UTC, l.RequestedAt.Location())
	require.Zero(s.t, l.RequestedAt.Nanosecond()%int(time.Millisecond))
}

// nothingIsShared: neither the caller's values nor the snapshots are the table.
func nothingIsShared(s *stage) {
	a := ask("A", 0, "x")
	a.Lock.Labels = map[string]string{"k": "v"}
	a.Lock.Context = json.RawMessage(`{"a":1}`)
	l := s.held(a)
	a.Lock.Resources[0].Key, a.Lock.Labels["k"], a.Lock.Context[2] = "changed", "changed", 'b'
	first := s.get("A")
	require.Equal(s.t, lock.Key("x"), first.Resources[0].Key)
	require.Equal(s.t, "v", first.Labels["k"])
	require.JSONEq(s.t, `{"a":1}`, string(first.Context))
	s.release(&l)
	require.Equal(s.t, lock.Held, first.State, "a snapshot does not move")
}

func acquireInvalid(s *stage) {
	good := s.held(ask("A", 0, "x"))
	for name, spoil := range map[string]func(*lock.Lock){
		"no id":        func(l *lock.Lock) { l.ID = "" },
		"another's id": func(l *lock.Lock) { l.ID = good.ID },
		"no namespace": func(l *lock.Lock) { l.Namespace = "" },
		"no owner":     func(l *lock.Lock) { l.Owner = "" },
		"no key":       func(l *lock.Lock) { l.Resources = nil },
		"unordered":    func(l *lock.Lock) { l.Resources = resourcesOf([]string{"z", "y"}) },
		"twice":        func(l *lock.Lock) { l.Resources = resourcesOf([]string{"y", "y~"}) },
		"context":      func(l *lock.Lock) { l.Context = json.RawMessage(`{`) },
	} {
		bad := ask("B", 0, "y")
		spoil(&bad.Lock)
		var invalid *lock.InvalidError
		require.ErrorAs(s.t, s.apply(bad).Err, &invalid, name)
	}
	require.Len(s.t, s.fresh(), 1, "nothing happened but the first")
}

// acquireHandedOverAgain: a step that is done again, because nobody knows whether
// it happened, happens once.
func acquireHandedOverAgain(s *stage) {
	a := s.held(ask("A", 0, "x"))
	again := s.done(ask("A", 0, "x"))
	require.True(s.t, again.Repeat)
	require.Equal(s.t, a, again.Lock)
	require.Len(s.t, s.fresh(), 1)
}

// releaseNotYours: a release that says whose it is ends nobody else's.
func releaseNotYours(s *stage) {
	a := s.held(ask("A", 0, "x"))
	s.queued(ask("B", time.Hour, "x"))
	for _, name := range []string{"A", "B"} {
		out := s.apply(&lock.Release{ID: idOf(name), Token: a.Token, Subject: "somebody"})
		require.ErrorIs(s.t, out.Err, lock.ErrNotYours)
		require.True(s.t, s.get(name).State.Live())
	}
	s.done(&lock.Release{ID: a.ID, Token: a.Token, Subject: a.Subject})
}

func blockersBounded(s *stage) {
	for i := range lock.MaxBlockers + 5 {
		s.held(ask(fmt.Sprintf("A%02d", i), 0, "x~"))
	}
	b := s.queued(ask("B", time.Hour, "x"))
	require.Len(s.t, b.BlockedBy, lock.MaxBlockers)
	require.Equal(s.t, lock.MaxBlockers+5, b.BlockedByTotal)
	first := s.get("A00")
	require.Equal(s.t, lock.Blocker{
		ID: first.ID, Owner: first.Owner, Resource: "x", State: lock.Held, Priority: lock.Normal, Since: first.AcquiredAt,
	}, b.BlockedBy[0])
}

// pages follows the cursors of a list and answers the names.
func (s *stage) pages(q lock.Query) []string {
	s.t.Helper()
	var names []string
	for {
		page, err := s.store.List(s.t.Context(), q)
		require.NoError(s.t, err)
		require.LessOrEqual(s.t, len(page.Locks), q.Limit)
		for i := range page.Locks {
			names = append(names, nameOf(page.Locks[i].ID))
		}
		if page.Next == "" {
			return names
		}
		require.NotEqual(s.t, q.After, page.Next)
		q.After = page.Next
	}
}

func listPages(s *stage) {
	var want []string
	for i := range 25 {
		name := fmt.Sprintf("a%02d", i)
		want = append(want, name)
		l := s.held(ask(name, 0, name))
		if i%5 == 0 {
			s.release(&l)
		}
	}
	live := slices.DeleteFunc(slices.Clone(want), func(n string) bool { return n[2] == '0' || n[2] == '5' })
	require.Equal(s.t, live, s.pages(lock.Query{Limit: 7}))
	all := []lock.State{lock.Held, lock.Released}
	require.Equal(s.t, want, s.pages(lock.Query{Limit: 1, States: all}))
	require.Len(s.t, s.pages(lock.Query{Limit: 1000, States: []lock.State{lock.Released}}), 5)
}

func listFilters(s *stage) {
	a := ask("A", 0, "app/x", "app/y~")
	a.Lock.Labels = map[string]string{"team": "infra", "env": "prod"}
	s.held(a)
	b := ask("B", time.Hour, "app/y")
	b.Lock.Priority = lock.High
	s.queued(b)
	c := elsewhere("other", ask("C", 0, "app/x"))
	c.Lock.Owner = "A"
	s.held(c)
	for _, test := range []struct {
		name string
		q    lock.Query
		want []string
	}{
		{"all", lock.Query{}, []string{"a", "b", "c"}},
		{"namespace", lock.Query{Namespace: "test"}, []string{"a", "b"}},
		{"unknown namespace", lock.Query{Namespace: "none"}, nil},
		{"owner", lock.Query{Owner: "A"}, []string{"a", "c"}},
		{"owner in namespace", lock.Query{Owner: "A", Namespace: "other"}, []string{"c"}},
		{"resource", lock.Query{Resource: "app/x"}, []string{"a", "c"}},
		{"resource in namespace", lock.Query{Namespace: "test", Resource: "app/y"}, []string{"a", "b"}},
		{"unknown resource", lock.Query{Namespace: "test", Resource: "none"}, nil},
		{"prefix", lock.Query{Prefix: "app/y"}, []string{"a", "b"}},
		{"states", lock.Query{States: []lock.State{lock.Queued}}, []string{"b"}},
		{"priority", lock.Query{Priority: lock.High}, []string{"b"}},
		{"labels", lock.Query{Labels: map[string]string{"team": "infra"}}, []string{"a"}},
		{"other labels", lock.Query{Labels: map[string]string{"team": "infra", "env": "dev"}}, nil},
	} {
		test.q.Limit = 10
		require.Equal(s.t, test.want, s.pages(test.q), test.name)
	}
	page, err := s.store.List(s.t.Context(), lock.Query{States: []lock.State{lock.Queued}, Limit: 1})
	require.NoError(s.t, err)
	require.Equal(s.t, 1, page.Locks[0].Position, "lists say where a request stands")
}

func queuesPages(s *stage) {
	for i := range 5 {
		s.held(ask(fmt.Sprintf("A%d", i), 0, fmt.Sprintf("k%d", i)))
	}
	for i := range 3 {
		s.queued(ask(fmt.Sprintf("B%d", i), time.Hour, "k1"))
	}
	s.held(elsewhere("aaa", ask("C", 0, "k1")))
	var got []string
	q := lock.QueueQuery{Limit: 2, Depth: 2}
	for {
		page, err := s.store.Queues(s.t.Context(), q)
		require.NoError(s.t, err)
		for _, queue := range page.Queues {
			got = append(got, fmt.Sprintf("%s/%s %d/%d/%d", queue.Namespace, queue.Resource, len(queue.Holders), len(queue.Waiters), queue.Length))
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	require.Equal(s.t, []string{
		"aaa/k1 1/0/0", "test/k0 1/0/0", "test/k1 1/2/3", "test/k2 1/0/0", "test/k3 1/0/0", "test/k4 1/0/0",
	}, got)
	page, err := s.store.Queues(s.t.Context(), lock.QueueQuery{Namespace: "aaa", Limit: 10})
	require.NoError(s.t, err)
	require.Len(s.t, page.Queues, 1)
	page, err = s.store.Queues(s.t.Context(), lock.QueueQuery{Resource: "k1", Limit: 10})
	require.NoError(s.t, err)
	require.Len(s.t, page.Queues, 2)
}

func cursorMalformed(s *stage) {
	var invalid *lock.InvalidError
	_, err := s.store.List(s.t.Context(), lock.Query{After: "no cursor", Limit: 1})
	require.ErrorAs(s.t, err, &invalid)
	_, err = s.store.Queues(s.t.Context(), lock.QueueQuery{After: "no cursor", Limit: 1})
	require.ErrorAs(s.t, err, &invalid)
	_, err = s.store.Events(s.t.Context(), "no cursor", 1)
	require.ErrorAs(s.t, err, &invalid)
}

func facts(s *stage) {
	a := s.held(ask("A", 0, "x"))
	second := ask("A2", 0, "y")
	second.Lock.Owner = a.Owner
	s.held(second)
	b := s.queued(ask("B", time.Hour, "x"))
	s.queued(ask("C", time.Hour, "x"))
	got, err := s.store.Facts(s.t.Context(), lock.FactsQuery{
		Namespace: "test", Resources: resourcesOf([]string{"free", "x"}), Owner: b.Owner, Subject: "subject",
	})
	require.NoError(s.t, err)
	require.Len(s.t, got, 2)
	require.Nil(s.t, got[0].Holder)
	require.Zero(s.t, got[0].QueueLength)
	require.Equal(s.t, a.ID, got[1].Holder.ID)
	require.Equal(s.t, 2, got[1].QueueLength)
	require.Equal(s.t, 1, got[1].Mine)
	require.Equal(s.t, 2, got[1].HeldBySubject)
	require.Equal(s.t, 0, got[1].HeldByOwner)
	got, err = s.store.Facts(s.t.Context(), lock.FactsQuery{
		Namespace: "test", Resources: resourcesOf([]string{"x"}), Owner: a.Owner, Subject: "somebody",
	})
	require.NoError(s.t, err)
	require.Equal(s.t, 2, got[0].HeldByOwner)
	require.Zero(s.t, got[0].HeldBySubject+got[0].Mine)
}

func stats(s *stage) {
	a := s.held(ask("A", 0, "x"))
	high := ask("B", time.Hour, "x")
	high.Lock.Priority = lock.High
	s.queued(high)
	s.queued(ask("C", time.Hour, "x"))
	s.held(elsewhere("other", ask("D", 0, "x")))
	s.passes(moment)
	got, err := s.store.Stats(s.t.Context())
	require.NoError(s.t, err)
	require.Equal(s.t, 2, got.Held)
	require.Equal(s.t, 0, got.Offered)
	require.Equal(s.t, 1, got.Queued[lock.High])
	require.Equal(s.t, 1, got.Queued[lock.Normal])
	require.Equal(s.t, 2, got.Namespaces)
	require.GreaterOrEqual(s.t, got.OldestWait[lock.High], moment)
	require.Zero(s.t, got.OldestWait[lock.Critical])
	s.release(&a)
	got, err = s.store.Stats(s.t.Context())
	require.NoError(s.t, err)
	require.Equal(s.t, 1, got.Held)
	require.Equal(s.t, 1, got.Offered)
	require.Equal(s.t, 1, got.Queued[lock.High]+got.Queued[lock.Normal])
}

// eventsOrder: any page size reads the same log, in the order of transitions.
func eventsOrder(s *stage) {
	for i := range 10 {
		l := s.held(ask(fmt.Sprintf("A%d", i), 0, "x"))
		s.release(&l)
	}
	all := s.fresh()
	require.Len(s.t, all, 20)
	for i := range all {
		want := events.LockAcquired
		if i%2 == 1 {
			want = events.LockReleased
		}
		require.Equal(s.t, want, all[i].Type)
		require.Equal(s.t, idOf(fmt.Sprintf("A%d", i/2)), all[i].Lock.ID)
		require.Equal(s.t, lock.Namespace("test"), all[i].Namespace)
		if i > 0 {
			require.False(s.t, all[i].Time.Before(all[i-1].Time))
		}
	}
	var paged []events.Event
	for cursor := events.Cursor(""); len(paged) < len(all); {
		some, err := s.store.Events(s.t.Context(), cursor, 3)
		require.NoError(s.t, err)
		require.LessOrEqual(s.t, len(some), 3)
		paged = append(paged, some...)
		cursor = some[len(some)-1].Cursor
	}
	require.Empty(s.t, cmp.Diff(all, paged))
}

func eventsWait(s *stage) {
	ended, cancel := context.WithCancel(s.t.Context())
	cancel()
	tip, err := s.store.Tip(s.t.Context())
	require.NoError(s.t, err)
	_, err = s.store.Events(ended, tip, 1)
	require.ErrorIs(s.t, err, context.Canceled)
	found := make(chan events.Type)
	for range 3 {
		go func() {
			some, err := s.store.Events(s.t.Context(), tip, 1)
			if err != nil {
				close(found)
				return
			}
			found <- some[0].Type
		}()
	}
	s.held(ask("A", 0, "x"))
	for range 3 {
		require.Equal(s.t, events.LockAcquired, <-found)
	}
}

func eventsDeny(s *stage) {
	denied := ask("A", time.Hour, "x").Lock
	denied.Decision = lock.Summary{ID: "d", Reasons: []lock.Reason{{Policy: "p", Code: "freeze", Msg: "no"}}}
	s.done(&lock.Deny{Lock: denied, Action: lock.ActAcquire})
	all := s.fresh()
	require.Equal(s.t, []events.Type{events.LockDenied}, types(all))
	require.Equal(s.t, lock.Denied, all[0].Lock.State)
	require.Equal(s.t, denied.Decision, all[0].Lock.Decision)
	require.Zero(s.t, all[0].Before)
	_, err := s.store.Get(s.t.Context(), denied.ID)
	require.ErrorIs(s.t, err, lock.ErrNotFound, "it never entered the table")
}

// eventsDenyLive: a refusal that is about a live request says what was refused to
// whom, and leaves the request as it is.
func eventsDenyLive(s *stage) {
	s.held(ask("A", 0, "x"))
	b := s.queued(ask("B", time.Hour, "x"))
	s.fresh()
	s.done(&lock.Deny{Lock: b, Action: lock.ActRelease, By: "eve"})
	all := s.fresh()
	require.Equal(s.t, []events.Type{events.LockDenied}, types(all))
	require.Equal(s.t, lock.Queued, all[0].Lock.State)
	require.Equal(s.t, lock.Queued, all[0].Before)
	require.Equal(s.t, "release", all[0].Reason)
	require.Equal(s.t, "eve", all[0].By)
	require.Equal(s.t, lock.Queued, s.get("B").State)
}

// eventsAnnounce: what happens to the gateway is in the same log.
func eventsAnnounce(s *stage) {
	s.done(&lock.Announce{Event: string(events.PolicyReloaded), Reason: "revision 2"})
	all := s.fresh()
	require.Equal(s.t, []events.Type{events.PolicyReloaded}, types(all))
	require.Equal(s.t, "revision 2", all[0].Reason)
	require.Equal(s.t, lock.SystemNamespace, all[0].Namespace)
	require.Empty(s.t, all[0].Lock.ID)
}

// eventsUnknownCursor: a cursor of another log gets a gap, then what there is.
func eventsUnknownCursor(s *stage) {
	s.held(ask("A", 0, "x"))
	some, err := s.store.Events(s.t.Context(), "999999999", 10)
	require.NoError(s.t, err)
	require.Equal(s.t, events.Gap, some[0].Type)
	s.cursor = some[0].Cursor
	require.Equal(s.t, []events.Type{events.LockAcquired}, types(s.fresh()))
}

// eventsRetention: old events go, and who has not read them is told so.
func eventsRetention(s *stage) {
	for i := range 10 {
		s.held(ask(fmt.Sprintf("A%d", i), 0, fmt.Sprintf("k%d", i)))
	}
	s.passes(3 * moment)
	s.held(ask("B", 0, "z"))
	some, err := s.store.Events(s.t.Context(), "3", 100)
	require.NoError(s.t, err)
	require.Equal(s.t, events.Gap, some[0].Type)
	if len(some) > 1 {
		next, err := s.store.Events(s.t.Context(), some[0].Cursor, 100)
		require.NoError(s.t, err)
		require.Equal(s.t, some[1], next[0], "the gap's cursor is right before what is kept")
	}
	all, err := s.store.Events(s.t.Context(), "", 100)
	require.NoError(s.t, err)
	require.NotContains(s.t, types(all), events.Gap, "the empty cursor misses nothing")
	require.Equal(s.t, idOf("B"), all[len(all)-1].Lock.ID)
}

func endOwnerEveryNamespace(s *stage) {
	for i, ns := range []lock.Namespace{"one", "two", "three"} {
		a := elsewhere(ns, ask(fmt.Sprintf("A%d", i), 0, "x"))
		a.Lock.Owner = "owner"
		s.held(a)
	}
	out := s.done(&lock.EndOwner{Owner: "owner", Only: []lock.ID{}, By: "admin"})
	require.Empty(s.t, out.Locks, "only what is named")
	out = s.done(&lock.EndOwner{Namespace: "two", Owner: "owner", Only: []lock.ID{idIn("one", "A0"), idIn("two", "A1")}, By: "admin"})
	require.Len(s.t, out.Locks, 1)
	require.Equal(s.t, idIn("two", "A1"), out.Locks[0].ID)
	s.fresh()
	out = s.done(&lock.EndOwner{Owner: "owner", By: "admin"})
	require.Len(s.t, out.Locks, 2)
	all := s.fresh()
	require.Equal(s.t, []events.Type{events.LockReleased, events.LockReleased}, types(all))
	require.Equal(s.t, "admin", all[0].By)
	require.Empty(s.t, s.done(&lock.EndOwner{Owner: "owner"}).Locks)
}

// applyBatch: steps of one batch happen in order, and one that fails leaves the
// others alone.
func applyBatch(s *stage) {
	out, err := s.store.Apply(s.t.Context(), []lock.Step{
		ask("A", 0, "x"), ask("B", 0, "x"), ask("C", time.Hour, "x"),
		&lock.Release{ID: idOf("A"), Token: 1}, &lock.Revoke{ID: idOf("A"), Reason: "batch"}, &lock.Confirm{ID: idOf("C")},
	})
	require.NoError(s.t, err)
	require.Len(s.t, out, 6)
	require.NoError(s.t, out[0].Err)
	require.ErrorIs(s.t, out[1].Err, lock.ErrLocked)
	require.Equal(s.t, lock.Queued, out[2].Lock.State)
	require.ErrorIs(s.t, out[3].Err, lock.ErrStaleToken)
	require.Equal(s.t, lock.Revoked, out[4].Lock.State)
	require.Equal(s.t, lock.Held, out[5].Lock.State)
	require.Equal(s.t, []events.Type{
		events.LockAcquired, events.LockFailed, events.QueuedRequest,
		events.LockRevoked, events.LockOffered, events.LockAcquired,
	}, types(s.fresh()))
}
