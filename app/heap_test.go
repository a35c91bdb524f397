package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCollectorPercent_aSmallHeapMayGrowToTheFlooraLargeOneByAQuarter(t *testing.T) {
	t.Parallel()
	for live, percent := range map[uint64]int{
		0:          mostPercent,
		1 << 20:    mostPercent,
		16 << 20:   300,
		32 << 20:   100,
		64 << 20:   leastPercent,
		1000 << 20: leastPercent,
	} {
		require.Equal(t, percent, collectorPercent(live), "%d MiB", live>>20)
	}
}
