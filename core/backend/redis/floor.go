package redis

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

// Floor is what a Redis does with nothing in front of it, for `gateway bench` to
// compare with. Make it with NewFloor.
type Floor struct {
	client goredis.UniversalClient
}

// NewFloor checks a URL as Config has it and sends nothing.
func NewFloor(url string) (*Floor, error) {
	a, err := parseAddress(url)
	if err != nil {
		return nil, err
	}
	client, err := a.connect(DefaultConfig().OperationTimeout)
	if err != nil {
		return nil, err
	}
	return &Floor{client: client}, nil
}

// Close drops the connections.
func (f *Floor) Close() error { return f.client.Close() }

// Pairs answers how many times a second so many clients set a key of their own
// with SETNX and delete it: a lock without owner, queue, token or event.
func (f *Floor) Pairs(ctx context.Context, clients int, d time.Duration) (float64, error) {
	var pairs atomic.Int64
	var g errgroup.Group
	start := time.Now()
	for i := range clients {
		key := fmt.Sprintf("lockgate-bench-floor-%d", i)
		g.Go(func() error {
			for time.Since(start) < d && ctx.Err() == nil {
				if err := f.client.SetNX(ctx, key, "owner", time.Minute).Err(); err != nil {
					return fmt.Errorf("measure SETNX: %w", err)
				}
				if err := f.client.Del(ctx, key).Err(); err != nil {
					return fmt.Errorf("measure DEL: %w", err)
				}
				pairs.Add(1)
			}
			return ctx.Err()
		})
	}
	err := g.Wait()
	return float64(pairs.Load()) / time.Since(start).Seconds(), err
}

// Traffic answers the bytes that all masters have received and sent to clients
// since they were started.
func (f *Floor) Traffic(ctx context.Context) (int64, error) {
	var sum atomic.Int64
	err := eachMaster(ctx, f.client, func(ctx context.Context, c *goredis.Client) error {
		info, err := c.Info(ctx, "stats").Result()
		if err != nil {
			return err
		}
		for line := range strings.Lines(info) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			if name != "total_net_input_bytes" && name != "total_net_output_bytes" {
				continue
			}
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return fmt.Errorf("%s of Redis: %w", name, err)
			}
			sum.Add(n)
		}
		return nil
	})
	return sum.Load(), err
}
