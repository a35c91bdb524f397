package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockgate/lockgate/core/lock"
)

// The codes that scripts answer.
const (
	codeOK           = "ok"
	codeHeld         = "held"
	codeQueued       = "queued"
	codeRepeat       = "repeat"
	codeMissing      = "missing"
	codeUnregistered = "unregistered"
	codeConflict     = "conflict"
	codeForgotten    = "forgotten"
	codeKnown        = "known"
	codeOther        = "other"
	codeLocked       = "locked"
	codeFull         = "full"
	codeStale        = "stale"
	codeNotYours     = "not_yours"
	codeNotOffered   = "not_offered"
	codeNotQueued    = "not_queued"
	codeEnded        = "ended"
	codeRetired      = "retired"
	codeMoving       = "moving"
)

// settle turns what the calls of a step answered into its outcome.
func (s *Store) settle(ctx context.Context, t *task) lock.Outcome {
	if t.err != nil {
		return lock.Outcome{Err: t.err}
	}
	for _, c := range t.calls {
		if c.err != nil {
			return lock.Outcome{Err: unavailable(fmt.Errorf("%s in Redis: %w", t.step.Name(), c.err))}
		}
	}
	if t.short() {
		return lock.Outcome{Err: unavailable(fmt.Errorf("%s in Redis: %w", t.step.Name(), errShort))}
	}
	out, err := s.outcome(t)
	if err != nil {
		s.logger.ErrorContext(ctx, "redis holds what this version cannot read", "step", t.step.Name(), "error", err)
		return lock.Outcome{Err: err}
	}
	return out
}

func (s *Store) outcome(t *task) (lock.Outcome, error) {
	switch st := t.step.(type) {
	case *lock.Acquire:
		return acquired(t.calls[0], &st.Lock, st.MaxQueue)
	case *lock.Announce:
		return lock.Outcome{}, nil
	case *lock.Deny:
		if c := t.calls[0]; c.code == codeKnown {
			return lock.Outcome{Lock: c.reply.view(c.ns)}, c.reply.fault
		}
		l := st.Lock
		err := decodeState(t.calls[0].reply.text(), &l)
		return lock.Outcome{Lock: l}, err
	case *lock.Attend:
		return lock.Outcome{}, nil
	case *lock.EndOwner:
		return endedAll(t.calls)
	}
	for _, c := range t.calls {
		if c.code != codeMissing {
			return stood(c)
		}
	}
	return lock.Outcome{Err: lock.ErrNotFound}, nil
}

// acquired reads what acquire.lua answered about a new request l.
func acquired(c *call, want *lock.Lock, limit int) (lock.Outcome, error) {
	l, r := *want, c.reply
	l.Position, l.BlockedBy, l.BlockedByTotal, l.Reason = 0, nil, 0, ""
	switch c.code {
	case codeHeld:
		err := decodeState(r.text(), &l)
		return lock.Outcome{Lock: l}, errors.Join(err, r.fault)
	case codeQueued:
		err := decodeState(r.text(), &l)
		l.Position = int(r.number())
		return lock.Outcome{Lock: l}, errors.Join(err, r.fault)
	case codeRepeat:
		known := r.standing(c.ns)
		return lock.Outcome{Lock: known, Repeat: true}, r.fault
	case codeConflict:
		return lock.Outcome{Err: lock.ErrIdempotencyConflict}, nil
	case codeForgotten:
		return lock.Outcome{Err: lock.ErrForgotten}, nil
	case codeOther:
		return lock.Outcome{Err: lock.Invalid("/id", "names another request")}, nil
	case codeLocked:
		err := decodeState(r.text(), &l)
		r.blockers(&l)
		return lock.Outcome{Err: &lock.ConflictError{Lock: l}}, errors.Join(err, r.fault)
	case codeFull:
		return lock.Outcome{Err: &lock.QueueFullError{Resource: lock.Key(r.text()), Limit: limit}}, r.fault
	}
	return lock.Outcome{}, fmt.Errorf("script acquire answered %q", c.code)
}

// stood reads what a script answered about a known request.
func stood(c *call) (lock.Outcome, error) {
	out := lock.Outcome{Lock: c.reply.standing(c.ns)}
	switch c.code {
	case codeOK:
	case codeRepeat:
		out.Repeat = true
	case codeStale:
		out.Err = lock.ErrStaleToken
	case codeNotYours:
		out.Err = lock.ErrNotYours
	case codeNotOffered:
		out.Err = lock.ErrNotOffered
	case codeNotQueued:
		out.Err = lock.ErrNotQueued
	case codeEnded:
		out.Err = &lock.EndedError{Lock: out.Lock}
	default:
		return out, fmt.Errorf("script %s answered %q", c.script.name, c.code)
	}
	return out, c.reply.fault
}

func endedAll(calls []*call) (lock.Outcome, error) {
	out := lock.Outcome{Locks: []lock.Lock{}}
	for _, c := range calls {
		views := c.reply.array()
		for views.more() {
			out.Locks = append(out.Locks, views.view(c.ns))
		}
		if views.fault != nil {
			return out, views.fault
		}
	}
	slices.SortFunc(out.Locks, func(a, b lock.Lock) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, nil
}

// fillStanding reads whom the newly queued wait for. It is a read of its own so
// that enqueueing costs the same at every depth. Who moved on meanwhile waits
// for nobody any more.
func (s *Store) fillStanding(ctx context.Context, batch []lock.Step, outcomes []lock.Outcome) {
	var calls []*call
	var waiting []*lock.Lock
	for i := range outcomes {
		l := &outcomes[i].Lock
		if a, ok := batch[i].(*lock.Acquire); ok && a.NoStanding {
			continue
		}
		if l.State == lock.Queued && l.BlockedBy == nil && outcomes[i].Err == nil {
			calls = append(calls, s.call(s.scripts[getLua], l.Namespace, string(l.ID)))
			waiting = append(waiting, l)
		}
	}
	s.send(ctx, calls)
	for i, c := range calls {
		if c.err != nil || c.code != codeOK {
			continue
		}
		if now := c.reply.standing(c.ns); c.reply.fault == nil && now.State == lock.Queued {
			waiting[i].BlockedBy, waiting[i].BlockedByTotal = now.BlockedBy, now.BlockedByTotal
		}
	}
}
