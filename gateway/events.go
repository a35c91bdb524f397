package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/tmaxmax/go-sse"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

const (
	heartbeat    = 15 * time.Second // silence is never longer
	streamWrite  = 15 * time.Second // a reader that takes longer for one write is cut off
	streamBatch  = 100
	streamResume = time.Second // when a reader that was cut off comes again
)

// stream is one open GET /v1/events.
type stream struct {
	s       *Server
	session *sse.Session
	control *http.ResponseController
	caller  *lock.Caller
	filter  eventFilter
	after   events.Cursor
	written time.Time
}

// streamEvents is GET /v1/events. Without Last-Event-ID it begins with what
// happens from now on.
func (s *Server) streamEvents(c echo.Context) error {
	p := query(c, "type", "namespace", "resource", "owner")
	filter := p.eventFilter()
	if err := p.err(); err != nil {
		return err
	}
	ctx, leave, err := s.streams.enter(c.Request().Context(), CallerFrom(c).Subject.ID)
	if err != nil {
		return err
	}
	defer leave()
	st := &stream{s: s, caller: CallerFrom(c), filter: filter, control: http.NewResponseController(c.Response())}
	missed, err := st.begin(ctx, events.Cursor(c.Request().Header.Get(lastEventID)))
	if err != nil {
		return err
	}
	if st.session, err = sse.Upgrade(c.Response(), c.Request()); err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return st.run(ctx, missed)
}

const lastEventID = "Last-Event-Id"

// begin places the stream in the log and answers the first events that its
// reader has missed. What is wrong with the place is told before the stream
// opens: a reader of server-sent events takes a broken stream for a network
// fault and would come back with the same place for ever.
func (st *stream) begin(ctx context.Context, seen events.Cursor) ([]events.Event, error) {
	tip, err := st.s.parts.Orchestrator.Tip(ctx)
	if st.after = tip; err != nil || seen == "" || seen == tip {
		return nil, err
	}
	missed, after, err := st.s.parts.Orchestrator.Events(ctx, st.caller, seen, streamBatch)
	st.after = after
	return missed, inParameter(lastEventID, err)
}

// run sends what was missed and then events until the reader leaves or the gateway stops. An error after
// the first byte is told as a last message of type problem.
func (st *stream) run(ctx context.Context, missed []events.Event) error {
	hello := &sse.Message{Retry: streamResume}
	if err := st.send(hello); err != nil {
		return err
	}
	if err := st.pass(missed); err != nil {
		return err
	}
	for ctx.Err() == nil {
		batch, err := st.next(ctx)
		quiet := errors.Is(err, context.DeadlineExceeded)
		if err != nil && !quiet && ctx.Err() == nil {
			return st.breakOff(err)
		}
		if err := st.pass(batch); err != nil {
			return err
		}
	}
	return nil
}

// next waits for events, but not longer than the next heartbeat.
func (st *stream) next(ctx context.Context) ([]events.Event, error) {
	ctx, cancel := context.WithDeadline(ctx, st.written.Add(heartbeat))
	defer cancel()
	batch, after, err := st.s.parts.Orchestrator.Events(ctx, st.caller, st.after, streamBatch)
	if err == nil {
		st.after = after
	}
	return batch, err
}

// pass sends what the filter lets through, or a heartbeat when the reader has
// heard nothing for too long. The heartbeat carries the cursor, so that a
// filtered reader does not resume far back.
func (st *stream) pass(batch []events.Event) error {
	for i := range batch {
		if !st.filter.passes(&batch[i]) {
			continue
		}
		m, err := st.message(&batch[i])
		if err != nil {
			return err
		}
		if err := st.send(m); err != nil {
			return err
		}
	}
	if time.Since(st.written) < heartbeat {
		return nil
	}
	beat := &sse.Message{ID: eventID(st.after)}
	beat.AppendComment("still here")
	return st.send(beat)
}

