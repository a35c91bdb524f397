package redis

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/core/lock"
)

// BenchmarkPairs takes and gives back a lock of its own with 16 callers: through
// the store, and with nothing but SETNX and DEL on the same server.
func BenchmarkPairs(b *testing.B) {
	server := redistest.Start(b)
	b.Run("store", func(b *testing.B) {
		s := open(b, testConfig(server.URL(), lock.DefaultRules()))
		held(b, s, "bench", "warm", "warm")
		var n atomic.Int64
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			key := fmt.Sprintf("k%d", n.Add(1))
			for pb.Next() {
				a := wanted("bench", lock.Owner(key), 0, key)
				a.Lock.TTL = time.Minute
				l := done(b, s, a)
				done(b, s, &lock.Release{ID: l.ID, Token: l.Token})
			}
		})
	})
	b.Run("setnx", func(b *testing.B) {
		c := goredis.NewClient(&goredis.Options{Addr: server.Addr})
		b.Cleanup(func() { c.Close() })
		var n atomic.Int64
		b.SetParallelism(8)
		b.RunParallel(func(pb *testing.PB) {
			key := fmt.Sprintf("k%d", n.Add(1))
			for pb.Next() {
				c.SetNX(b.Context(), key, "owner", time.Minute)
				c.Del(b.Context(), key)
			}
		})
	})
}

// BenchmarkScripts says how long the server works for one script, from INFO
// commandstats: the mean, and the tenth percentile of batches of 64, which is the
// figure of a server that is not interrupted by others on its machine.
func BenchmarkScripts(b *testing.B) {
	for _, depth := range []int{0, 100, 10_000} {
		b.Run(fmt.Sprintf("enqueue/depth=%d", depth), func(b *testing.B) {
			s, server := newBench(b)
			fill(b, s, depth)
			server.measure(b, s, func(int) *call {
				t := s.taskOf(wanted("bench", newOwner(), time.Hour, "k"))
				return t.calls[0]
			})
		})
		b.Run(fmt.Sprintf("release-and-offer/depth=%d", depth), func(b *testing.B) {
			s, server := newBench(b)
			ids := fill(b, s, depth+b.N)
			server.measure(b, s, func(i int) *call {
				token := lock.Token(0)
				if i == 0 {
					l, err := s.Get(b.Context(), ids[0])
					require.NoError(b, err)
					token = l.Token
				}
				return s.taskOf(&lock.Release{ID: ids[i], Token: token}).calls[0]
			})
		})
	}
	b.Run("acquire", func(b *testing.B) {
		s, server := newBench(b)
		server.measure(b, s, func(i int) *call {
			a := wanted("bench", newOwner(), 0, fmt.Sprintf("k%d", i))
			a.Lock.TTL = time.Minute
			return s.taskOf(a).calls[0]
		})
	})
	b.Run("release", func(b *testing.B) {
		s, server := newBench(b)
		locks := make([]lock.Lock, b.N)
		for i := range locks {
			locks[i] = held(b, s, "bench", newOwner(), fmt.Sprintf("k%d", i))
		}
		server.measure(b, s, func(i int) *call {
			return s.taskOf(&lock.Release{ID: locks[i].ID, Token: locks[i].Token}).calls[0]
		})
	})
	b.Run("renew", func(b *testing.B) {
		s, server := newBench(b)
		l := held(b, s, "bench", newOwner(), "k")
		server.measure(b, s, func(int) *call {
			return s.taskOf(&lock.Renew{ID: l.ID, Token: l.Token, TTL: time.Minute}).calls[0]
		})
	})
}

var owners atomic.Int64

func newOwner() lock.Owner { return lock.Owner(fmt.Sprintf("ci:job-%d", owners.Add(1))) }

type benchServer struct{ *goredis.Client }

// newBench makes a store that is not run: nothing but the script is measured.
func newBench(b *testing.B) (*Store, benchServer) {
	b.Helper()
	server := redistest.Start(b)
	s := ready(b, testConfig(server.URL(), lock.DefaultRules()))
	b.Cleanup(func() { s.client.Close() })
	held(b, s, "bench", "warm", "warm")
	return s, benchServer{server.Client()}
}

// fill queues n requests behind a holder of k and answers all, the holder first.
func fill(b *testing.B, s *Store, n int) []lock.ID {
	b.Helper()
	ids := []lock.ID{held(b, s, "bench", newOwner(), "k").ID}
	for len(ids) <= n {
		var calls []*call
		for range min(1000, n+1-len(ids)) {
			a := wanted("bench", newOwner(), time.Hour, "k")
			ids = append(ids, a.Lock.ID)
			calls = append(calls, s.taskOf(a).calls...)
		}
		s.send(b.Context(), calls)
	}
	return ids
}

var perCall = regexp.MustCompile(`cmdstat_evalsha:calls=(\d+),usec=(\d+)`)

func (c benchServer) measure(b *testing.B, s *Store, next func(int) *call) {
	b.Helper()
	calls := make([]*call, b.N)
	for i := range calls {
		calls[i] = next(i)
	}
	require.NoError(b, c.ConfigResetStat(b.Context()).Err())
	var each []float64
	var done, spent float64
	for first := 0; first < len(calls); first += 64 {
		s.send(b.Context(), calls[first:min(first+64, len(calls))])
		n, us := c.scripts(b)
		each = append(each, (us-spent)/(n-done))
		done, spent = n, us
	}
	for _, one := range calls {
		require.NoError(b, one.err)
	}
	slices.Sort(each)
	b.ReportMetric(spent/done, "server-µs/op")
	b.ReportMetric(each[len(each)/10], "p10-server-µs/op")
	b.ReportMetric(0, "ns/op")
}

// scripts says how many scripts the server has run and for how many µs.
func (c benchServer) scripts(b *testing.B) (calls, spent float64) {
	b.Helper()
	info, err := c.Info(b.Context(), "commandstats").Result()
	require.NoError(b, err)
	found := perCall.FindStringSubmatch(info)
	require.NotNil(b, found, info)
	calls, err = strconv.ParseFloat(found[1], 64)
	require.NoError(b, err)
	spent, err = strconv.ParseFloat(found[2], 64)
	require.NoError(b, err)
	return calls, spent
}
