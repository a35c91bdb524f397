package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// trace runs one file of testdata. Every command names a request, such as "a1",
// whose owner is "a": the letters before the first digit. It prints the outcome
// and then the events that it caused.
//
//	acquire a1 x y~ [value=N] [try] [max=N] [key=K] [hash=H] [poll]
//	confirm | refuse | renew | verify | release | revoke a1 [stale]
//	reprioritize a1 value=N
//	end-owner a
//	queue x                 holders | waiters
//	get a1
type trace struct {
	*stage

	tokens map[string]lock.Token
}

func newTrace(s *stage) *trace { return &trace{stage: s, tokens: map[string]lock.Token{}} }

func (r *trace) do(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var names []string
	options := map[string]string{}
	for _, a := range d.CmdArgs {
		if len(a.Vals) == 0 {
			names = append(names, a.Key)
		} else {
			options[a.Key] = a.Vals[0]
		}
	}
	require.NotEmpty(t, names, "%s: %s names nothing", d.Pos, d.Cmd)
	if d.Cmd == "queue" {
		return r.queue(lock.Key(names[0]))
	}
	if d.Cmd == "get" {
		l := r.get(names[0])
		return standing(&l) + "\n"
	}
	out := r.apply(r.step(d.Cmd, names, options))
	if out.Lock.Token != 0 {
		require.GreaterOrEqual(t, out.Lock.Token, r.tokens[names[0]])
		r.tokens[names[0]] = out.Lock.Token
	}
	var text strings.Builder
	text.WriteString(outcome(&out) + "\n")
	for _, e := range r.fresh() {
		text.WriteString("  " + line(&e) + "\n")
	}
	return text.String()
}

func (r *trace) step(cmd string, names []string, options map[string]string) lock.Step { //nolint:ireturn // a step is any of those of core/lock
	id, token := idOf(names[0]), r.tokens[names[0]]
	if len(names) > 1 && names[1] == "stale" {
		token--
	}
	switch cmd {
	case "acquire":
		return r.acquire(names, options)
	case "confirm":
		return &lock.Confirm{ID: id}
	case "refuse":
		return &lock.Refuse{ID: id, Decision: lock.Summary{ID: "refused"}}
	case "renew":
		return &lock.Renew{ID: id, Token: token, TTL: -1}
	case "verify":
		return &lock.Verify{ID: id, Token: token}
	case "release":
		return &lock.Release{ID: id, Token: token}
	case "revoke":
		return &lock.Revoke{ID: id, By: "admin", Reason: "by force"}
	case "reprioritize":
		return &lock.Reprioritize{ID: id, Priority: lock.High, Value: r.number(options["value"])}
	case "end-owner":
		return &lock.EndOwner{Namespace: "test", Owner: lock.Owner(names[0])}
	}
	require.Fail(r.t, "unknown command", "%q", cmd)
	return nil
}

func (r *trace) acquire(names []string, options map[string]string) *lock.Acquire {
	a := ask(names[0], time.Hour)
	a.Lock.Owner = lock.Owner(strings.TrimRight(names[0], "0123456789"))
	a.Attend.Attended = true
	var keys []string
	for _, n := range names[1:] {
		switch n {
		case "try":
			a.Lock.Wait = 0
		case "poll":
			a.Attend.Attended = false
		default:
			keys = append(keys, n)
		}
	}
	a.Lock.Resources = resourcesOf(keys)
	if v, ok := options["value"]; ok {
		a.Lock.Value = r.number(v)
	}
	if v, ok := options["max"]; ok {
		a.MaxQueue = r.number(v)
	}
	a.Idempotency = lock.Idempotency{Key: options["key"], Hash: options["hash"]}
	return a
}

func (r *trace) number(text string) int {
	n, err := strconv.Atoi(text)
	require.NoError(r.t, err)
	return n
}

func (r *trace) queue(key lock.Key) string {
	page, err := r.store.Queues(r.t.Context(), lock.QueueQuery{Namespace: "test", Resource: key, Limit: 1, Depth: 100})
	require.NoError(r.t, err)
	if len(page.Queues) == 0 {
		return "nobody\n"
	}
	q := page.Queues[0]
	require.Len(r.t, q.Waiters, q.Length)
	var holders, waiters []string
	for _, l := range q.Holders {
		holders = append(holders, nameOf(l.ID)+" "+l.State.String())
	}
	for _, l := range q.Waiters {
		waiters = append(waiters, fmt.Sprintf("%s %d", nameOf(l.ID), l.Position))
	}
	return names(holders) + " | " + names(waiters) + "\n"
}

func names(list []string) string {
	if len(list) == 0 {
		return "nobody"
	}
	return strings.Join(list, ", ")
}

// standing describes a request in a trace.
func standing(l *lock.Lock) string {
	text := fmt.Sprintf("%s %s", nameOf(l.ID), l.State)
	if l.Position > 0 {
		text += fmt.Sprintf(" at %d", l.Position)
	}
	if len(l.BlockedBy) > 0 {
		text += " behind " + blockers(l)
	}
	return text
}

func blockers(l *lock.Lock) string {
	list := make([]string, len(l.BlockedBy))
	for i, b := range l.BlockedBy {
		list[i] = nameOf(b.ID) + "@" + string(b.Resource)
	}
	return fmt.Sprintf("%s (%d)", names(list), l.BlockedByTotal)
}

// outcome describes an outcome in a trace.
func outcome(out *lock.Outcome) string {
	var conflict *lock.ConflictError
	var text string
	switch {
	case errors.As(out.Err, &conflict):
		return "locked by " + blockers(&conflict.Lock)
	case out.Err != nil && out.Lock.ID != "":
		return kindOf(out.Err) + ": " + standing(&out.Lock)
	case out.Err != nil:
		return kindOf(out.Err)
	case out.Locks != nil:
		ended := make([]string, len(out.Locks))
		for i := range out.Locks {
			ended[i] = standing(&out.Locks[i])
		}
		return "ended " + names(ended)
	default:
		text = standing(&out.Lock)
	}
	if out.Repeat {
		text += ", again"
	}
	return text
}

// kindOf names the kind of an error as the port promises it.
func kindOf(err error) string {
	var ended *lock.EndedError
	var full *lock.QueueFullError
	var invalid *lock.InvalidError
	switch {
	case errors.As(err, &ended):
		return "ended"
	case errors.As(err, &full):
		return fmt.Sprintf("queue of %s full at %d", full.Resource, full.Limit)
	case errors.As(err, &invalid):
		return "invalid"
	}
	for _, known := range []error{
		lock.ErrNotFound, lock.ErrStaleToken, lock.ErrIdempotencyConflict, lock.ErrNotQueued, lock.ErrNotOffered, lock.ErrLocked,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return "unknown error: " + err.Error()
}

// types lists the types of events.
func types(list []events.Event) []events.Type {
	all := make([]events.Type, len(list))
	for i := range list {
		all[i] = list[i].Type
	}
	return all
}
