package redis

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/core/backend/storetest"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

var _ orchestrator.Store = (*Store)(nil)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/redis/go-redis/v9/internal/pool.startGlobalTimeCache.func1"))
}

// prefixes keeps the stores of tests that share a server apart.
var prefixes atomic.Int64

func testConfig(url string, rules lock.Rules) Config {
	cfg := DefaultConfig()
	cfg.URL, cfg.Rules, cfg.KeyPrefix = url, rules, fmt.Sprintf("t%d", prefixes.Add(1))
	return cfg
}

func testLogger() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// ready makes a store that nobody runs yet.
func ready(tb testing.TB, cfg Config) *Store {
	tb.Helper()
	s, err := New(cfg, testLogger(), prometheus.NewRegistry())
	require.NoError(tb, err)
	return s
}

// open runs a store until the test ends.
func open(tb testing.TB, cfg Config) *Store {
	tb.Helper()
	s := ready(tb, cfg)
	run(tb, s)
	return s
}

// run runs a store until the test, or what it answers, ends it.
func run(tb testing.TB, s *Store) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once atomic.Bool
	stop = func() {
		if once.CompareAndSwap(false, true) {
			cancel()
			require.NoError(tb, <-ended)
		}
	}
	tb.Cleanup(stop)
	return stop
}

func TestStore_single(t *testing.T) {
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T, rules lock.Rules) orchestrator.Store {
		t.Helper()
		return open(t, testConfig(server.URL(), rules))
	})
}

func TestStore_cluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3, 0)
	storetest.Run(t, func(t *testing.T, rules lock.Rules) orchestrator.Store {
		t.Helper()
		return open(t, testConfig(nodes.URL(), rules))
	})
}

func TestStore_sentinel(t *testing.T) {
	set := redistest.StartSentinel(t, 1)
	s := open(t, testConfig(set.URL(), storetest.Rules()))
	require.NoError(t, s.Ping(t.Context()))
	held(t, s, "ns", "owner", "k")
}

var testIDs = lock.NewIDs()

// wanted is an acquire of keys; those that end in "~" in shared mode.
func wanted(ns lock.Namespace, owner lock.Owner, wait time.Duration, keys ...string) *lock.Acquire {
	l := lock.Lock{
		ID: testIDs.Next(ns, time.Now()), Namespace: ns, Owner: owner, Subject: "subject",
		Priority: lock.Normal, Value: lock.Normal.Base(), Wait: wait,
	}
	for _, k := range keys {
		name, shared := strings.CutSuffix(k, "~")
		r := lock.Resource{Key: lock.Key(name)}
		if shared {
			r.Mode = lock.Shared
		}
		l.Resources = append(l.Resources, r)
	}
	return &lock.Acquire{Lock: l}
}

func apply(tb testing.TB, s orchestrator.Store, step lock.Step) lock.Outcome {
	tb.Helper()
	out, err := s.Apply(tb.Context(), []lock.Step{step})
	require.NoError(tb, err)
	return out[0]
}

func done(tb testing.TB, s orchestrator.Store, step lock.Step) lock.Lock {
	tb.Helper()
	out := apply(tb, s, step)
	require.NoError(tb, out.Err)
	return out.Lock
}

func held(tb testing.TB, s orchestrator.Store, ns lock.Namespace, owner lock.Owner, keys ...string) lock.Lock {
	tb.Helper()
	l := done(tb, s, wanted(ns, owner, 0, keys...))
	require.Equal(tb, lock.Held, l.State)
	return l
}
