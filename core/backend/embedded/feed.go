package embedded

import (
	"strconv"
	"sync"
	"time"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// recent is how many of the newest events are kept in memory for readers that
// follow closely.
const recent = 4096

// feed is the newest part of the event log, shared by the goroutine that owns
// the table and every reader. It holds committed events only.
type feed struct {
	mu      sync.Mutex
	newest  []*events.Event // at most recent, in order
	tip     int             // sequence of the last, also when there is none
	changed chan struct{}   // closed and replaced whenever an event is added
}

func newFeed(tip int) *feed { return &feed{tip: tip, changed: make(chan struct{})} }

// publish adds committed events, drops those from before the horizon, and wakes
// whoever waits.
func (f *feed) publish(fresh []events.Event, horizon time.Time) {
	if len(fresh) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range fresh {
		f.newest = append(f.newest, &fresh[i])
	}
	old := max(0, len(f.newest)-recent)
	for old < len(f.newest) && f.newest[old].Time.Before(horizon) {
		old++
	}
	clear(f.newest[:old])
	f.newest = f.newest[old:]
	f.tip += len(fresh)
	close(f.changed)
	f.changed = make(chan struct{})
}

// view is what a feed knows about the events after a place.
type view struct {
	tip     int
	first   int             // sequence of the oldest in memory; tip+1 when there is none
	events  []events.Event  // of those in memory, the first after the place
	changed <-chan struct{} // closed when there are more
}

// after answers at most limit events after a sequence.
func (f *feed) after(seq, limit int) view {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.newest)
	v := view{tip: f.tip, first: f.tip - n + 1, changed: f.changed}
	skip := min(max(seq-v.first+1, 0), n)
	for _, e := range f.newest[skip:min(skip+limit, n)] {
		v.events = append(v.events, *e)
	}
	return v
}

// parseCursor reads what cursorOf spelled; the empty cursor is 0.
func parseCursor(c events.Cursor) (int, error) {
	if c == "" {
		return 0, nil
	}
	seq, err := strconv.Atoi(string(c))
	if err != nil || seq < 0 || cursorOf(seq) != c {
		return 0, lock.Invalid("after", "is no cursor of the event log")
	}
	return seq, nil
}
