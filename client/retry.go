package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// retrying counts the attempts of one call. The budget runs from the first
// failure: a call that was open for long before it broke loses none of it.
type retrying struct {
	budget time.Duration
	failed int
	until  time.Time
}

// pause waits before the next attempt. It answers false when there should be
// none: the error is final, the budget would be exceeded, or ctx ended.
func (r *retrying) pause(ctx context.Context, err error) bool {
	if final(err) || r.budget < 0 {
		return false
	}
	now := time.Now()
	if r.failed == 0 {
		r.until = now.Add(r.budget)
	}
	r.failed++
	wait := backoff(r.failed)
	var refused *refusal
	if errors.As(err, &refused) && refused.after > wait {
		wait = refused.after + jitter(wait)
	}
	if now.Add(wait).After(r.until) {
		return false
	}
	return sleep(ctx, wait) == nil
}

// backoff doubles from firstPause to maxPause, each time between half and all of
// it.
func backoff(failed int) time.Duration {
	pause := maxPause
	if shift := failed - 1; shift < 6 {
		pause = min(firstPause<<shift, maxPause)
	}
	return pause/2 + jitter(pause/2)
}

func jitter(limit time.Duration) time.Duration {
	return rand.N(limit + 1) //nolint:gosec // spreads callers over time; nothing secret depends on it
}

// sleep waits, or answers why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// retryAfter reads the pause that a gateway, or a proxy before it, asks for.
func retryAfter(h http.Header, p *wire.Problem) time.Duration {
	value := h.Get("Retry-After")
	if value == "" {
		return time.Duration(max(p.RetryAfter, 0)) * time.Second
	}
	if s, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(s) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
