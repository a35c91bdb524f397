package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/core/backend/storetest"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

func TestApply_survivesAFlushOfTheScripts(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, testConfig(server.URL(), storetest.Rules()))
	a := held(t, s, "ns", "a", "x")
	require.NoError(t, server.Client().ScriptFlush(t.Context()).Err())
	b := wanted("ns", "b", time.Hour, "x")
	out, err := s.Apply(t.Context(), []lock.Step{
		&lock.Release{ID: a.ID, Token: a.Token}, b, wanted("ns", "c", time.Hour, "x"),
	})
	require.NoError(t, err)
	require.Equal(t, lock.Released, out[0].Lock.State)
	require.Equal(t, lock.Held, out[1].Lock.State)
	require.Equal(t, lock.Queued, out[2].Lock.State)
	require.Equal(t, b.Lock.ID, out[2].Lock.BlockedBy[0].ID)
}

// TestTokens_growAfterEverythingIsLost: a server that comes back with nothing
// must not hand out a token of its earlier life again.
func TestTokens_growAfterEverythingIsLost(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, testConfig(server.URL(), storetest.Rules()))
	last := held(t, s, "ns", "a", "x").Token
	for range 3 {
		server.Restart()
		now := eventuallyHeld(t, s, "ns", "x").Token
		require.Greater(t, now, last)
		last = now
	}
}

// eventuallyHeld acquires as often as it takes until a server that was away
// answers; every call is a new owner's.
func eventuallyHeld(t *testing.T, s *Store, ns lock.Namespace, key string) lock.Lock {
	t.Helper()
	step := wanted(ns, "again", 0, key)
	var got lock.Lock
	redistest.Eventually(t, func() error {
		out, err := s.Apply(t.Context(), []lock.Step{step})
		if err == nil {
			err = out[0].Err
		}
		if err == nil {
			got = out[0].Lock
		}
		return err
	}, func() string { return "never held" })
	return got
}

// TestTokens_growAfterAPromotion: a replica that becomes master knows less than
// its master had done, and its clock may be behind.
func TestTokens_growAfterAPromotion(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.StartReplica(t, master)
	cfg := testConfig(master.URL(), storetest.Rules())
	old := open(t, cfg)
	held(t, old, "ns", "a", "x")
	replicated(t, master, "barrier")
	require.NoError(t, replica.Client().SlaveOf(t.Context(), "NO", "ONE").Err()) //nolint:staticcheck // the client knows no other name
	lost := held(t, old, "ns", "b", "y").Token                                   // the old master still lives and still grants

	cfg.URL = replica.URL()
	promoted := open(t, cfg)
	got := held(t, promoted, "ns", "c", "y").Token
	require.Greater(t, got, lost)
	require.Greater(t, got, lock.Token(time.Now().UnixMicro()), "the floor is ahead of every clock within the skew")
	epoch, err := replica.Client().HGet(t.Context(), cfg.KeyPrefix+":{ns}:c", "epoch").Int()
	require.NoError(t, err)
	require.Equal(t, 2, epoch)
}

// replicated returns when the replica of a server has everything so far. WAIT
// counts the writes of its own connection only, so there is one.
func replicated(t *testing.T, master *redistest.Server, key string) {
	t.Helper()
	barrier := master.Client().Conn()
	require.NoError(t, barrier.Set(t.Context(), key, "", time.Second).Err())
	n, err := barrier.Wait(t.Context(), 1, 5*time.Second).Result()
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	require.NoError(t, barrier.Close())
}

