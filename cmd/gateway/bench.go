package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/load"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	url, token string
	backend    string
	scenario   string
	floor      bool
	run        load.Run
	locks      int
	out        io.Writer
}

func newBench() *cobra.Command {
	o := &benchOptions{}
	c := &cobra.Command{
		Use:   "bench",
		Short: "Drive load through the HTTP API and print what it does",
		Long: "Drives a gateway through its public API: one that runs (--url), or one that bench starts for\n" +
			"itself in a process of its own. With --floor the same load goes to a bare handler that decodes and\n" +
			"answers the same JSON, in the same run; for a file store also to one client alone, whose transitions\n" +
			"are a commit each, and to appends with one fsync each; for a Redis store to SETNX and DEL without HTTP.\n\n" +
			"Scenarios: pairs (acquire and release, no contention), handoff (all clients contend for one key, on\n" +
			"Redis through two gateways; prints also how long the key was free between two of them),\n" +
			"hold (acquire --locks locks and keep them; prints the memory of the gateway that bench started), audit (contend\n" +
			"at all gateways of --url, repeat what got no answer, and report every lock that was lost or granted twice).",
		Example: "  gateway bench --floor\n  gateway bench --backend file: --clients 64 --floor\n  gateway bench --scenario handoff --url http://127.0.0.1:7480",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.out = c.OutOrStdout()
			return o.bench(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.url, "url", "", "a running gateway, for audit several with commas; empty: start one")
	f.StringVar(&o.token, "token", os.Getenv("LOCKGATE_TOKEN"), "bearer token for it")
	f.StringVar(&o.backend, "backend", "memory:", "store of the gateway that is started: memory:, file:, or a URL of Redis")
	f.StringVar(&o.scenario, "scenario", "pairs", "pairs, handoff, hold or audit")
	f.BoolVar(&o.floor, "floor", false, "measure the floor in the same run")
	f.IntVar(&o.run.Clients, "clients", 16, "concurrent clients")
	f.DurationVar(&o.run.Duration, "duration", 5*time.Second, "how long each measurement runs")
	f.IntVar(&o.locks, "locks", 100_000, "locks that the hold scenario acquires")
	return c
}

func (o *benchOptions) bench(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "lockgate-bench-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if o.run.Clients < 1 || o.run.Duration <= 0 || o.locks < 1 {
		return errors.New("clients, duration and locks must be larger than 0")
	}
	if o.scenario == "audit" {
		return o.audit(ctx)
	}
	target, own, err := o.gateway(ctx, dir)
	if err != nil {
		return err
	}
	defer own.stop()
	defer target.Close()
	switch o.scenario {
	case "pairs":
		return o.pairs(ctx, target, dir)
	case "handoff":
		return o.handOffs(ctx, target, dir)
	case "hold":
		return o.hold(ctx, target, own)
	}
	return fmt.Errorf("there is no scenario %q: use pairs, handoff, hold or audit", o.scenario)
}

// gateway is the target: the one that was named, or one of our own.
func (o *benchOptions) gateway(ctx context.Context, dir string) (*load.Target, *child, error) {
	if o.url != "" {
		return load.NewTarget(strings.TrimSuffix(o.url, "/"), o.token, o.run.Clients), nil, nil
	}
	own, err := o.serve(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	return load.NewTarget(own.url, "", o.run.Clients), own, nil
}

// serve starts a gateway on the store that was asked for.
func (o *benchOptions) serve(ctx context.Context, dir string) (*child, error) {
	store := o.backend
	if store == "file:" {
		store += filepath.Join(dir, "bench.db")
	}
	return startChild(ctx, dir, "serve", "--backend.url", store, "--log.level", "error", "--http.listen")
}

// onRedis: the store can have more than one gateway.
func (o *benchOptions) onRedis() bool { return strings.HasPrefix(o.backend, "redis") }

// handOffs hands one key around, on Redis between two gateways that share it.
func (o *benchOptions) handOffs(ctx context.Context, target *load.Target, dir string) error {
	targets := []*load.Target{target}
	if o.onRedis() && o.url == "" {
		second, err := o.serve(ctx, dir)
		if err != nil {
			return err
		}
		defer second.stop()
		other := load.NewTarget(second.url, "", o.run.Clients)
		defer other.Close()
		targets = append(targets, other)
	}
	grants, wakes, err := load.HandOffs(ctx, o.run, targets...)
	if err != nil {
		return err
	}
	o.say("%-24s %10d gateways, %d clients\n", "through", len(targets), o.run.Clients)
	o.report("hand-offs on one key", &grants)
	o.report("free between two", &wakes)
	return nil
}

// pairs measures the gateway and its floor in turn, three times each, and
// compares the medians: a machine whose speed drifts hits both alike.
func (o *benchOptions) pairs(ctx context.Context, target *load.Target, dir string) error {
	if !o.floor {
		r, err := load.Pairs(ctx, target, o.run)
		if err != nil {
			return err
		}
		o.report("pairs", &r)
		return nil
	}
	bare, err := startChild(ctx, dir, "bench-floor", "--listen")
	if err != nil {
		return err
	}
	defer bare.stop()
	floorTarget := load.NewTarget(bare.url, "", o.run.Clients)
	defer floorTarget.Close()
	raw, err := o.rawRedis()
	if err != nil {
		return err
	}
	defer raw.close()
	file := o.fileFloor(target, dir)
	var ratios []float64
	for range 3 {
		ours, err := raw.traffic(ctx, func() (load.Result, error) { return load.Pairs(ctx, target, o.run) })
		if err != nil {
			return err
		}
		floor, err := load.Pairs(ctx, floorTarget, o.run)
		if err != nil {
			return err
		}
		o.report("pairs", &ours)
		o.report("floor: bare handler", &floor)
		ratios = append(ratios, ours.PerSecond()/floor.PerSecond())
		if err := errors.Join(raw.measure(ctx, &ours), file.measure(ctx, &ours)); err != nil {
			return err
		}
	}
	o.say("%-24s %10.2f × the bare handler (median of %d)\n", "pairs", median(ratios), len(ratios))
	raw.conclude()
	file.conclude()
	return nil
}

func (o *benchOptions) hold(ctx context.Context, target *load.Target, own *child) error {
	before := own.resident()
	r, err := load.Hold(ctx, target, o.run.Clients, o.locks)
	if err != nil {
		return err
	}
	o.report("locks acquired and kept", &r)
	if own == nil {
		return nil
	}
	after := own.resident()
	o.say("%-24s %10.1f MB idle, %.1f MB holding %d locks: %.2f KB a lock\n", "resident memory",
		float64(before)/1e6, float64(after)/1e6, r.Done, float64(after-before)/1e3/float64(r.Done))
	return nil
}

// say prints one line of the report.
func (o *benchOptions) say(format string, args ...any) { _, _ = fmt.Fprintf(o.out, format, args...) }

func (o *benchOptions) report(what string, r *load.Result) {
	o.say("%-24s %10.0f/s   p50 %v   p95 %v   p99 %v\n", what, r.PerSecond(), r.Percentile(50), r.Percentile(95), r.Percentile(99))
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
