package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/core/backend/storetest"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

// TestDifferential does the same random steps on this store and on the embedded
// one. Outcomes, requests, queues, facts and events must be the same, times and
// tokens aside: both are translated to the order in which they were given.
func TestDifferential(t *testing.T) {
	server := redistest.Start(t)
	rules := storetest.Rules()
	rules.Aging = lock.Aging(time.Hour) // a score never depends on how fast a store is
	ours := open(t, testConfig(server.URL(), rules))
	oracle := openEmbedded(t, rules)
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		d := newDuel(t, rt, lock.Namespace(fmt.Sprintf("run %d", runs)), oracle, ours)
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			d.round()
		}
	})
}

func openEmbedded(tb testing.TB, rules lock.Rules) *embedded.Store {
	tb.Helper()
	s, err := embedded.Open(embedded.Config{Rules: rules}, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		require.NoError(tb, <-ended)
	})
	return s
}

// duel is one sequence of steps on two stores.
type duel struct {
	rt     *rapid.T
	ctx    context.Context
	ns     lock.Namespace
	sides  [2]*side // the oracle first
	made   []lock.ID
	serial uint64
	born   time.Time
}

// side is what the test knows of one store.
type side struct {
	store  orchestrator.Store
	cursor events.Cursor
	tokens map[lock.ID]lock.Token
	last   lock.Token
}

func newDuel(t *testing.T, rt *rapid.T, ns lock.Namespace, stores ...orchestrator.Store) *duel {
	t.Helper()
	d := &duel{rt: rt, ctx: t.Context(), ns: ns, born: time.Now()}
	for i, s := range stores {
		tip, err := s.Tip(d.ctx)
		require.NoError(rt, err)
		d.sides[i] = &side{store: s, cursor: tip, tokens: make(map[lock.ID]lock.Token)}
	}
	return d
}

func (d *duel) round() {
	batch := make([]func(*side) lock.Step, rapid.IntRange(1, 3).Draw(d.rt, "batch"))
	for i := range batch {
		batch[i] = d.draw()
	}
	var seen [2]string
	for i, s := range d.sides {
		steps := make([]lock.Step, len(batch))
		for j, make := range batch {
			steps[j] = make(s)
		}
		out, err := s.store.Apply(d.ctx, steps)
		require.NoError(d.rt, err)
		for j := range out {
			s.learn(d.rt, &out[j].Lock)
			if _, queued := steps[j].(*lock.Acquire); queued && len(steps) > 1 && out[j].Err == nil {
				out[j].Lock.BlockedBy, out[j].Lock.BlockedByTotal = nil, 0 // read after the whole batch
			}
			seen[i] += fmt.Sprintf("%s → %s\n", steps[j].Name(), d.spell(&out[j], steps[j]))
		}
		seen[i] += s.read(d)
	}
	require.Equal(d.rt, seen[0], seen[1])
}

// learn checks that a token is larger than every one before.
func (s *side) learn(rt *rapid.T, l *lock.Lock) {
	if l.Token == 0 || s.tokens[l.ID] == l.Token {
		return
	}
	require.Zero(rt, s.tokens[l.ID], "a token changed")
	require.Greater(rt, l.Token, s.last, "tokens grow")
	s.tokens[l.ID], s.last = l.Token, l.Token
}

// spell writes an outcome down.
func (d *duel) spell(out *lock.Outcome, step lock.Step) string {
	text := fmt.Sprintf("repeat=%t err=%v", out.Repeat, out.Err)
	if conflict, ok := errors.AsType[*lock.ConflictError](out.Err); ok {
		text = "locked " + d.request(&conflict.Lock)
	}
	if _, ended := errors.AsType[*lock.EndedError](out.Err); ended {
		text = "ended"
	}
	if _, isDeny := step.(*lock.Deny); isDeny {
		return text
	}
	list := []string{text, d.request(&out.Lock)}
	for i := range out.Locks {
		list = append(list, d.request(&out.Locks[i]))
	}
	return strings.Join(list, " ")
}

