package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/lockgate/lockgate/gateway/wire"
)

// maxLimited bounds how many subjects are remembered: two generations of half
// as many each.
const maxLimited = 20_000

// limits bounds how often each subject calls. Subjects are remembered in two
// generations: when the young one is full it becomes the old one, and whoever
// does not call again is forgotten with it.
type limits struct {
	rate  rate.Limit
	burst int

	mu         sync.Mutex
	young, old map[string]*rate.Limiter
}

// newLimits answers nil when there is no limit.
func newLimits(cfg RateConfig) *limits {
	if cfg.PerSubject == 0 {
		return nil
	}
	return &limits{
		rate: rate.Limit(cfg.PerSubject), burst: cfg.Burst,
		young: map[string]*rate.Limiter{}, old: map[string]*rate.Limiter{},
	}
}

// allow answers a rate_limited problem when the subject has used up its calls.
func (l *limits) allow(subject string) error {
	if l == nil {
		return nil
	}
	bucket := l.bucket(subject)
	now := time.Now()
	if bucket.AllowN(now, 1) {
		return nil
	}
	missing := 1 - bucket.TokensAt(now)
	return &problemError{
		code:       wire.CodeRateLimited,
		detail:     "this subject calls more often than rate_limit.per_subject allows",
		retryAfter: time.Duration(missing / float64(l.rate) * float64(time.Second)),
	}
}

func (l *limits) bucket(subject string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.young[subject]; ok {
		return b
	}
	b, ok := l.old[subject]
	if !ok {
		b = rate.NewLimiter(l.rate, l.burst)
	}
	if len(l.young) >= maxLimited/2 {
		l.old, l.young = l.young, make(map[string]*rate.Limiter, len(l.young))
	}
	l.young[subject] = b
	return b
}
