package main

import (
	"context"

	"github.com/lockgate/lockgate/core/backend/redis"
	"github.com/lockgate/lockgate/load"
)

// rawRedis is the floor of a Redis store: SETNX and DEL without HTTP. A nil
// rawRedis is that of every other store and measures nothing.
type rawRedis struct {
	bench  *benchOptions
	floor  *redis.Floor
	ratios []float64
	bytes  []float64 // a call of the API
}

func (o *benchOptions) rawRedis() (*rawRedis, error) {
	if !o.onRedis() {
		return nil, nil //nolint:nilnil // nil is the floor of other stores
	}
	f, err := redis.NewFloor(o.backend)
	if err != nil {
		return nil, err
	}
	return &rawRedis{bench: o, floor: f}, nil
}

func (r *rawRedis) close() {
	if r != nil {
		_ = r.floor.Close()
	}
}

// traffic runs pairs and notes what Redis received and sent meanwhile for each
// of their two calls, events included.
func (r *rawRedis) traffic(ctx context.Context, pairs func() (load.Result, error)) (load.Result, error) {
	if r == nil {
		return pairs()
	}
	before, err := r.floor.Traffic(ctx)
	if err != nil {
		return load.Result{}, err
	}
	result, err := pairs()
	if err != nil {
		return result, err
	}
	after, err := r.floor.Traffic(ctx)
	r.bytes = append(r.bytes, float64(after-before)/float64(2*result.Done))
	return result, err
}

// measure compares ours with the floor.
func (r *rawRedis) measure(ctx context.Context, ours *load.Result) error {
	if r == nil {
		return nil
	}
	pairs, err := r.floor.Pairs(ctx, r.bench.run.Clients, r.bench.run.Duration/2)
	if err != nil {
		return err
	}
	r.bench.say("%-24s %10.0f/s\n", "floor: SETNX and DEL", pairs)
	r.ratios = append(r.ratios, ours.PerSecond()/pairs)
	return nil
}

func (r *rawRedis) conclude() {
	if r == nil {
		return
	}
	r.bench.say("%-24s %10.2f × SETNX and DEL (median of %d)\n", "pairs", median(r.ratios), len(r.ratios))
	r.bench.say("%-24s %10.0f bytes in and out of Redis a call (median of %d)\n", "traffic", median(r.bytes), len(r.bytes))
}