// request writes everything down but times and tokens; of those, whether they
// are set.
func (d *duel) request(l *lock.Lock) string {
	if l.ID == "" {
		return "none"
	}
	set := func(t time.Time) int {
		if t.IsZero() {
			return 0
		}
		return 1
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s %v %s %s/%s %s %d token=%t %q %s %s %s times=%d%d%d%d%d%d%d lapses=%d %t %s at %d of %d behind",
		l.ID[20:], l.State, l.Resources, l.Owner, l.Subject, l.Actor, l.Priority, l.Value, l.Token > 0, l.Reason, l.TTL, l.MaxTTL, l.Wait,
		set(l.RequestedAt), set(l.WaitUntil), set(l.OfferUntil), set(l.AcquiredAt), set(l.ExpiresAt), set(l.EndedAt), set(l.AliveUntil),
		l.Lapses, l.Attended, l.Decision.ID, l.Position, l.BlockedByTotal)
	for _, b := range l.BlockedBy {
		fmt.Fprintf(&text, " %s@%s %s %s %s", b.ID[20:], b.Resource, b.Owner, b.State, b.Priority)
	}
	fmt.Fprintf(&text, " %v", l.Labels)
	return text.String()
}

// read writes down everything that can be read of the namespace.
func (s *side) read(d *duel) string {
	var b strings.Builder
	tip, err := s.store.Tip(d.ctx)
	require.NoError(d.rt, err)
	for s.cursor != tip {
		some, err := s.store.Events(d.ctx, s.cursor, 50)
		require.NoError(d.rt, err)
		for i := range some {
			e := &some[i]
			s.cursor = e.Cursor
			fmt.Fprintf(&b, "%s before=%d %q by %q %s\n", e.Type, e.Before, e.Reason, e.By, d.request(&e.Lock))
		}
	}
	all := lock.Query{Namespace: d.ns, Limit: 1000, States: []lock.State{
		lock.Queued, lock.Offered, lock.Held, lock.Released, lock.Revoked, lock.Cancelled, lock.TimedOut, lock.Denied, lock.Expired,
	}}
	page, err := s.store.List(d.ctx, all)
	require.NoError(d.rt, err)
	require.Empty(d.rt, page.Next)
	for i := range page.Locks {
		fmt.Fprintln(&b, d.request(&page.Locks[i]))
		one, err := s.store.Get(d.ctx, page.Locks[i].ID)
		require.NoError(d.rt, err)
		require.Empty(d.rt, cmp.Diff(page.Locks[i], one, cmpopts.EquateEmpty()), "a list and a read tell different things")
	}
	queues, err := s.store.Queues(d.ctx, lock.QueueQuery{Namespace: d.ns, Limit: 1000, Depth: 100})
	require.NoError(d.rt, err)
	for _, q := range queues.Queues {
		fmt.Fprintf(&b, "%s %d\n", q.Resource, q.Length)
		for _, list := range [][]lock.Lock{q.Holders, q.Waiters} {
			for i := range list {
				fmt.Fprintln(&b, "  ", list[i].ID[20:], list[i].Position)
			}
		}
	}
	facts, err := s.store.Facts(d.ctx, lock.FactsQuery{
		Namespace: d.ns, Owner: "o1", Subject: "s", Resources: []lock.Resource{{Key: "a"}, {Key: "b"}},
	})
	require.NoError(d.rt, err)
	for _, f := range facts {
		fmt.Fprintf(&b, "%t %d %d %d %d\n", f.Holder != nil, f.QueueLength, f.Mine, f.HeldBySubject, f.HeldByOwner)
	}
	return b.String()
}

