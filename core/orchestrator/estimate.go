package orchestrator

import (
	"sync"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// holdTimes learns how long locks are held, for the estimate of a wait.
type holdTimes struct {
	mu    sync.Mutex
	all   time.Duration            // smoothed over everything, 0 while nothing was seen
	byKey map[string]time.Duration // by place
}

// place names a resource across namespaces.
func place(ns lock.Namespace, key lock.Key) string { return string(ns) + "\x00" + string(key) }

const (
	maxHoldTimes = 10_000 // resources remembered; the estimate of others is the mean of all
	holdWeight   = 8      // a new hold time counts one part in this many
)

func (h *holdTimes) observe(l *lock.Lock, held time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = smooth(h.all, held)
	for _, r := range l.Resources {
		p := place(l.Namespace, r.Key)
		old, known := h.byKey[p]
		if !known && len(h.byKey) >= maxHoldTimes {
			h.forgetOne()
		}
		h.byKey[p] = smooth(old, held)
	}
}

// forgetOne drops any entry: which one does not matter for an estimate.
func (h *holdTimes) forgetOne() {
	for p := range h.byKey {
		delete(h.byKey, p)
		return
	}
}

func smooth(mean, next time.Duration) time.Duration {
	if mean == 0 {
		return next
	}
	return mean + (next-mean)/holdWeight
}

// Estimate is the expected rest of a wait at a place in the queue of a resource,
// from the hold times seen by this gateway; false while there were none.
func (o *Orchestrator) Estimate(ns lock.Namespace, key lock.Key, position int) (time.Duration, bool) {
	h := &o.holds
	h.mu.Lock()
	defer h.mu.Unlock()
	mean, ok := h.byKey[place(ns, key)]
	if !ok {
		mean = h.all
	}
	return mean * time.Duration(position), mean > 0
}
