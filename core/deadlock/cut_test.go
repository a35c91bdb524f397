package deadlock

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// drawWeb makes a web of owners and junctions in which no cycle consists of
// junctions alone.
func drawWeb(t *rapid.T, largest int) *web {
	n := rapid.IntRange(2, largest).Draw(t, "nodes")
	w := newWeb(n)
	for v := range n {
		w.removable[v] = v%4 != 3
		w.prices[v] = price{
			immune: int64(rapid.SampledFrom([]int{0, 0, 0, 3, 4}).Draw(t, "immune")),
			cost:   int64(rapid.IntRange(1, 9).Draw(t, "cost")), victims: 1, ranks: v,
		}
	}
	for range rapid.IntRange(n, 4*n).Draw(t, "arcs") {
		from, to := rapid.IntRange(0, n-1).Draw(t, "from"), rapid.IntRange(0, n-1).Draw(t, "to")
		if from == to || !w.removable[from] && !w.removable[to] && from < to {
			continue
		}
		w.join(from, to)
	}
	return w
}

func (w *web) without(chosen []int) *web {
	rest := w.clone()
	for _, v := range chosen {
		rest.drop(v)
	}
	return rest
}

func TestCheapest_isWhatTryingEverythingFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWeb(t, 10)
		best := price{immune: 1 << 40}
		for set := range 1 << len(w.out) {
			var chosen []int
			legal := true
			for v := range w.out {
				if set&(1<<v) != 0 {
					chosen = append(chosen, v)
					legal = legal && w.removable[v]
				}
			}
			if legal && w.total(chosen).compare(best) < 0 && w.without(chosen).someCycle() == nil {
				best = w.total(chosen)
			}
		}
		require.Equal(t, best, w.total(w.clone().cheapest()))
	})
}

func TestCheapest_ofALargeWebIsNoDearerThanOneCycleAfterTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWeb(t, 90)
		chosen := w.clone().cheapest()
		require.Nil(t, w.without(chosen).someCycle(), "a cycle is left")
		for i := range chosen {
			spared := append(append([]int(nil), chosen[:i]...), chosen[i+1:]...)
			require.NotNil(t, w.without(spared).someCycle(), "%d is not needed", chosen[i])
		}
		naive := w.needed(w.oneByOne())
		require.LessOrEqual(t, w.total(chosen).compare(w.total(naive)), 0)
	})
}

// In this web the choice by price per path is dearer than one cycle after the
// other, which rapid finds too seldom to rely on.
func TestCheapest_fallsBackToOneCycleAfterTheOther(t *testing.T) {
	const n = 40
	r := rand.New(rand.NewPCG(21, 1))
	w := newWeb(n)
	for v := range n {
		w.removable[v], w.prices[v] = true, price{cost: 1 + r.Int64N(9), victims: 1, ranks: v}
	}
	for range 3 * n {
		if from, to := r.IntN(n), r.IntN(n); from != to {
			w.join(from, to)
		}
	}
	naive := w.needed(w.oneByOne())
	require.Equal(t, w.total(naive), w.total(w.clone().cheapest()))
}