func TestReplicated_takesBackWhatReplicasDoNotHave(t *testing.T) {
	server := redistest.Start(t)
	cfg := testConfig(server.URL(), storetest.Rules())
	observer := open(t, cfg)
	cfg.Durability, cfg.Replicas, cfg.OperationTimeout = Replicated, 1, 4*time.Second
	s := open(t, cfg)
	tip, err := observer.Tip(t.Context())
	require.NoError(t, err)

	a := wanted("ns", "a", time.Hour, "x")
	var gone *lock.UnavailableError
	require.ErrorAs(t, apply(t, s, a).Err, &gone)
	_, err = observer.Get(t.Context(), a.Lock.ID)
	require.ErrorIs(t, err, lock.ErrNotFound, "the grant was not taken back")
	require.Equal(t, []events.Type{events.LockAcquired, events.LockFailed}, eventTypes(t, observer, tip, 2))

	holder := held(t, observer, "ns", "h", "x")
	queued := done(t, observer, wanted("ns", "b", time.Hour, "x"))
	done(t, observer, &lock.Release{ID: holder.ID, Token: holder.Token})
	require.ErrorAs(t, apply(t, s, &lock.Confirm{ID: queued.ID}).Err, &gone)
	l, err := observer.Get(t.Context(), queued.ID)
	require.NoError(t, err)
	require.Equal(t, lock.Offered, l.State)
	require.Zero(t, l.Token)

	redistest.StartReplica(t, server)
	confirmed := done(t, s, &lock.Confirm{ID: queued.ID})
	require.Equal(t, lock.Held, confirmed.State)
	done(t, s, &lock.Release{ID: confirmed.ID, Token: confirmed.Token})
	require.Equal(t, lock.Held, done(t, s, a).State, "the same step, handed over again")
}

func eventTypes(t *testing.T, s *Store, after events.Cursor, n int) []events.Type {
	t.Helper()
	var types []events.Type
	for len(types) < n {
		some, err := s.Events(t.Context(), after, n-len(types))
		require.NoError(t, err)
		for i := range some {
			types, after = append(types, some[i].Type), some[i].Cursor
		}
	}
	return types
}

// TestApply_ofAServerThatIsAway: the error says so, and nothing waits longer than
// one operation may take.
func TestApply_ofAServerThatIsAway(t *testing.T) {
	server := redistest.Start(t)
	cfg := testConfig(server.URL(), storetest.Rules())
	cfg.OperationTimeout = 300 * time.Millisecond
	s := open(t, cfg)
	a := held(t, s, "ns", "a", "x")
	server.Kill()
	var away *lock.UnavailableError
	_, err := s.Apply(t.Context(), []lock.Step{&lock.Verify{ID: a.ID, Token: a.Token}, wanted("ns", "b", 0, "x")})
	require.ErrorAs(t, err, &away)
	_, err = s.Get(t.Context(), a.ID)
	require.ErrorAs(t, err, &away)
	require.ErrorAs(t, s.Ping(t.Context()), &away)
	server.Restart()
	eventuallyHeld(t, s, "ns", "x")
	require.NoError(t, s.Ping(t.Context()))
}

func TestStore_afterRunHasEnded(t *testing.T) {
	server := redistest.Start(t)
	s := ready(t, testConfig(server.URL(), storetest.Rules()))
	stop := run(t, s)
	held(t, s, "ns", "a", "x")
	stop()
	var away *lock.UnavailableError
	_, err := s.Apply(t.Context(), []lock.Step{wanted("ns", "b", 0, "y")})
	require.ErrorAs(t, err, &away)
	_, err = s.Events(t.Context(), "", 1)
	require.ErrorAs(t, err, &away)
	_, err = s.Get(t.Context(), testIDs.Next("ns", time.Now()))
	require.ErrorAs(t, err, &away)
}

// TestGateways_shareOneTable: what one gateway does the other one sees, wakes
// for, and may go on with.
func TestGateways_shareOneTable(t *testing.T) {
	server := redistest.Start(t)
	rules := storetest.Rules()
	rules.OfferTimeout = 200 * time.Millisecond
	cfg := testConfig(server.URL(), rules)
	here := ready(t, cfg)
	stop := run(t, here)
	there := open(t, cfg)
	tip, err := there.Tip(t.Context())
	require.NoError(t, err)

	first := wanted("ns", "a", time.Hour, "x")
	first.Idempotency = lock.Idempotency{Key: "key", Hash: "hash"}
	first.Lock.TTL = time.Second
	a := done(t, here, first)
	again := wanted("ns", "a", time.Hour, "x")
	again.Idempotency = first.Idempotency
	out := apply(t, there, again)
	require.True(t, out.Repeat)
	require.Equal(t, a.Token, out.Lock.Token)

	waiting := wanted("ns", "b", time.Hour, "x")
	waiting.Attend = lock.Attendee{Attended: true, Place: time.Hour}
	done(t, here, waiting)
	stop() // nobody is left who knows of the lease but the one that reads events
	require.Equal(t, []events.Type{
		events.LockAcquired, events.QueuedRequest, events.LockExpired, events.LockOffered, // and nobody confirms
		events.QueuedRequest, events.LockOffered, events.LockTimeout,
	}, eventTypes(t, there, tip, 7))
}

