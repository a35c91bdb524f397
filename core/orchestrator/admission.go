package orchestrator

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// lane is a class of steps in the admission queue; lower ones are drained
// first.
type lane uint8

const (
	laneEndings lane = iota // whatever frees or keeps a lock: never behind acquires
	laneCritical
	laneHigh
	laneNormal
	laneLow
	lanes
)

func laneOf(p lock.Priority) lane {
	switch p {
	case lock.Critical:
		return laneCritical
	case lock.High:
		return laneHigh
	case lock.Unstated, lock.Normal:
		return laneNormal
	case lock.Low:
		return laneLow
	}
	return laneLow
}

// ticket is one step on its way through the admission queue.
type ticket struct {
	ctx    context.Context //nolint:containedctx // the caller's: its span is the parent of what the worker does
	step   lock.Step
	lane   lane
	queued time.Time
	done   chan answer // buffered: a worker never waits for a caller
	owned  atomic.Bool // by the worker that took it, or by the caller that left before
}

// claim decides who has the ticket: the first to ask.
func (t *ticket) claim() bool { return t.owned.CompareAndSwap(false, true) }

type answer struct {
	outcome lock.Outcome
	err     error
}

// admission is the bounded queue in front of the workers. Endings have room of
// their own, so that a flood of acquires never keeps a lock from being freed.
type admission struct {
	size  int
	ready chan struct{} // one token a worker that may find work

	mu       sync.Mutex
	waiting  [lanes][]*ticket
	acquires int // tickets outside laneEndings
}

func newAdmission(size, workers int) *admission {
	return &admission{size: size, ready: make(chan struct{}, workers)}
}

// push answers false when there is no room.
func (a *admission) push(t *ticket) bool {
	a.mu.Lock()
	full := len(a.waiting[laneEndings]) >= a.size
	if t.lane != laneEndings {
		full = a.acquires >= a.size
	}
	if full {
		a.mu.Unlock()
		return false
	}
	if t.lane != laneEndings {
		a.acquires++
	}
	a.waiting[t.lane] = append(a.waiting[t.lane], t)
	a.mu.Unlock()
	a.wake()
	return true
}

// pop takes up to limit tickets in order of urgency.
func (a *admission) pop(into []*ticket, limit int) []*ticket {
	a.mu.Lock()
	left := false
	for l := range a.waiting {
		q := a.waiting[l]
		n := min(limit-len(into), len(q))
		into = append(into, q[:n]...)
		clear(q[:n])
		if n == len(q) {
			a.waiting[l] = q[:0] // nothing left: the room is used again
		} else {
			a.waiting[l] = q[n:]
			left = true
		}
		if lane(l) != laneEndings {
			a.acquires -= n
		}
	}
	a.mu.Unlock()
	if left {
		a.wake()
	}
	return into
}

// length counts the tickets that wait.
func (a *admission) length() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.acquires + len(a.waiting[laneEndings])
}

func (a *admission) wake() {
	select {
	case a.ready <- struct{}{}:
	default: // every worker is already called
	}
}