// draw draws a step; what depends on a store, its tokens, comes when it is made.
func (d *duel) draw() func(*side) lock.Step {
	id := d.id()
	decision := lock.Summary{ID: fmt.Sprintf("d%d", d.serial)}
	fixed := func(step lock.Step) func(*side) lock.Step { return func(*side) lock.Step { return step } }
	switch rapid.IntRange(0, 17).Draw(d.rt, "kind") {
	case 0, 1, 2:
		return fixed(&lock.Confirm{ID: id, TTL: d.length(), MaxTTL: d.length(), Decision: decision})
	case 3, 4, 5:
		token, subject := d.token(id), rapid.SampledFrom([]string{"", "s", "% odd\nsubject"}).Draw(d.rt, "of")
		return func(s *side) lock.Step {
			return &lock.Release{ID: id, Token: token(s), Subject: subject, By: "somebody"}
		}
	case 6:
		return fixed(&lock.Revoke{ID: id, By: "admin", Reason: "why"})
	case 7:
		return fixed(&lock.Refuse{ID: id, Decision: decision})
	case 8:
		p := rapid.SampledFrom(append(lock.Priorities(), lock.Unstated)).Draw(d.rt, "priority")
		return fixed(&lock.Reprioritize{ID: id, Priority: p, Value: d.value(), Decision: decision, By: "admin"})
	case 9:
		return fixed(&lock.EndOwner{Namespace: d.ns, Owner: d.owner(), By: "admin"})
	case 10:
		token, ttl := d.token(id), d.length()
		if rapid.Bool().Draw(d.rt, "same") {
			ttl = -1
		}
		return func(s *side) lock.Step { return &lock.Renew{ID: id, Token: token(s), TTL: ttl} }
	case 11:
		token := d.token(id)
		return func(s *side) lock.Step { return &lock.Verify{ID: id, Token: token(s)} }
	case 12:
		return fixed(&lock.Attend{IDs: []lock.ID{id, d.id()}, Attendee: d.attendee(), Beat: rapid.Bool().Draw(d.rt, "beat")})
	case 13:
		denied := d.newcomer().Lock
		denied.Decision = decision
		return fixed(&lock.Deny{Lock: denied, Action: lock.ActAcquire})
	}
	a := d.newcomer()
	d.made = append(d.made, a.Lock.ID)
	return fixed(a)
}

func (d *duel) newcomer() *lock.Acquire {
	d.serial++
	a := &lock.Acquire{Lock: lock.Lock{
		ID:        lock.NewID(d.ns, d.born, d.serial), // ascending: requests of one millisecond keep their order
		Namespace: d.ns, Owner: d.owner(), Subject: rapid.SampledFrom([]string{"s", "% odd\nsubject"}).Draw(d.rt, "subject"),
		Actor: "actor", Priority: rapid.SampledFrom(lock.Priorities()).Draw(d.rt, "priority"), Value: d.value(),
		TTL: d.length(), MaxTTL: d.length(), Labels: map[string]string{"team": "infra"},
	}}
	if rapid.IntRange(0, 4).Draw(d.rt, "try") > 0 {
		a.Lock.Wait = time.Hour
	}
	for _, key := range []lock.Key{"a", "b", "c"} {
		if m := rapid.IntRange(0, 4).Draw(d.rt, "mode"); m < 3 {
			mode := lock.Exclusive
			if m == 2 {
				mode = lock.Shared
			}
			a.Lock.Resources = append(a.Lock.Resources, lock.Resource{Key: key, Mode: mode})
		}
	}
	if len(a.Lock.Resources) == 0 {
		a.Lock.Resources = []lock.Resource{{Key: "a", Mode: lock.Shared}}
	}
	a.MaxQueue = rapid.SampledFrom([]int{0, 0, 3}).Draw(d.rt, "max queue")
	a.Attend = d.attendee()
	if rapid.IntRange(0, 5).Draw(d.rt, "idempotent") == 0 {
		a.Idempotency.Key = rapid.SampledFrom([]string{"k1", "k2"}).Draw(d.rt, "key")
		a.Idempotency.Hash = rapid.SampledFrom([]string{"h1", "h1", "h2"}).Draw(d.rt, "hash")
	}
	return a
}

func (d *duel) id() lock.ID {
	if len(d.made) == 0 {
		return lock.NewID(d.ns, d.born, 0)
	}
	return rapid.SampledFrom(d.made).Draw(d.rt, "id")
}

// token is the live token of a request, and now and then another.
func (d *duel) token(id lock.ID) func(*side) lock.Token {
	if rapid.IntRange(0, 5).Draw(d.rt, "stale") == 0 {
		return func(*side) lock.Token { return 1 }
	}
	return func(s *side) lock.Token { return s.tokens[id] }
}

func (d *duel) owner() lock.Owner {
	return lock.Owner(fmt.Sprintf("o%d", rapid.IntRange(1, 5).Draw(d.rt, "owner")))
}

func (d *duel) value() int {
	return rapid.SampledFrom([]int{-1, 0, 200, 400, 900, 2000}).Draw(d.rt, "value")
}

func (d *duel) length() time.Duration {
	return rapid.SampledFrom([]time.Duration{0, 0, time.Hour, 2 * time.Hour}).Draw(d.rt, "length")
}

func (d *duel) attendee() lock.Attendee {
	return lock.Attendee{Attended: rapid.Bool().Draw(d.rt, "attended"), Place: d.length()}
}