// TestEvents_goOnAtAnotherGateway: a cursor of one gateway is good at another,
// and after a restart: nothing is missed, order within the namespaces is kept,
// and no gap is told.
func TestEvents_goOnAtAnotherGateway(t *testing.T) {
	server := redistest.Start(t)
	cfg := testConfig(server.URL(), storetest.Rules())
	here := open(t, cfg)
	cursor, err := here.Tip(t.Context())
	require.NoError(t, err)
	const each = 40
	var made []lock.ID
	for i := range 2 * each {
		if i == each {
			some, err := here.Events(t.Context(), cursor, each/2)
			require.NoError(t, err)
			cursor = some[len(some)-1].Cursor
		}
		l := held(t, here, lock.Namespace(fmt.Sprintf("ns%d", i%3)), "a", fmt.Sprintf("k%d", i))
		made = append(made, l.ID)
	}
	for _, s := range []*Store{here, open(t, cfg), open(t, cfg)} {
		seen := make(map[lock.ID]bool)
		last := make(map[lock.Namespace]time.Time)
		for at := cursor; !seen[made[len(made)-1]] || !seen[made[len(made)-2]] || !seen[made[len(made)-3]]; {
			some, err := s.Events(t.Context(), at, 7)
			require.NoError(t, err)
			for _, e := range some {
				require.Equal(t, events.LockAcquired, e.Type)
				if !seen[e.Lock.ID] {
					require.False(t, e.Time.Before(last[e.Namespace]), "out of order")
					last[e.Namespace] = e.Time
				}
				seen[e.Lock.ID], at = true, e.Cursor
			}
		}
		for _, id := range made[each:] {
			require.True(t, seen[id], "an event was missed")
		}
	}
}

// TestEvents_fromBeforeTheRing reads, page by page, what only the streams have.
func TestEvents_fromBeforeTheRing(t *testing.T) {
	server := redistest.Start(t)
	s := open(t, testConfig(server.URL(), storetest.Rules()))
	const each = 20
	var made []lock.ID
	for i := range each {
		made = append(made, held(t, s, lock.Namespace(fmt.Sprintf("ns%d", i%3)), "a", fmt.Sprintf("k%d", i)).ID)
	}
	for _, limit := range []int{1, 3, 100} {
		var got []lock.ID
		for at := (place{}); len(got) < each; {
			page, err := s.between(t.Context(), at, time.Now().Add(time.Hour).UnixMilli(), limit)
			require.NoError(t, err)
			require.NotEmpty(t, page)
			require.LessOrEqual(t, len(page), limit)
			for i := range page {
				got = append(got, page[i].Lock.ID)
				at, err = parseCursor(page[i].Cursor)
				require.NoError(t, err)
			}
		}
		require.ElementsMatch(t, made, got, "with %d a page", limit)
	}
}

// TestNamespaces_comeAndGo: a namespace that was not used for longer than events
// are kept leaves no key behind but its clock, and comes back with larger tokens.
func TestNamespaces_comeAndGo(t *testing.T) {
	server := redistest.Start(t)
	rules := storetest.Rules()
	rules.Ended, rules.Events, rules.Idempotency = 30*time.Millisecond, 30*time.Millisecond, 30*time.Millisecond
	cfg := testConfig(server.URL(), rules)
	s, other := open(t, cfg), open(t, cfg)
	first := wanted("ns", "a", 0, "x")
	first.Idempotency = lock.Idempotency{Key: "key", Hash: "hash"}
	a := done(t, s, first)
	c := server.Client()
	retire := func() int64 {
		require.NoError(t, c.ZAddXX(t.Context(), s.keys.index(), goredis.Z{Score: 1, Member: "ns"}).Err())
		require.NoError(t, s.retire(t.Context()))
		return c.ZCard(t.Context(), s.keys.index()).Val()
	}
	require.Equal(t, int64(1), retire(), "it holds a lock")
	done(t, s, &lock.Release{ID: a.ID, Token: a.Token})
	redistest.Eventually(t, func() error {
		if n := retire(); n != 0 {
			return fmt.Errorf("%d namespaces are in the index", n)
		}
		return nil
	}, server.Log)
	require.Equal(t, []string{s.keys.clock("ns")}, c.Keys(t.Context(), cfg.KeyPrefix+":*").Val())
	require.Positive(t, c.PTTL(t.Context(), s.keys.clock("ns")).Val())

	require.Greater(t, held(t, other, "ns", "b", "x").Token, a.Token, "at a gateway that does not know of it")
	require.Equal(t, int64(1), c.ZCard(t.Context(), s.keys.index()).Val())
}

