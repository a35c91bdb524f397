package deadlock

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// One detector, one graph and one flood limit serve every call of a gateway.
func TestHammer_detectorGraphAndFloodAreShared(t *testing.T) {
	d, g := detector(t, Adaptive), hubAndThree().graph()
	cfg := DefaultConfig()
	f := NewFlood(&cfg)
	now := time.Unix(1_800_000_000, 0)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() { hammer(t.Context(), t, d, g, i) })
		wg.Go(func() {
			for range 100 {
				f.Closed(lock.Owner(fmt.Sprintf("o%d", i%3)), now)
				f.RetryAfter("o1", now)
			}
		})
	}
	wg.Wait()
	require.Positive(t, f.RetryAfter("o1", now))
}

func hammer(ctx context.Context, t *testing.T, d *Detector, g *Graph, seed int) {
	t.Helper()
	for range 50 {
		found := d.Find(ctx, g, []lock.Owner{"hub"})
		if len(found) != 1 || len(found[0].Victims) == 0 {
			t.Errorf("goroutine %d found %v", seed, found)
			return
		}
		d.Learn(Experience{Class: found[0].Class, Policy: found[0].Policy, Wait: time.Duration(seed) * time.Second})
	}
}
