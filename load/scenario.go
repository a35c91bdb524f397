package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sync/errgroup"

	"github.com/lockgate/lockgate/gateway/wire"
)

const (
	namespace   = "bench"
	longestCall = time.Minute
	keysEach    = 64 // keys that a client goes round
)

// Run is how hard and how long a scenario drives its target.
type Run struct {
	Clients  int
	Duration time.Duration
}

// Result is what a scenario measured.
type Result struct {
	Done    int64         // pairs, hand-offs or locks, by scenario
	Elapsed time.Duration // of the whole run
	latency *hdrhistogram.Histogram
}

// PerSecond is the throughput.
func (r *Result) PerSecond() float64 { return float64(r.Done) / r.Elapsed.Seconds() }

// Percentile answers the latency below which p percent of the measured calls
// stayed.
func (r *Result) Percentile(p float64) time.Duration {
	return time.Duration(r.latency.ValueAtQuantile(p)) * time.Microsecond
}

// client is one goroutine of a scenario with what it measured.
type client struct {
	target  *Target
	number  int
	done    int64
	latency *hdrhistogram.Histogram
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longestCall.Microseconds(), 3)
}

func (c *client) timed(call func() error) error {
	start := time.Now()
	if err := call(); err != nil {
		return err
	}
	return c.latency.RecordValue(min(time.Since(start), longestCall).Microseconds())
}

func (c *client) body(key string, wait time.Duration) *wire.AcquireRequest {
	return &wire.AcquireRequest{
		Namespace: namespace, Resources: []wire.Resource{{Key: key}},
		Owner: fmt.Sprintf("bench:%d", c.number), Wait: wire.Duration(wait),
	}
}

// Pairs lets every client acquire and release keys of its own, one after the
// other; Done counts pairs, the latency is of single calls.
func Pairs(ctx context.Context, t *Target, r Run) (Result, error) {
	return r.drive(ctx, []*Target{t}, func(ctx context.Context, c *client, round int) error {
		var g grant
		err := c.timed(func() (err error) {
			g, err = c.target.acquire(ctx, c.body(fmt.Sprintf("own/%d/%d", c.number, round%keysEach), 0), 0)
			return err
		})
		if err != nil {
			return err
		}
		c.done++
		return c.timed(func() error { return c.target.release(ctx, g) })
	})
}

// HandOffs lets all clients contend for one key and hold it for no time, each at
// one of the targets in turn. Done counts grants, the latency is from asking to
// having; that of wakes is from the release to the answer of the next one's call,
// which was open by then.
func HandOffs(ctx context.Context, r Run, targets ...*Target) (grants, wakes Result, err error) {
	var woken wakeUps
	wakes.latency = newHistogram()
	woken.latency = wakes.latency
	grants, err = r.drive(ctx, targets, func(ctx context.Context, c *client, _ int) error {
		asked := time.Now()
		var g grant
		err := c.timed(func() (err error) {
			g, err = c.target.acquire(ctx, c.body("contended", 2*longestCall), longestCall)
			for err == nil && g.Token == 0 { // still queued
				g, err = c.target.wait(ctx, g.ID, longestCall)
			}
			return err
		})
		if err != nil {
			return err
		}
		c.done++
		if err := woken.had(asked); err != nil {
			return err
		}
		return c.target.release(ctx, g)
	})
	wakes.Done, wakes.Elapsed = wakes.latency.TotalCount(), grants.Elapsed
	return grants, wakes, err
}

// wakeUps measures how long a key was free between two holders.
type wakeUps struct {
	mu       sync.Mutex
	released time.Time // when the last holder began to release
	latency  *hdrhistogram.Histogram
}

// had notes that a client has what it asked for, and releases it now.
func (w *wakeUps) had(asked time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	now, before := time.Now(), w.released
	w.released = now
	if before.Before(asked) { // nobody had to be woken
		return nil
	}
	return w.latency.RecordValue(min(now.Sub(before), longestCall).Microseconds())
}

// Hold acquires a number of locks and keeps them; Done counts locks.
func Hold(ctx context.Context, t *Target, clients, locks int) (Result, error) {
	var next atomic.Int64
	r := Run{Clients: clients, Duration: longestCall * 10}
	return r.drive(ctx, []*Target{t}, func(ctx context.Context, c *client, _ int) error {
		n := next.Add(1)
		if n > int64(locks) {
			return errDone
		}
		c.done++
		return c.timed(func() error {
			body := c.body(fmt.Sprintf("acme/infra/stack-%06d/default/", n), 0)
			body.Owner = fmt.Sprintf("atlantis:acme/infra#%d", n)
			_, err := c.target.acquire(ctx, body, 0)
			return err
		})
	})
}

// errDone ends one client of a scenario without a fault.
var errDone = errors.New("nothing left to do")

// drive runs one round after the other on every client, which have the targets in
// turn, until the time is up.
// Rounds that are under way are finished.
func (r Run) drive(ctx context.Context, targets []*Target, round func(context.Context, *client, int) error) (Result, error) {
	clients := make([]*client, r.Clients)
	var g errgroup.Group
	start := time.Now()
	for i := range clients {
		c := &client{target: targets[i%len(targets)], number: i, latency: newHistogram()}
		clients[i] = c
		g.Go(func() error {
			for n := 0; time.Since(start) < r.Duration && ctx.Err() == nil; n++ {
				if err := round(ctx, c, n); err != nil {
					if errors.Is(err, errDone) {
						return nil
					}
					return err
				}
			}
			return ctx.Err()
		})
	}
	err := g.Wait()
	sum := Result{Elapsed: time.Since(start), latency: newHistogram()}
	for _, c := range clients {
		sum.Done += c.done
		sum.latency.Merge(c.latency)
	}
	return sum, err
}
