package deadlock

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// busy is a namespace of n owners that each hold a key and wait for one of a
// hundred others, with one ring of the given length whose owners stand in the
// midst of long queues.
func busy(n, length int) *table {
	t := newTable()
	const popular = 100
	for i := range popular {
		t.hold(fmt.Sprintf("holder%d", i), fmt.Sprintf("popular%d", i))
	}
	for i := range n - popular {
		owner := fmt.Sprintf("waiter%d", i)
		t.hold(owner, "own"+owner)
		t.wait(owner, fmt.Sprintf("popular%d", i%popular))
	}
	for i := range length {
		t.wait(fmt.Sprintf("holder%d", i), fmt.Sprintf("popular%d", (i+1)%length))
	}
	return t
}

func TestBusy_hasTheRingThatIsMeasured(t *testing.T) {
	g := busy(10_000, 10).graph()
	require.Equal(t, 10_000, g.Owners())
	found := detector(t, LowestPriority).Find(t.Context(), g, []lock.Owner{"holder9"})
	require.Len(t, found, 1)
	require.Len(t, found[0].Victims, 1)
	require.Len(t, found[0].Cycle, 10)
}

// reportCPU reports the processor time of an iteration as well, which other
// work on the machine changes less than the time on the wall.
func reportCPU(b *testing.B) {
	b.Helper()
	start := cpu(b)
	b.Cleanup(func() { b.ReportMetric(float64(cpu(b)-start)/float64(b.N), "cpu-ns/op") })
}

func cpu(b *testing.B) int64 {
	b.Helper()
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return used.Utime.Nano() + used.Stime.Nano()
}

func BenchmarkGraph_10000Owners(b *testing.B) {
	t := busy(10_000, 10)
	b.ReportAllocs()
	reportCPU(b)
	for b.Loop() {
		NewGraph(&t.snap)
	}
}

func BenchmarkFind_ringIn10000Owners(b *testing.B) {
	for _, length := range []int{2, 10} {
		b.Run(fmt.Sprintf("length=%d", length), func(b *testing.B) {
			benchmarkFind(b, busy(10_000, length), "holder0")
		})
	}
}

func BenchmarkFind_ringOf10000(b *testing.B) {
	t := newTable()
	t.ring(10_000)
	benchmarkFind(b, t, "o00000")
}

// One queue of a thousand, made a deadlock by its order: whoever holds what all
// of them want stands last.
func BenchmarkFind_softBehindAThousand(b *testing.B) {
	t := newTable()
	t.hold("a", "vpc")
	for i := range 1000 {
		t.wait(fmt.Sprintf("w%d", i), "vpc", "dns")
	}
	t.wait("a", "dns")
	benchmarkFind(b, t, "a")
}

// The same queue, closed by a holder that waits for its last: one victim.
func BenchmarkFind_hardBehindAThousand(b *testing.B) {
	t := newTable()
	t.hold("a", "vpc")
	t.hold("w999", "dns")
	for i := range 1000 {
		t.wait(fmt.Sprintf("w%d", i), "vpc")
	}
	t.wait("a", "dns")
	benchmarkFind(b, t, "a")
}

func benchmarkFind(b *testing.B, t *table, from lock.Owner) {
	b.Helper()
	d, g := detector(b, LowestPriority), t.graph()
	b.Run("search", func(b *testing.B) {
		reportCPU(b)
		for b.Loop() {
			if !g.Cyclic([]lock.Owner{from}) {
				b.Fatal("no deadlock")
			}
		}
	})
	b.Run("search+victims", func(b *testing.B) {
		reportCPU(b)
		for b.Loop() {
			if len(d.Find(b.Context(), g, []lock.Owner{from})) != 1 {
				b.Fatal("not one deadlock")
			}
		}
	})
}

func BenchmarkFind_nothingFrom(b *testing.B) {
	d, g := detector(b, LowestPriority), busy(10_000, 10).graph()
	reportCPU(b)
	for b.Loop() {
		if len(d.Find(b.Context(), g, []lock.Owner{"nobody"})) != 0 {
			b.Fatal("a deadlock")
		}
	}
}

func BenchmarkSweep_10000Owners(b *testing.B) {
	d, g := detector(b, LowestPriority), busy(10_000, 0).graph()
	reportCPU(b)
	for b.Loop() {
		if len(d.Sweep(b.Context(), g)) != 0 {
			b.Fatal("a deadlock")
		}
	}
}
