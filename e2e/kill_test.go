package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// ledger is what the clients of a gateway know for sure.
type ledger struct {
	mu      sync.Mutex
	held    map[string]wire.Lock // acknowledged grants whose release was not tried, by id
	newest  int64                // largest token of an acknowledged grant
	granted int
}

// grant notes an acknowledged grant. Newest was read before the call: every
// token that was acknowledged by then must be smaller.
func (l *ledger) grant(t *testing.T, g *wire.Lock, newest int64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if g.Token <= newest {
		t.Errorf("token %d of %s is not larger than %d, which was granted before", g.Token, g.ID, newest)
	}
	l.held[g.ID] = *g
	l.newest = max(l.newest, g.Token)
	l.granted++
}

// take hands out a held lock to release; nothing is known about it from then on.
func (l *ledger) take() (wire.Lock, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, held := range l.held {
		delete(l.held, id)
		return held, true
	}
	return wire.Lock{}, false
}

func (l *ledger) newestToken() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// TestKill_everyAcknowledgedGrantIsThere kills the gateway at random moments
// under load and holds what a new one knows against what was acknowledged.
func TestKill_everyAcknowledgedGrantIsThere(t *testing.T) {
	t.Parallel()
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	const seed = 7
	random := rand.New(rand.NewPCG(seed, seed))
	store := "file:" + filepath.Join(t.TempDir(), "lockgate.db")
	known := &ledger{held: map[string]wire.Lock{}}
	address := freeAddress(t)
	for round := range rounds {
		p := startGateway(t, address, "--backend.url", store)
		known.check(t, p.url)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		moment := time.Duration(20+random.IntN(180)) * time.Millisecond
		known.load(t, p, moment)
	}
	p := startGateway(t, address, "--backend.url", store)
	known.check(t, p.url)
	p.kill()
	require.Greater(t, known.granted, rounds, "the load did nothing")
	t.Logf("%d grants over %d kills", known.granted, rounds)
}

// load runs clients until the gateway is killed at the given moment.
func (l *ledger) load(t *testing.T, p *gatewayProcess, moment time.Duration) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 8 {
		c := newClient(t, p.url)
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				l.step(ctx, t, c, i, n)
			}
		})
	}
	kill := time.NewTimer(moment)
	<-kill.C
	p.kill()
	cancel()
	clients.Wait()
}

// step acquires, or releases what somebody acquired.
func (l *ledger) step(ctx context.Context, t *testing.T, c *client.Client, worker, n int) {
	t.Helper()
	if n%3 == 2 {
		if held, ok := l.take(); ok {
			_, _ = c.Release(ctx, held.ID, held.Token)
		}
		return
	}
	newest := l.newestToken()
	g, err := c.Acquire(ctx, &wire.AcquireRequest{
		Namespace: "kill", Owner: fmt.Sprintf("w%d/%d/%d", worker, n, newest),
		Resources: []wire.Resource{{Key: fmt.Sprintf("stack/%d", rand.IntN(40))}}, Wait: wire.Duration(time.Duration(n%2) * 20 * time.Millisecond),
	})
	if err == nil {
		l.grant(t, g, newest)
	}
}

// check asks a gateway for every lock that must be there, and that no resource
// has two holders.
func (l *ledger) check(t *testing.T, url string) {
	t.Helper()
	c := newClient(t, url)
	for id, held := range l.held {
		got, err := c.Verify(t.Context(), id, held.Token)
		if err != nil {
			t.Errorf("lock %s of %s on %s was acknowledged with token %d and is gone: %v", id, held.Owner, held.Resources[0].Key, held.Token, err)
			continue
		}
		require.Equal(t, held.Resources, got.Resources)
	}
	holders := map[string]string{}
	for lock, err := range c.List(t.Context(), client.ListFilter{Namespace: "kill"}) {
		require.NoError(t, err)
		if lock.State != client.Held {
			continue
		}
		key := lock.Resources[0].Key
		if other, twice := holders[key]; twice {
			t.Errorf("%s is held by %s and by %s", key, other, lock.ID)
		}
		holders[key] = lock.ID
	}
}

func newClient(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: url, RetryFor: -1})
	require.NoError(t, err)
	return c
}
