package embedded

import (
	"strconv"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// changes is what the running drain has done to the table so far: exactly what
// one commit of the journal makes durable.
type changes struct {
	entries  map[lock.ID]*entry // by id; nil is forgotten
	recalled map[call]*memory   // idempotency keys; nil is forgotten
	events   []events.Event

	waits     map[lock.ID]*lock.Wait // declared; nil is forgotten
	deadlocks []lock.Deadlock        // new ones
}

func newChanges() changes {
	return changes{entries: map[lock.ID]*entry{}, recalled: map[call]*memory{}, waits: map[lock.ID]*lock.Wait{}}
}

func (c *changes) none() bool {
	return len(c.entries) == 0 && len(c.recalled) == 0 && len(c.events) == 0 &&
		len(c.waits) == 0 && len(c.deadlocks) == 0
}

// happening is what an event says beside the request and the time.
type happening struct {
	what   events.Type
	before lock.State // 0: it was not in the table
	reason string
	by     string
}

// record appends the event of a transition; e is the request after it.
func (t *table) record(e *entry, h happening) { t.append(e.snapshot(), h) }

func (t *table) append(l lock.Lock, h happening) {
	t.tip++
	t.changes.events = append(t.changes.events, events.Event{
		Cursor: cursorOf(t.tip), Type: h.what, Time: t.now.time(), Namespace: l.Namespace,
		Lock: l, Before: h.before, Reason: h.reason, By: h.by,
	})
}

// cursorOf spells the sequence of an event.
func cursorOf(seq int) events.Cursor { return events.Cursor(strconv.Itoa(seq)) }