// TestMemory_endsWhereItBegan: ended requests, events and idempotency keys go.
func TestMemory_endsWhereItBegan(t *testing.T) {
	server := redistest.Start(t)
	rules := storetest.Rules()
	rules.Ended, rules.Events, rules.Idempotency = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	s := open(t, testConfig(server.URL(), rules))
	c := server.Client()
	for i := range 2000 {
		step := wanted("ns", lock.Owner(fmt.Sprintf("o%d", i)), 0, fmt.Sprintf("k%d", i))
		step.Idempotency = lock.Idempotency{Key: fmt.Sprintf("i%d", i), Hash: "hash"}
		l := done(t, s, step)
		done(t, s, &lock.Release{ID: l.ID, Token: l.Token})
	}
	redistest.Eventually(t, func() error {
		s.sweep(t.Context(), []lock.Namespace{"ns"})
		events := c.XLen(t.Context(), s.keys.events("ns")).Val()
		if n := c.DBSize(t.Context()).Val(); n > 3 || events > 200 { // clock, index, stream
			return fmt.Errorf("%d keys and %d events are left", n, events)
		}
		return nil
	}, server.Log)
}

// TestCluster_slotMovesUnderLoad moves the slot of a namespace to another server
// and back, key by key, while callers hand a lock to each other. Nobody may ever
// meet half a namespace: no lock is lost and none is held twice.
func TestCluster_slotMovesUnderLoad(t *testing.T) {
	nodes := redistest.StartCluster(t, 3, 0)
	for _, level := range []Durability{Fast, Replicated} {
		t.Run(level.String(), func(t *testing.T) {
			s := ready(t, testConfig(nodes.URL(), storetest.Rules()))
			s.cfg.Durability, s.cfg.Replicas = level, 0 // there are none: what is tested is who follows the slot
			run(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var holders, handed atomic.Int64
			var faults sync.Map
			var callers sync.WaitGroup
			for i := range 4 {
				callers.Go(func() {
					for ctx.Err() == nil {
						out, err := s.Apply(t.Context(), []lock.Step{wanted("moved", lock.Owner(fmt.Sprintf("o%d", i)), 0, "x", "y")})
						if err != nil {
							faults.Store(err.Error(), true)
							continue
						}
						if out[0].Err != nil {
							continue
						}
						if holders.Add(1) != 1 {
							faults.Store("held twice", true)
						}
						holders.Add(-1)
						step := &lock.Release{ID: out[0].Lock.ID, Token: out[0].Lock.Token}
						back, err := s.Apply(t.Context(), []lock.Step{step})
						if err != nil || back[0].Err != nil {
							faults.Store(fmt.Sprint("release: ", err, back), true)
						}
						handed.Add(1)
					}
				})
			}
			for range 4 {
				before := handed.Load()
				nodes.MoveSlot(t, s.keys.clock("moved"))
				redistest.Eventually(t, func() error {
					if handed.Load() < before+10 {
						return fmt.Errorf("handed over %d times since the slot moved", handed.Load()-before)
					}
					return nil
				}, nodes.Nodes[0].Log)
			}
			cancel()
			callers.Wait()
			faults.Range(func(what, _ any) bool { t.Error(what); return true })
			stats, err := s.Stats(t.Context())
			require.NoError(t, err)
			require.Zero(t, stats.Held, "a lock was lost")
		})
	}
}
