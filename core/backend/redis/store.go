package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
)

var errStopped = errors.New("the store has stopped")

// Store is a lock table and its event log in Redis. It is safe for concurrent
// use. Make it with New.
type Store struct {
	cfg       Config
	logger    *slog.Logger
	metrics   *metrics
	client    goredis.UniversalClient
	topology  topology
	keys      keyspace
	scripts   map[lua]*script
	directory *directory
	ring      *ring
	ended     atomic.Bool
}

// New checks the configuration and makes the client. It sends nothing.
func New(cfg Config, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a, err := parseAddress(cfg.URL)
	if err != nil {
		return nil, err
	}
	scripts, err := loadScripts(&cfg.Rules, a.topology)
	if err != nil {
		return nil, err
	}
	goredis.SetLogger(clientLog{logger})
	client, err := a.connect(cfg.OperationTimeout)
	if err != nil {
		return nil, err
	}
	return &Store{
		cfg: cfg, logger: logger, metrics: newMetrics(reg), client: client, topology: a.topology,
		keys: keyspace{prefix: cfg.KeyPrefix}, scripts: scripts, directory: newDirectory(), ring: newRing(),
	}, nil
}

// Run follows the event streams, sweeps what is due, and keeps the index of
// namespaces, until ctx ends. It outlives every fault of Redis. Run may be
// called once.
func (s *Store) Run(ctx context.Context) error {
	defer s.ended.Store(true)
	defer s.ring.close()
	closed := context.AfterFunc(ctx, func() {
		s.ended.Store(true)
		if err := s.client.Close(); err != nil {
			s.logger.DebugContext(ctx, "closing the connections to redis", "error", err)
		}
	})
	defer closed()
	var parts sync.WaitGroup
	for _, part := range []func(context.Context){s.follow, s.sweepDue, s.retireUnused} {
		parts.Go(func() { part(ctx) })
	}
	parts.Wait()
	return nil
}

// Ping implements orchestrator.Store: every master must answer.
func (s *Store) Ping(ctx context.Context) error {
	if s.ended.Load() {
		return unavailable(errStopped)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	err := s.eachMaster(ctx, func(ctx context.Context, c *goredis.Client) error { return c.Ping(ctx).Err() })
	if err != nil {
		return unavailable(fmt.Errorf("ping Redis: %w", err))
	}
	return nil
}

// clientLog takes what go-redis says about its connections. Faults that matter
// come as errors too.
type clientLog struct {
	logger *slog.Logger
}

// Printf implements what go-redis wants of a logger.
func (l clientLog) Printf(ctx context.Context, format string, v ...any) {
	l.logger.DebugContext(ctx, "the client of redis", "says", fmt.Sprintf(format, v...))
}

// serverTime is the time of the master whose clock is furthest behind.
func (s *Store) serverTime(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	var mu sync.Mutex
	var least time.Time
	err := s.eachMaster(ctx, func(ctx context.Context, c *goredis.Client) error {
		t, err := c.Time(ctx).Result()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if least.IsZero() || t.Before(least) {
			least = t
		}
		return nil
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("time of Redis: %w", err)
	}
	return least, nil
}

// pause waits, and answers false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
