package embedded_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/lock"
)

func acquireOf(owner, key string, wait time.Duration) *lock.Acquire {
	return &lock.Acquire{Lock: lock.Lock{
		ID: lock.ID(ulid.Make().String()), Namespace: "acme/infra", Owner: lock.Owner(owner), Subject: "ci",
		Resources: []lock.Resource{{Key: lock.Key(key)}}, Priority: lock.Normal, Value: 400, Wait: wait, TTL: time.Hour,
		Decision: lock.Summary{ID: ulid.Make().String(), Revision: "r1"},
		Trace:    lock.Trace{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	}}
}

func apply(tb testing.TB, store *embedded.Store, steps ...lock.Step) []lock.Outcome {
	tb.Helper()
	out, err := store.Apply(tb.Context(), steps)
	require.NoError(tb, err)
	for i := range out {
		require.NoError(tb, out[i].Err)
	}
	return out
}

func pair(tb testing.TB, store *embedded.Store, key string) {
	tb.Helper()
	l := apply(tb, store, acquireOf(key, key, 0))[0].Lock
	apply(tb, store, &lock.Release{ID: l.ID, Token: l.Token})
}

// BenchmarkPair is one uncontended acquire and its release.
func BenchmarkPair(b *testing.B) {
	for name, path := range map[string]string{"memory": "", "file": filepath.Join(b.TempDir(), "lockgate.db")} {
		b.Run(name, func(b *testing.B) {
			store := open(b, path, lock.DefaultRules())
			for b.Loop() {
				pair(b, store, "key")
			}
		})
	}
}

// BenchmarkPair_64clients shows group commit: fsync-ns/op is the cost of
// appending one page and syncing it, in the same run on the same disk. A pair that
// is alone takes two commits of two syncs each.
func BenchmarkPair_64clients(b *testing.B) {
	dir := b.TempDir()
	store := open(b, filepath.Join(dir, "lockgate.db"), lock.DefaultRules())
	floor := fsync(b, filepath.Join(dir, "floor"))
	var client atomic.Int64
	b.SetParallelism(64 / runtime.GOMAXPROCS(0))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		key := "key" + strconv.FormatInt(client.Add(1), 10)
		for pb.Next() {
			pair(b, store, key)
		}
	})
	b.ReportMetric(float64(floor.Nanoseconds()), "fsync-ns/op")
}

func fsync(b *testing.B, path string) time.Duration {
	b.Helper()
	f, err := os.Create(path)
	require.NoError(b, err)
	defer f.Close()
	const n = 20
	began := time.Now()
	for range n {
		_, err := f.Write(make([]byte, 4096))
		require.NoError(b, err)
		require.NoError(b, f.Sync())
	}
	return time.Since(began) / n
}

// BenchmarkHandOver is enqueue, release and confirm behind a queue of a depth:
// the cost may grow with its logarithm only.
func BenchmarkHandOver(b *testing.B) {
	for _, depth := range []int{0, 10_000} {
		b.Run("depth="+strconv.Itoa(depth), func(b *testing.B) {
			store := open(b, "", lock.DefaultRules())
			held := apply(b, store, acquireOf("first", "key", 0))[0].Lock
			for i := range depth {
				low := acquireOf("w"+strconv.Itoa(i), "key", time.Hour)
				low.Lock.Value = 0
				apply(b, store, low)
			}
			for i := 0; b.Loop(); i++ {
				next := apply(b, store, acquireOf("next"+strconv.Itoa(i), "key", time.Hour))[0].Lock
				apply(b, store, &lock.Release{ID: held.ID, Token: held.Token})
				held = apply(b, store, &lock.Confirm{ID: next.ID, TTL: time.Hour})[0].Lock
			}
		})
	}
}

// maxBytesPerLock bounds what a held lock costs the process, its event included.
const maxBytesPerLock = 1536

// TestMemory_perHeldLock measures the whole process: what the system has given
// it, before and after 100,000 locks.
func TestMemory_perHeldLock(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 100,000 locks")
	}
	const locks = 100_000
	store := open(t, "", lock.DefaultRules())
	before, heap := resident(t)
	batch := make([]lock.Step, 0, 1000)
	for i := range locks {
		name := fmt.Sprintf("acme/infra/path/%d/default/", i)
		batch = append(batch, acquireOf("atlantis:acme/infra#"+strconv.Itoa(i), name, 0))
		if len(batch) == cap(batch) {
			apply(t, store, batch...)
			batch = batch[:0]
		}
	}
	clear(batch[:cap(batch)])
	after, heapAfter := resident(t)
	per := (after - before) / locks
	t.Logf("%d B of the process and %d B of the heap per held lock", per, (heapAfter-heap)/locks)
	require.Less(t, per, int64(maxBytesPerLock))
	stats, err := store.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, locks, stats.Held)
}

// resident answers what the process takes of the machine, and its heap, in bytes.
func resident(t *testing.T) (process, heap int64) {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("needs /proc: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kb int64
			_, err := fmt.Sscan(text, &kb)
			require.NoError(t, err)
			return kb << 10, int64(m.HeapAlloc)
		}
	}
	t.Fatal("no VmRSS in /proc/self/status")
	return 0, 0
}