func (st *stream) message(e *events.Event) (*sse.Message, error) {
	data, err := json.Marshal(presentEvent(e, st.s.parts.Node, st.caller))
	if err != nil {
		return nil, err
	}
	m := &sse.Message{ID: eventID(e.Cursor)}
	m.AppendData(string(data))
	return m, nil
}

// breakOff tells a reader that has begun why there is no more.
func (st *stream) breakOff(err error) error {
	data, merr := json.Marshal(problemOf(err))
	if merr != nil {
		return merr
	}
	m := &sse.Message{Type: sse.Type("problem")}
	m.AppendData(string(data))
	return errors.Join(err, st.send(m))
}

// send writes one message within the time that a slow reader is given.
func (st *stream) send(m *sse.Message) error {
	st.written = time.Now()
	if err := st.control.SetWriteDeadline(st.written.Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := st.session.Send(m); err != nil {
		return err
	}
	return st.session.Flush()
}

func eventID(c events.Cursor) sse.EventID {
	id, err := sse.NewID(string(c))
	if err != nil {
		return sse.EventID{}
	}
	return id
}

// presentEvent makes a CloudEvent of an event.
func presentEvent(e *events.Event, node string, caller *lock.Caller) *wire.Event {
	w := &wire.Event{
		SpecVersion:     "1.0",
		ID:              string(e.Cursor),
		Source:          node,
		Type:            wire.EventType + string(e.Type),
		Time:            wire.Time{Time: e.Time},
		DataContentType: "application/json",
		DataSchema:      wire.EventSchema,
		Data:            wire.EventData{Reason: e.Reason, By: e.By},
	}
	if e.Lock.ID == "" { // a gap, or something that happened to the gateway
		return w
	}
	l := present(&e.Lock, caller)
	w.Subject, w.TraceParent = l.ID, e.Lock.Trace.Parent
	w.Data.Lock, w.Data.After = &l, l.State
	if e.Lock.Deadlock != nil {
		d := presentDeadlock(e.Lock.Deadlock)
		w.Data.Deadlock = &d
	}
	if e.Before != 0 {
		w.Data.Before = e.Before.String()
	}
	return w
}

// eventFilter selects events; empty fields select all. A gap passes always.
type eventFilter struct {
	types     []events.Type
	namespace lock.Namespace
	resource  lock.Key
	owner     lock.Owner
}

func (p *params) eventFilter() eventFilter {
	f := eventFilter{
		namespace: lock.Namespace(p.text("namespace")),
		resource:  lock.Key(p.text("resource")),
		owner:     lock.Owner(p.text("owner")),
	}
	for _, t := range p.each("type") {
		name := events.Type(strings.TrimPrefix(t, wire.EventType))
		if !known(name) {
			p.fault("type", strconv.Quote(t)+" is no type of event such as "+string(events.LockAcquired))
		}
		f.types = append(f.types, name)
	}
	return f
}

// known tells the types of events from misspelt ones, which would never come.
func known(t events.Type) bool {
	switch t {
	case events.LockAcquired, events.LockRenewed, events.LockReleased, events.LockExpired, events.LockRevoked,
		events.LockOffered, events.LockDenied, events.LockFailed, events.LockTimeout, events.LockReprioritized,
		events.QueuedRequest, events.QueueTimeout, events.Gap, events.DeadlockDetected, events.DeadlockResolved,
		events.PolicyReloaded, events.PolicyReloadFailed, events.ComponentChanged:
		return true
	}
	return false
}

func (f *eventFilter) passes(e *events.Event) bool {
	if e.Type == events.Gap {
		return true
	}
	if len(f.types) > 0 && !slices.Contains(f.types, e.Type) {
		return false
	}
	if f.resource != "" {
		if _, wanted := e.Lock.Mode(f.resource); !wanted {
			return false
		}
	}
	return (f.namespace == "" || f.namespace == e.Namespace) && (f.owner == "" || f.owner == e.Lock.Owner)
}
