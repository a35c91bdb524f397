package redis

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// ringSize is how many of the newest events a gateway keeps for its readers.
const ringSize = 16 << 10

// streamed is an event as it came from the stream of its namespace.
type streamed struct {
	event events.Event
	at    int64 // ms of its id in the stream
	seen  int64 // ms: every event before it was read when this one was
}

// ring is the newest part of the log in the order in which this gateway read
// it, shared by all who follow it here.
type ring struct {
	life string // tells this log from those of other gateways and other lives

	mu      sync.Mutex
	items   []streamed
	tip     int           // sequence of the last item; items end with it
	base    int64         // ms: of every later event, if it was read, items know
	seen    int64         // ms: every event before it was read
	origin  int64         // ms: where base was in the beginning
	changed chan struct{} // closed and replaced when there is more
	closed  bool
}

func newRing() *ring {
	var life [4]byte
	rand.Read(life[:]) // never fails, it says
	return &ring{life: hex.EncodeToString(life[:]), changed: make(chan struct{})}
}

// begin says that everything from a time on will be read.
func (r *ring) begin(at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.base, r.seen, r.origin = at, at, at
}

// started reports whether it is known where the ring begins.
func (r *ring) started() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.base != 0
}

// publish appends events and wakes whoever waits for them.
func (r *ring) publish(fresh []streamed) {
	if len(fresh) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range fresh {
		r.tip++
		e.seen = r.seen
		r.items = append(r.items, e)
		r.items[len(r.items)-1].event.Cursor = r.placeLocked(len(r.items)).cursor()
	}
	if old := len(r.items) - ringSize; old > 0 {
		for i := range old {
			r.base = max(r.base, r.items[i].at+1)
			r.items[i] = streamed{}
		}
		r.items = r.items[old:]
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// sawAll notes that every event before a time was read.
func (r *ring) sawAll(before int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = max(r.seen, before)
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed = true
		close(r.changed)
	}
}

// end is the place behind the newest event; its cursor is that event's.
func (r *ring) end() place {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.placeLocked(len(r.items))
}

// placeLocked is the place behind the first n items.
func (r *ring) placeLocked(n int) place {
	p := place{life: r.life, seq: r.tip - len(r.items) + n, at: r.origin}
	if n > 0 {
		p.at = r.items[n-1].seen
	}
	return p
}

// window is what the ring knows of the events after a place.
type window struct {
	events  []events.Event
	from    place           // exactly where they begin
	inside  bool            // the place is in the ring: there is nothing between
	base    int64           // when it is not: events before it are in the streams only
	changed <-chan struct{} // closed when there is more
	closed  bool
}

const (
	// joinSlack, in ms, is how much of the ring a reader is given again that comes
	// from elsewhere: events are not read in the order of their times.
	joinSlack = 2000
	// future, in ms, is how far a cursor of another gateway may be ahead of what
	// was read here. One beyond is from a log that is gone.
	future = 60_000
)

// after answers at most limit events after a place.
func (r *ring) after(p place, limit int) window {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := window{base: r.base, changed: r.changed, closed: r.closed}
	first := r.tip - len(r.items) + 1
	from := 0
	switch {
	case p.life == r.life && p.seq+1 >= first && p.seq <= r.tip:
		from = p.seq + 1 - first
	case p.at >= r.base && p.at < r.seen+future:
		for from < len(r.items) && r.items[from].at < p.at-joinSlack {
			from++
		}
	default:
		return w
	}
	w.inside, w.from = true, r.placeLocked(from)
	for _, e := range r.items[from:min(from+limit, len(r.items))] {
		w.events = append(w.events, e.event)
	}
	return w
}

// place is a place in the log: exactly, for the ring of one life, and for every
// other reader as the time before which everything was read, and how many events
// of that very millisecond.
type place struct {
	life string // "" in the streams
	seq  int
	at   int64 // ms
	skip int
}

// unknown is the time of a cursor whose log is gone.
const unknown = math.MaxInt64

func (p place) cursor() events.Cursor {
	return events.Cursor(fmt.Sprintf("%s-%d-%d-%d", p.life, p.seq, p.at, p.skip))
}

// parseCursor reads what cursor spelled; the empty one is before everything. A
// bare number is a cursor of the embedded store: the log it is from is not here.
func parseCursor(c events.Cursor) (place, error) {
	if c == "" {
		return place{}, nil
	}
	fault := lock.Invalid("after", "is no cursor of the event log")
	parts := strings.Split(string(c), "-")
	if len(parts) != 4 {
		if n, err := strconv.ParseInt(string(c), 10, 64); err != nil || n < 0 {
			return place{}, fault
		}
		return place{at: unknown}, nil
	}
	p := place{life: parts[0]}
	var err error
	if p.seq, err = strconv.Atoi(parts[1]); err != nil {
		return place{}, fault
	}
	if p.at, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
		return place{}, fault
	}
	if p.skip, err = strconv.Atoi(parts[3]); err != nil || p.cursor() != c || p.seq < 0 || p.at < 0 || p.skip < 0 {
		return place{}, fault
	}
	return p, nil
}

// gap is an event that says: what was between the place asked for and this one
// may be gone.
func gap(at place, now time.Time) events.Event {
	return events.Event{Cursor: at.cursor(), Type: events.Gap, Time: now}
}
