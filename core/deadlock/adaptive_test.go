package deadlock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// taught is a detector that knows every policy equally well for two owners.
func taught(t *testing.T) *Detector {
	t.Helper()
	d := detector(t, Adaptive)
	for _, p := range schooled() {
		for range trials {
			d.Learn(Experience{Class: Class{}, Policy: p, Wait: 30 * time.Second})
		}
	}
	return d
}

func twoOwners() *table {
	tab := newTable()
	tab.ring(2)
	return tab
}

func chosen(t *testing.T, d *Detector, tab *table) Policy {
	t.Helper()
	found := d.Sweep(t.Context(), tab.graph())
	require.Len(t, found, 1)
	return found[0].Policy
}

func TestAdaptive_triesEachPolicyBeforeItJudges(t *testing.T) {
	d := detector(t, Adaptive)
	var tried []Policy
	for range trials * len(schooled()) {
		p := chosen(t, d, twoOwners())
		tried = append(tried, p)
		d.Learn(Experience{Policy: p})
	}
	for _, p := range schooled() {
		n := 0
		for _, q := range tried {
			if p == q {
				n++
			}
		}
		require.Equal(t, trials, n, "%s", p)
	}
}

func TestAdaptive_prefersWhatWaitedAndRepeatedLeast(t *testing.T) {
	d := taught(t)
	require.Equal(t, LowestPriority, chosen(t, d, twoOwners()), "all alike: the first")

	d.Learn(Experience{Policy: LIFO, Wait: time.Second})
	require.Equal(t, LIFO, chosen(t, d, twoOwners()))

	d.Learn(Experience{Policy: LIFO, Wait: time.Second, Repeated: true})
	require.Equal(t, LowestPriority, chosen(t, d, twoOwners()), "a repeated victim weighs a minute")
}

func TestAdaptive_learnsOfEachClassAlone(t *testing.T) {
	d := taught(t)
	d.Learn(Experience{Policy: LIFO, Wait: time.Second})
	large := newTable()
	large.ring(20)
	found := d.Sweep(t.Context(), large.graph())
	require.Equal(t, Class{Size: 4}, found[0].Class)
	require.Equal(t, LowestPriority, found[0].Policy, "nothing is known of rings of twenty")
}

func TestAdaptive_historyIsBounded(t *testing.T) {
	d := detector(t, Adaptive)
	for size := -5; size < 50; size++ {
		for contention := -5; contention < 50; contention++ {
			for _, p := range append(schooled(), "wasm:x", Adaptive) {
				d.Learn(Experience{Class: Class{Size: size, Contention: contention}, Policy: p})
			}
		}
	}
	records := 0
	for _, byPolicy := range d.history.records {
		records += len(byPolicy)
	}
	require.Equal(t, 5*3*len(schooled()), records)
}
