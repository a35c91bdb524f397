package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/core/backend/storetest"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

func TestParseAddress(t *testing.T) {
	for url, want := range map[string]address{
		"redis://cache":                          {topology: single, hosts: []string{"cache:6379"}},
		"redis://:7000/3":                        {topology: single, hosts: []string{"localhost:7000"}, db: 3},
		"rediss://[::1]:6380":                    {topology: single, hosts: []string{"[::1]:6380"}, tls: true},
		"redis+sentinel://a,b:1,c/mymaster":      {topology: sentinel, hosts: []string{"a:26379", "b:1", "c:26379"}, master: "mymaster"},
		"redis+sentinel://a/mymaster/2":          {topology: sentinel, hosts: []string{"a:26379"}, master: "mymaster", db: 2},
		"rediss+cluster://a:1,b:2?pool_size=100": {topology: cluster, hosts: []string{"a:1", "b:2"}, tls: true},
	} {
		got, err := parseAddress(url)
		require.NoError(t, err, url)
		got.query, got.user = nil, nil
		require.Equal(t, want, *got, url)
	}
	a, err := parseAddress("redis+cluster://me:p%40ss,%2F@a:1,b:2")
	require.NoError(t, err)
	password, _ := a.user.Password()
	require.Equal(t, "me p@ss,/", a.user.Username()+" "+password)
	require.Equal(t, []string{"a:1", "b:2"}, a.hosts)
}

func TestParseAddress_saysWhatIsWrong(t *testing.T) {
	for url, want := range map[string]string{
		"cache:6379":                   "has no scheme",
		"http://cache":                 `"http" is no scheme of Redis`,
		"redis://a,b":                  "names one host",
		"redis://a/x":                  "no database number",
		"redis+sentinel://a":           "names the master in its path",
		"redis+cluster://a/1":          "database 0 only",
		"redis://a?timeout=3":          `"timeout" is no parameter`,
		"redis://a?tls_ca=x":           "tls_ca is for rediss://",
		"redis://a?sentinel_user=x":    "is for redis+sentinel://",
		"redis://a?pool_size=none":     "pool_size must be a number",
		"redis://app:hunter2%@cache:1": "not well-formed",
	} {
		_, err := parseAddress(url)
		require.ErrorContains(t, err, want, url)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestConfig_validate(t *testing.T) {
	cfg := DefaultConfig()
	require.NoError(t, cfg.Validate())
	cfg.KeyPrefix, cfg.Durability, cfg.Replicas, cfg.OperationTimeout = "a{b", Replicated, 0, 0
	err := cfg.Validate()
	for _, want := range []string{"key_prefix", "replicas", "operation_timeout"} {
		require.ErrorContains(t, err, want)
	}
	for _, level := range []Durability{Fast, Replicated} {
		text, err := level.MarshalText()
		require.NoError(t, err)
		var got Durability
		require.NoError(t, got.UnmarshalText(text))
		require.Equal(t, level, got)
	}
	require.Error(t, new(Durability).UnmarshalText([]byte("safe")))
}

// TestStore_withUserAndPassword logs in as a user who may do what the scripts do
// and no more.
func TestStore_withUserAndPassword(t *testing.T) {
	server := redistest.Start(t)
	require.NoError(t, server.Client().Do(t.Context(), "ACL", "SETUSER", "gate", "on", ">s3:cr/et", "~*", "&*",
		"-@all", "+@read", "+@write", "+@connection", "+eval", "+evalsha", "+script|load", "+info", "+time", "+wait", "-keys", "-flushall").Err())
	require.NoError(t, server.Client().Do(t.Context(), "ACL", "SETUSER", "default", "off").Err())
	s := open(t, testConfig("redis://gate:s3%3Acr%2Fet@"+server.Addr, storetest.Rules()))
	tip, err := s.Tip(t.Context())
	require.NoError(t, err)
	held(t, s, "ns", "a", "x")
	require.Equal(t, []events.Type{events.LockAcquired}, eventTypes(t, s, tip, 1))
}

func TestCursor_roundTrips(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := place{
			life: rapid.SampledFrom([]string{"", "0a1b2c3d"}).Draw(rt, "life"), seq: rapid.IntRange(0, 1<<40).Draw(rt, "seq"),
			at: rapid.Int64Range(0, 1<<50).Draw(rt, "at"), skip: rapid.IntRange(0, 1<<20).Draw(rt, "skip"),
		}
		got, err := parseCursor(want.cursor())
		require.NoError(rt, err)
		require.Equal(rt, want, got)
	})
	for _, bad := range []events.Cursor{"x", "-1", "a-1-2", "a-1-2-3-4", "a-1-2--3", "a-01-2-3", "a-x-2-3", "a-1-x-3"} {
		_, err := parseCursor(bad)
		var invalid *lock.InvalidError
		require.ErrorAs(t, err, &invalid, bad)
	}
}

// FuzzDecode feeds what another program may have written to the decoders of
// requests and events.
func FuzzDecode(f *testing.F) {
	f.Add("3 1 0 0 0 1 0 0 1 0 0 0 0 0 2 400 1", "owner\nsubject\nxkey\n", `{"actor":"a"}`, `{"id":"d"}`)
	f.Add("", "\n\n\n", "{", "")
	f.Fuzz(func(t *testing.T, s, m, b, d string) {
		stored := fields{id: "id", s: s, m: m, b: b, d: d}
		l, err := stored.decode("ns")
		if err != nil {
			return
		}
		var again lock.Lock
		require.NoError(t, decodeMatch(encodeMatch(&l), &again))
		require.Equal(t, l.Owner, again.Owner)
		require.Equal(t, l.Subject, again.Subject)
	})
}

// TestSweep_ofAnotherGatewaysLease: a deadline is known from the event that made
// it, and met without any transition in the namespace.
func TestSweep_ofAnotherGatewaysLease(t *testing.T) {
	server := redistest.Start(t)
	cfg := testConfig(server.URL(), storetest.Rules())
	here := ready(t, cfg) // never run: it sweeps nothing
	t.Cleanup(func() { require.NoError(t, here.client.Close()) })
	there := open(t, cfg)
	tip, err := there.Tip(t.Context())
	require.NoError(t, err)
	step := wanted("ns", "a", 0, "x")
	step.Lock.TTL = 300 * time.Millisecond
	l := done(t, here, step)
	require.Equal(t, []events.Type{events.LockAcquired, events.LockExpired}, eventTypes(t, there, tip, 2))
	got, err := there.Get(t.Context(), l.ID)
	require.NoError(t, err)
	require.Less(t, got.EndedAt.Sub(got.ExpiresAt), 5*time.Second)
}
