package main

import (
	"context"
	"strings"

	"github.com/lockgate/lockgate/load"
)

// fileFloor is what a file store is compared with: one client alone, whose
// transitions are a commit each, and appends with one fsync each. A nil fileFloor
// is that of every other store and measures nothing.
type fileFloor struct {
	bench               *benchOptions
	target              *load.Target
	dir                 string
	perCommit, perFsync []float64
}

func (o *benchOptions) fileFloor(target *load.Target, dir string) *fileFloor {
	if o.url != "" || !strings.HasPrefix(o.backend, "file:") {
		return nil
	}
	return &fileFloor{bench: o, target: target, dir: dir}
}

// measure compares ours with both floors.
func (f *fileFloor) measure(ctx context.Context, ours *load.Result) error {
	if f == nil {
		return nil
	}
	each := f.bench.run.Duration / 2
	alone, err := load.Pairs(ctx, f.target, load.Run{Clients: 1, Duration: each})
	if err != nil {
		return err
	}
	f.bench.report("floor: one commit each", &alone)
	f.perCommit = append(f.perCommit, ours.PerSecond()/alone.PerSecond())
	syncs, err := load.Fsyncs(f.dir, each)
	if err != nil {
		return err
	}
	f.bench.say("%-24s %10.0f/s\n", "floor: one fsync each", syncs)
	f.perFsync = append(f.perFsync, 2*ours.PerSecond()/syncs) // a pair is two transitions
	return nil
}

func (f *fileFloor) conclude() {
	if f == nil {
		return
	}
	f.bench.say("%-24s %10.1f × one commit each (median of %d)\n", "transitions", median(f.perCommit), len(f.perCommit))
	f.bench.say("%-24s %10.1f × one fsync each (median of %d)\n", "transitions", median(f.perFsync), len(f.perFsync))
}
