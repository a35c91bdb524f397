package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

const (
	maxPage   = 1000
	readChunk = 256 // streams read by one pipeline
)

// Tip implements events.Log. Everything that was answered before Tip was called
// is before it.
func (s *Store) Tip(ctx context.Context) (events.Cursor, error) {
	if err := s.following(ctx); err != nil {
		return "", err
	}
	if err := s.readAll(ctx, s.inUse()); err != nil {
		return "", unavailable(err)
	}
	return s.ring.end().cursor(), nil
}

// Events implements events.Log. A reader whose place is in this gateway's ring
// goes on from exactly there; every other is given what the streams have since
// the time of its cursor, and then joins the ring.
func (s *Store) Events(ctx context.Context, after events.Cursor, limit int) ([]events.Event, error) {
	at, err := parseCursor(after)
	if err != nil {
		return nil, err
	}
	if err := s.following(ctx); err != nil {
		return nil, err
	}
	limit = pageSize(limit)
	fresh := after == ""
	for {
		w := s.ring.after(at, limit)
		switch {
		case len(w.events) > 0:
			return w.events, nil
		case w.closed:
			return nil, unavailable(errStopped)
		case !w.inside:
			kept, missed, err := s.kept(ctx, at)
			if err != nil {
				return nil, unavailable(err)
			}
			if missed && !fresh {
				s.metrics.gaps.Inc()
				return s.afterGap(ctx, kept, limit)
			}
			found, err := s.between(ctx, kept, w.base, limit)
			if err != nil || len(found) > 0 {
				return found, err
			}
			at = place{at: w.base}
			continue
		}
		select {
		case <-w.changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// kept moves a place to where the log begins, and says whether events between
// may be gone. They are dropped some time after they are old enough.
func (s *Store) kept(ctx context.Context, from place) (place, bool, error) {
	now, err := s.serverTime(ctx)
	if err != nil {
		return place{}, false, err
	}
	oldest := now.Add(-s.cfg.Rules.Events).UnixMilli()
	switch {
	case from.at > now.UnixMilli()+future:
		return place{}, true, nil
	case from.at < oldest:
		return place{}, true, nil
	}
	return from, false, nil
}

// afterGap answers a gap, whose cursor is right before what is kept, and what
// comes after it.
func (s *Store) afterGap(ctx context.Context, from place, limit int) ([]events.Event, error) {
	w := s.ring.after(from, limit)
	if !w.inside {
		found, err := s.between(ctx, from, w.base, limit)
		if err != nil {
			return nil, unavailable(err)
		}
		if len(found) > 0 {
			first, err := parseCursor(found[0].Cursor)
			if err != nil {
				return nil, err
			}
			first.skip--
			return append([]events.Event{gap(first, found[0].Time)}, found[:min(len(found), limit-1)]...), nil
		}
		w = s.ring.after(place{at: w.base}, limit)
	}
	missed := gap(w.from, time.Time{})
	if len(w.events) > 0 {
		missed.Time = w.events[0].Time
	}
	return append([]events.Event{missed}, w.events[:min(len(w.events), limit-1)]...), nil
}

// following waits until Run knows where the log begins.
func (s *Store) following(ctx context.Context) error {
	for !s.ring.started() {
		if s.ended.Load() {
			break
		}
		if !pause(ctx, readEvery) {
			return ctx.Err()
		}
	}
	if s.ended.Load() {
		return unavailable(errStopped)
	}
	return nil
}

// between reads the first events of all streams from a place on and before a
// time, by time, then namespace: an order that does not change while the time is
// past.
func (s *Store) between(ctx context.Context, from place, before int64, limit int) ([]events.Event, error) {
	if limit < 1 || from.at >= before {
		return nil, nil
	}
	names := s.directory.every()
	slices.Sort(names)
	var first []streamed
	need := limit + from.skip
	for len(names) > 0 {
		n := min(len(names), readChunk)
		found, err := s.ranges(ctx, names[:n], from.at, before, need)
		if err != nil {
			return nil, err
		}
		first = append(first, found...)
		slices.SortStableFunc(first, func(a, b streamed) int {
			if a.at != b.at {
				return int(min(max(a.at-b.at, -1), 1))
			}
			return strings.Compare(string(a.event.Namespace), string(b.event.Namespace))
		})
		first = first[:min(len(first), need)]
		names = names[n:]
	}
	return numbered(first, from), nil
}

// numbered drops what a reader has been given of the first millisecond, and
// gives the others their cursors.
func numbered(found []streamed, from place) []events.Event {
	var list []events.Event
	at, n := from.at, 0
	for i := range found {
		if found[i].at != at {
			at, n = found[i].at, 0
		}
		n++
		if at == from.at && n <= from.skip {
			continue
		}
		e := found[i].event
		e.Cursor = place{at: at, skip: n}.cursor()
		list = append(list, e)
	}
	return list
}

func (s *Store) ranges(ctx context.Context, names []lock.Namespace, from, before int64, count int) ([]streamed, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	pipe := s.client.Pipeline()
	cmds := make([]*goredis.XMessageSliceCmd, len(names))
	for i, ns := range names {
		cmds[i] = pipe.XRangeN(ctx, s.keys.events(ns), strconv.FormatInt(from, 10), fmt.Sprintf("(%d-0", before), int64(count))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read old events: %w", err)
	}
	var found []streamed
	for i, cmd := range cmds {
		messages := cmd.Val()
		for j := range messages {
			e, err := decodeEvent(names[i], &messages[j])
			if err != nil {
				s.logger.ErrorContext(ctx, "redis holds an event that this version cannot read", "error", err)
				continue
			}
			found = append(found, e)
		}
	}
	return found, nil
}

func pageSize(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}
