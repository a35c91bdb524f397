package redis

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// eventID is the id of an entry of a stream.
type eventID struct {
	ms, seq int64
}

func parseEventID(text string) (eventID, error) {
	ms, seq, _ := strings.Cut(text, "-")
	var id eventID
	var err, more error
	id.ms, err = strconv.ParseInt(ms, 10, 64)
	id.seq, more = strconv.ParseInt(seq, 10, 64)
	return id, errors.Join(err, more)
}

func (a eventID) after(b eventID) bool { return a.ms > b.ms || (a.ms == b.ms && a.seq > b.seq) }

// decodeEvent reads one entry as the prelude's record wrote it.
func decodeEvent(ns lock.Namespace, m *goredis.XMessage) (streamed, error) {
	fault := func(err error) (streamed, error) {
		return streamed{}, fmt.Errorf("event %s of namespace %q in Redis: %w", m.ID, ns, err)
	}
	id, err := parseEventID(m.ID)
	if err != nil {
		return fault(err)
	}
	text := func(name string) string {
		s, ok := m.Values[name].(string)
		if !ok && err == nil {
			err = fmt.Errorf("has no field %s", name)
		}
		return s
	}
	optional := func(name string) string {
		s, _ := m.Values[name].(string)
		return s
	}
	about, rest, _ := strings.Cut(text("h"), "\n")
	header := strings.Fields(about)
	f := fields{b: text("b"), d: text("d"), y: optional("y")}
	f.s, f.m, _ = strings.Cut(rest, "\n")
	e := events.Event{Namespace: ns, Reason: optional("w"), By: optional("u")}
	if err != nil {
		return fault(err)
	}
	if len(header) == 3 { // an event about no lock
		header = append(header, "")
	}
	if len(header) != 4 {
		return fault(fmt.Errorf("field h has %d words, not 4", len(header)))
	}
	before, err := strconv.ParseUint(header[1], 10, 8)
	if err != nil {
		return fault(err)
	}
	at, err := strconv.ParseInt(header[2], 10, 64)
	if err != nil {
		return fault(err)
	}
	f.id = header[3]
	e.Type, e.Before, e.Time = events.Type(header[0]), lock.State(before), moment(at)
	if e.Lock, err = f.decode(ns); err != nil {
		return fault(err)
	}
	return streamed{event: e, at: id.ms}, nil
}
