package embedded

import (
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// journal makes the changes of the table durable, each commit wholly or not at
// all. The goroutine that owns the table calls load, commit and close; readers
// call events at any time.
type journal interface {
	// load answers the last committed state.
	load() (state, error)
	// commit makes changes durable together with the marks after them.
	commit(c *changes, m marks) error
	// events answers at most limit kept events after a sequence, in order.
	events(after, limit int) ([]events.Event, error)
	close() error
}

// marks are the numbers that never run backwards.
type marks struct {
	Clock stamp      `json:"clock"` // newest time seen, in milliseconds since 1970
	Token lock.Token `json:"token"` // largest token handed out
	Tip   int        `json:"tip"`   // sequence of the newest event
}

// state is everything but the events.
type state struct {
	marks

	locks    []lock.Lock
	memories []memory
	waits    []lock.Wait

	deadlocks []lock.Deadlock // oldest first
}

// volatile is the journal of a store that keeps nothing: older events than the
// feed holds are gone.
type volatile struct{}

func (volatile) load() (state, error)                    { return state{}, nil }
func (volatile) commit(*changes, marks) error            { return nil }
func (volatile) events(int, int) ([]events.Event, error) { return nil, nil }
func (volatile) close() error                            { return nil }

// restore builds the table of a loaded state.
func restore(s *state, rules lock.Rules) *table {
	t := newTable(rules)
	t.now, t.token, t.tip = s.Clock, s.Token, s.Tip
	for i := range s.locks {
		l := &s.locks[i]
		t.enter(newEntry(t.namespace(l.Namespace), l))
	}
	for i := range s.memories {
		t.memories.put(&s.memories[i])
	}
	for i := range s.waits {
		t.declared.put(&s.waits[i])
	}
	t.deadlocks = s.deadlocks
	return t
}
