package deadlock

import (
	"sync"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Flood refuses owners that close too many deadlocks: one that closed as many
// within a minute as the limit allows is refused until the first of them is a
// minute old. It may be used by many at once; time is the caller's and should
// be the store's.
type Flood struct {
	limit int

	mu     sync.Mutex
	closed map[lock.Owner][]time.Time // at most limit each, rising
}

const (
	floodWindow = time.Minute
	// floodOwners bounds the memory: more owners than that do not close
	// deadlocks within one minute unless somebody invents owners, and those are
	// forgotten first come first served.
	floodOwners = 10_000
)

// NewFlood counts by the limit of a configuration; 0 refuses nobody.
func NewFlood(cfg *Config) *Flood {
	return &Flood{limit: cfg.MaxPerOwnerPerMinute, closed: make(map[lock.Owner][]time.Time)}
}

// Closed notes that a request of the owner closed a deadlock.
func (f *Flood) Closed(o lock.Owner, now time.Time) {
	if f.limit == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.closed[o]; !known && len(f.closed) >= floodOwners {
		f.forget(now)
	}
	times := append(recent(f.closed[o], now), now)
	f.closed[o] = times[max(0, len(times)-f.limit):]
}

// RetryAfter is how long requests of the owner are refused; 0: they are not.
func (f *Flood) RetryAfter(o lock.Owner, now time.Time) time.Duration {
	if f.limit == 0 {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	times := recent(f.closed[o], now)
	if len(times) < f.limit {
		return 0
	}
	return times[0].Add(floodWindow).Sub(now)
}

// forget drops owners whose minute is over, or else the one that was quiet for
// the longest time.
func (f *Flood) forget(now time.Time) {
	var quiet lock.Owner
	var since time.Time
	for o, times := range f.closed {
		last := times[len(times)-1]
		if now.Sub(last) >= floodWindow {
			delete(f.closed, o)
			continue
		}
		if since.IsZero() || last.Before(since) {
			quiet, since = o, last
		}
	}
	if len(f.closed) >= floodOwners {
		delete(f.closed, quiet)
	}
}

func recent(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= floodWindow {
		times = times[1:]
	}
	return times
}
