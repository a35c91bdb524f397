package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How often the collector runs is a trade of memory against time that the
// default, a heap of twice what lives, settles badly at both ends: an idle
// gateway has so little that under load the collector runs all the time, and one
// with 100,000 locks wastes as much again. So the collector is told to let the
// heap grow to heapFloor, or by a quarter of what lives.
const (
	heapFloor    = 64 << 20
	leastPercent = 25
	mostPercent  = 800
	heapLook     = time.Second
)

// paceCollector follows the live heap until ctx ends. Whoever set GOGC knows
// better.
func paceCollector(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	tick := time.NewTicker(heapLook)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for set := 0; ; {
		metrics.Read(live)
		if next := collectorPercent(live[0].Value.Uint64()); next > set+set/8 || next < set-set/8 {
			set = next
			debug.SetGCPercent(set)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// collectorPercent is the growth, in percent of the live heap, after which the
// collector runs.
func collectorPercent(live uint64) int {
	if live == 0 {
		return mostPercent
	}
	room := max(heapFloor, live) - live
	return int(min(max(100*room/live, leastPercent), mostPercent))
}
