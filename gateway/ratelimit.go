package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lockgate/lockgate/gateway/wire"
)

// maxLimited bounds how many callers are remembered: two generations of half as
// many each.
const maxLimited = 20_000

// refusalRate is how often one address may present a credential that is not
// accepted. A client that was configured wrongly stays below it; guessing and
// floods do not.
func refusalRate() RateConfig { return RateConfig{PerSubject: 5, Burst: 50} }

// limits bounds how often each caller does something. Callers are remembered in
// two generations: when the young one is full it becomes the old one, and
// whoever does not come again is forgotten with it.
type limits struct {
	rate   rate.Limit
	burst  int
	detail string // what a caller beyond the limit is told

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

// newLimits answers nil when there is no limit.
func newLimits(cfg RateConfig, detail string) *limits {
	if cfg.PerSubject == 0 {
		return nil
	}
	return &limits{
		rate: rate.Limit(cfg.PerSubject), burst: cfg.Burst, detail: detail,
		young: map[string]*rate.Limiter{}, old: map[string]*rate.Limiter{},
	}
}

// allow counts one; a rate_limited problem when the caller has used up its own.
func (l *limits) allow(caller string) error {
	if l == nil || l.bucket(caller).Allow() {
		return nil
	}
	return l.exhausted(caller)
}

// spend counts one whether the caller has any left or not.
func (l *limits) spend(caller string) { l.bucket(caller).Allow() }

// exhausted answers a rate_limited problem when the caller has used up its own,
// and counts nothing.
func (l *limits) exhausted(caller string) error {
	missing := 1 - l.bucket(caller).Tokens()
	if missing <= 0 {
		return nil
	}
	return &problemError{
		code: wire.CodeRateLimited, detail: l.detail,
		retryAfter: time.Duration(missing / float64(l.rate) * float64(time.Second)),
	}
}

func (l *limits) bucket(caller string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.young[caller]; ok {
		return b
	}
	b, ok := l.old[caller]
	if !ok {
		b = rate.NewLimiter(l.rate, l.burst)
	}
	if len(l.young) >= maxLimited/2 {
		l.old, l.young = l.young, make(map[string]*rate.Limiter, len(l.young))
	}
	l.young[caller] = b
	return b
}
