package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// silence is how long a stream may say nothing before it counts as broken: three
// heartbeats of the gateway.
const silence = 45 * time.Second

// EventFilter says which events to follow; empty fields do not restrict.
type EventFilter struct {
	Types     []string // names such as lock_acquired
	Namespace string
	Resource  string // exactly this key
	Owner     string
	After     string // id of the last event seen; empty: from now on
}

func (f *EventFilter) query() url.Values {
	q := url.Values{}
	for _, t := range f.Types {
		q.Add("type", t)
	}
	set(q, "namespace", f.Namespace)
	set(q, "resource", f.Resource)
	set(q, "owner", f.Owner)
	return q
}

// Events follows what happens in the lock table, in the order of each namespace.
// A stream that breaks is taken up again after the last event seen; events that
// are no longer kept by then show as one of type dev.lockgate.gap. Without a
// last event, what happens before the gateway answers the first time is missed.
//
// The sequence ends when ctx ends, with its cause as the error, when the gateway
// refuses, and when no gateway answered for [Config.RetryFor].
func (c *Client) Events(ctx context.Context, f EventFilter) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		s := &stream{client: c, query: f.query(), last: f.After}
		again := retrying{budget: c.retryFor}
		for {
			heard, err := s.follow(ctx, func(e wire.Event) bool { return yield(e, nil) })
			if errors.Is(err, errStopped) {
				return
			}
			if heard {
				again = retrying{budget: c.retryFor}
			}
			if again.pause(ctx, err) {
				continue
			}
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			yield(wire.Event{}, fmt.Errorf("follow events: %w", err))
			return
		}
	}
}

// errStopped: whoever ranges over the events has enough.
var errStopped = errors.New("stopped")

// problemMessage is the kind of a message that says why there are no more.
const problemMessage = "problem"

// brokenOff reads such a message.
func brokenOff(data string) error {
	p := &wire.Problem{}
	if err := json.Unmarshal([]byte(data), p); err != nil {
		return fmt.Errorf("the reason why the events end: %w", err)
	}
	return &refusal{problem: p, after: time.Duration(max(p.RetryAfter, 0)) * time.Second}
}

// stream is one reader of events over all its connections.
type stream struct {
	client *Client
	query  url.Values
	last   string
}

// follow reads one connection to its end, which always is an error. It reports
// whether the gateway sent anything.
func (s *stream) follow(ctx context.Context, emit func(wire.Event) bool) (heard bool, err error) {
	attempt, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()

	cl := &call{
		method: http.MethodGet, path: "/v1/events", query: s.query,
		header: http.Header{"Accept": {"text/event-stream"}},
	}
	if s.last != "" {
		cl.header.Set("Last-Event-ID", s.last)
	}
	resp, err := s.client.send(attempt, cl, nil)
	if err != nil {
		return false, s.client.explain(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, readProblem(resp)
	}
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return false, fmt.Errorf("%s answered with no event stream: check the address", s.client.redacted)
	}
	var taken error
	err = readStream(resp.Body, func(m message) error {
		heard = true
		watchdog.Reset(silence)
		taken = s.take(m, emit)
		return taken
	})
	if taken != nil {
		return heard, taken
	}
	return heard, s.client.explain(ctx, err)
}

// take hands one message on and remembers where it stood.
func (s *stream) take(m message, emit func(wire.Event) bool) error {
	if m.id != "" {
		s.last = m.id
	}
	if m.data == "" {
		return nil
	}
	if m.kind == problemMessage {
		return brokenOff(m.data)
	}
	var e wire.Event
	if err := json.Unmarshal([]byte(m.data), &e); err != nil {
		return fmt.Errorf("event %q: %w", m.id, err)
	}
	if !emit(e) {
		return errStopped
	}
	return nil
}
