package embedded

import "github.com/lockgate/lockgate/core/events"

// reader is one call for the events after a place.
type reader struct {
	from  int
	limit int
	fresh bool // the empty cursor: what is gone was never promised
	lost  bool // the log never reached the cursor
}

// newReader reads a cursor. One beyond the tip is from another life of the log,
// such as a newer copy of the file: its reader gets a gap, then all that is kept.
func newReader(after events.Cursor, limit, tip int) (*reader, error) {
	from, err := parseCursor(after)
	if err != nil {
		return nil, err
	}
	r := &reader{from: from, limit: limit, fresh: after == ""}
	if from > tip {
		r.from, r.lost = 0, true
	}
	return r, nil
}

// read answers the events after the place: from memory when that holds all of
// them, else from the journal. When some are not kept any more a gap comes
// first. It answers none while there are none.
func (r *reader) read(v *view, j journal) ([]events.Event, error) {
	found := v.events
	if r.from+1 < v.first {
		older, err := j.events(r.from, r.limit)
		if err != nil {
			return nil, err
		}
		if len(older) > 0 {
			found = older
		}
	}
	before := v.tip
	if len(found) > 0 {
		first, err := parseCursor(found[0].Cursor)
		if err != nil {
			return nil, err
		}
		before = first - 1
	}
	if !r.lost && (r.fresh || before == r.from) {
		return found, nil
	}
	gap := events.Event{Cursor: cursorOf(before), Type: events.Gap}
	if len(found) > 0 {
		gap.Time = found[0].Time
	}
	return append([]events.Event{gap}, found[:min(len(found), r.limit-1)]...), nil
}
