package orchestrator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"github.com/lockgate/lockgate/core/lock"
)

// How a failing store is treated; the numbers are the product's from the start.
const (
	breakerFailures  = 5
	breakerDelay     = 30 * time.Second
	breakerSuccesses = 3
	retryAttempts    = 3
	retryFirst       = time.Second
	retryLast        = 30 * time.Second
	retryJitter      = 0.1
)

// guard stands between the workers and the store: a circuit breaker, retries,
// and a time limit that follows what the store usually takes.
type guard struct {
	table    Table
	breaker  circuitbreaker.CircuitBreaker[[]lock.Outcome]
	executor failsafe.Executor[[]lock.Outcome]
	limit    *adaptiveLimit
	changed  chan struct{} // holds a value when the breaker's state changed since it was read
}

func newGuard(table Table, operation time.Duration, log *slog.Logger, m *metrics) *guard {
	changed := make(chan struct{}, 1)
	breaker := circuitbreaker.NewBuilder[[]lock.Outcome]().
		HandleIf(func(_ []lock.Outcome, err error) bool { return storeFault(err) }).
		WithFailureThreshold(breakerFailures).
		WithDelay(breakerDelay).
		WithSuccessThreshold(breakerSuccesses).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			m.breaker.Set(breakerLevel(e.NewState))
			select {
			case changed <- struct{}{}:
			default: // nobody has looked since the last change
			}
			log.Warn("the store's circuit breaker changed", "from", e.OldState.String(), "to", e.NewState.String())
		}).Build()
	retry := retrypolicy.NewBuilder[[]lock.Outcome]().
		HandleIf(func(_ []lock.Outcome, err error) bool { return storeFault(err) }).
		WithMaxAttempts(retryAttempts).
		WithBackoff(retryFirst, retryLast).
		WithJitterFactor(retryJitter).
		OnRetry(func(failsafe.ExecutionEvent[[]lock.Outcome]) { m.retries.Inc() }).
		ReturnLastFailure().Build()
	return &guard{
		table: table, breaker: breaker, limit: &adaptiveLimit{normal: operation}, changed: changed,
		executor: failsafe.With(retry, breaker),
	}
}

// apply hands one batch to the store. Every step may be repeated: a store knows
// a request by its id, and the others say where the request must stand.
func (g *guard) apply(ctx context.Context, batch []lock.Step) ([]lock.Outcome, error) {
	outcomes, err := g.executor.WithContext(ctx).GetWithExecution(func(e failsafe.Execution[[]lock.Outcome]) ([]lock.Outcome, error) { //nolint:contextcheck // the execution's context is a child of ctx
		ctx, cancel := context.WithTimeout(e.Context(), g.limit.get())
		defer cancel()
		start := time.Now()
		out, err := g.table.Apply(ctx, batch)
		g.limit.observe(time.Since(start))
		return out, err
	})
	if err == nil {
		return outcomes, nil
	}
	if known, ok := errors.AsType[*lock.UnavailableError](err); ok {
		return nil, known
	}
	return nil, &lock.UnavailableError{RetryAfter: g.retryAfter(), Untried: errors.Is(err, circuitbreaker.ErrOpen), Err: err}
}

// probePause is how often a store that failed is asked whether it works again.
const probePause = time.Second

// probe lets calls through again as soon as a store behind an open breaker
// answers, instead of waiting for the breaker's delay: leases go on ending
// meanwhile.
func (g *guard) probe(ctx context.Context, store Store) {
	tick := time.NewTicker(probePause)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if g.breaker.IsOpen() && store.Ping(ctx) == nil {
				g.breaker.HalfOpen()
			}
		case <-ctx.Done():
			return
		}
	}
}

func (g *guard) retryAfter() time.Duration {
	if d := g.breaker.RemainingDelay(); d > time.Second {
		return d
	}
	return time.Second
}

// storeFault tells a store that fails from a gateway that stops.
func storeFault(err error) bool {
	return err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, circuitbreaker.ErrOpen)
}

func breakerLevel(s circuitbreaker.State) float64 {
	switch s {
	case circuitbreaker.ClosedState:
		return 0
	case circuitbreaker.HalfOpenState:
		return 1
	case circuitbreaker.OpenState:
		return 2
	}
	return 2
}

// adaptiveLimit is a time limit between half and three times the normal one: the
// smoothed time that batches take plus four deviations, as TCP estimates its
// retransmission timeout (RFC 6298), times ten.
type adaptiveLimit struct {
	normal time.Duration

	mu        sync.Mutex
	mean, dev time.Duration
}

const limitHeadroom = 10

func (a *adaptiveLimit) observe(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	diff := d - a.mean
	a.mean += diff / 8
	a.dev += (diff.Abs() - a.dev) / 4
}

func (a *adaptiveLimit) get() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return min(max(limitHeadroom*(a.mean+4*a.dev), a.normal/2), 3*a.normal)
}
