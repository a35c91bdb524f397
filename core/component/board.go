package component

import (
	"slices"
	"sync"
	"time"
)

// board holds the status of every component and tells of each change.
type board struct {
	metrics  *metrics
	onChange func(Status)

	mu     sync.Mutex
	status []Status // in start order
}

func newBoard(names []string, m *metrics, onChange func(Status)) *board {
	b := &board{metrics: m, onChange: onChange, status: make([]Status, len(names))}
	now := time.Now()
	for i, name := range names {
		b.status[i] = Status{Name: name, State: Stopped, Since: now}
		m.health.WithLabelValues(name).Set(Stopped.health())
		m.restarts.WithLabelValues(name)
	}
	return b
}

// set reports under the mutex, so that reports come in the order of changes.
func (b *board) set(i int, state State, message string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := &b.status[i]
	if s.State == state && s.Message == message {
		return
	}
	if s.State != state {
		s.Since = time.Now()
	}
	s.State, s.Message = state, message
	b.metrics.health.WithLabelValues(s.Name).Set(state.health())
	b.onChange(*s)
}

func (b *board) get(i int) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status[i]
}

func (b *board) all() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.status)
}
