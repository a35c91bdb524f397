package embedded

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// stamp is a time of the store: milliseconds since 1970, 0 is never.
type stamp int64

func stampOf(t time.Time) stamp {
	if t.IsZero() {
		return 0
	}
	return stamp(t.UnixMilli())
}

func (s stamp) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(s)).UTC()
}

// plus is the end of d, rounded up so that no positive length is cut to nothing.
func (s stamp) plus(d time.Duration) stamp {
	return s + stamp((d+time.Millisecond-1)/time.Millisecond)
}

// entry is one request, packed into half of what a [lock.Lock] takes. Only the
// table changes it. What its pointers and slices lead to never changes, so that
// snapshots may share it.
type entry struct {
	id        lock.ID
	ns        *namespace
	owner     lock.Owner
	subject   string
	resources []lock.Resource
	*details

	lead  int64 // milliseconds by which a deadlock moved it ahead
	score int64 // place in every queue it stands in
	due   stamp // key in the table's agenda; 0 is not in it
	token lock.Token

	ttl, maxTTL, wait                                            time.Duration
	requested, waitUntil, offerUntil, acquired, expires, endedAt stamp
	aliveUntil                                                   stamp

	value    int16
	lapses   int16
	losses   int16
	state    lock.State
	priority lock.Priority
	attended bool

	preemptible bool
}

// details is the part of a request that no transition looks at.
type details struct {
	actor    string
	reason   string
	decision lock.Summary
	labels   map[string]string
	context  []byte
	trace    lock.Trace

	retryOf        lock.ID
	deadlockAction string
	deadlock       *lock.Deadlock
}

// newEntry packs a request, sharing nothing that the caller could still change.
func newEntry(ns *namespace, l *lock.Lock) *entry {
	return &entry{
		id: l.ID, ns: ns, owner: l.Owner, subject: l.Subject, resources: slices.Clone(l.Resources),
		details: &details{
			actor: l.Actor, reason: l.Reason, decision: cloneSummary(l.Decision),
			labels: maps.Clone(l.Labels), context: slices.Clone(l.Context), trace: l.Trace,
			retryOf: l.RetryOf, deadlockAction: l.DeadlockAction, deadlock: l.Deadlock,
		},
		token: l.Token, ttl: l.TTL, maxTTL: l.MaxTTL, wait: l.Wait,
		requested: stampOf(l.RequestedAt), waitUntil: stampOf(l.WaitUntil), offerUntil: stampOf(l.OfferUntil),
		acquired: stampOf(l.AcquiredAt), expires: stampOf(l.ExpiresAt), endedAt: stampOf(l.EndedAt),
		aliveUntil: stampOf(l.AliveUntil), attended: l.Attended, preemptible: l.Preemptible,
		value: value(l.Value), lapses: int16(min(max(l.Lapses, 0), maxLapses)),
		losses: int16(min(max(l.Losses, 0), maxLosses)), lead: l.Lead,
		state: l.State, priority: l.Priority,
	}
}

// maxLosses bounds how many losses are counted.
const maxLosses = 1000

// value packs a priority value, which is 0 to lock.MaxValue.
func value(v int) int16 { return int16(min(max(v, 0), lock.MaxValue)) }

func cloneSummary(s lock.Summary) lock.Summary {
	s.Reasons, s.Warnings = slices.Clone(s.Reasons), slices.Clone(s.Warnings)
	return s
}

// snapshot is the request as it is, without its standing in queues.
func (e *entry) snapshot() lock.Lock {
	return lock.Lock{
		ID: e.id, State: e.state, Namespace: e.ns.name, Resources: e.resources, Owner: e.owner,
		Subject: e.subject, Actor: e.actor, Priority: e.priority, Value: int(e.value), Token: e.token, Reason: e.reason,
		TTL: e.ttl, MaxTTL: e.maxTTL, Wait: e.wait,
		RequestedAt: e.requested.time(), WaitUntil: e.waitUntil.time(), OfferUntil: e.offerUntil.time(),
		AcquiredAt: e.acquired.time(), ExpiresAt: e.expires.time(), EndedAt: e.endedAt.time(),
		Attendance: lock.Attendance{Attended: e.attended, AliveUntil: e.aliveUntil.time()},
		Lapses:     int(e.lapses), Preemptible: e.preemptible, Decision: e.decision, Labels: e.labels, Context: e.context, Trace: e.trace,
		DeadlockAction: e.deadlockAction, RetryOf: e.retryOf, Losses: int(e.losses), Lead: e.lead, Deadlock: e.deadlock,
	}
}

// mode is how the request wants a key that it names.
func (e *entry) mode(key lock.Key) lock.Mode {
	for _, r := range e.resources {
		if r.Key == key {
			return r.Mode
		}
	}
	return lock.Exclusive
}

// wants reports whether the request names a key.
func (e *entry) wants(key lock.Key) bool {
	return slices.ContainsFunc(e.resources, func(r lock.Resource) bool { return r.Key == key })
}

// covers reports whether who holds e has all of want in at least these modes.
func (e *entry) covers(want []lock.Resource) bool {
	l := lock.Lock{Resources: e.resources}
	return l.Covers(want)
}

// amend gives the request other details; snapshots taken before keep theirs.
func (e *entry) amend(change func(*details)) {
	d := *e.details
	change(&d)
	e.details = &d
}

// deadline is when the present state ends by itself: an ended request is
// forgotten then.
func (e *entry) deadline(rules *lock.Rules) stamp {
	switch e.state {
	case lock.Held:
		return e.expires
	case lock.Offered:
		return e.offerUntil
	case lock.Queued:
		if e.aliveUntil != 0 && e.aliveUntil < e.waitUntil {
			return e.aliveUntil
		}
		return e.waitUntil
	case lock.Released, lock.Expired, lock.Revoked, lock.Cancelled, lock.TimedOut, lock.Victim, lock.Denied:
		return e.endedAt.plus(rules.Ended)
	}
	return e.endedAt
}

func byID(a, b *entry) bool { return a.id < b.id }

func compareID(a, b *entry) int { return strings.Compare(string(a.id), string(b.id)) }

func byScore(a, b *entry) bool {
	if a.score != b.score {
		return a.score < b.score
	}
	return a.id < b.id
}

func byDue(a, b *entry) bool {
	if a.due != b.due {
		return a.due < b.due
	}
	return a.id < b.id
}

func byAge(a, b *entry) bool {
	if a.requested != b.requested {
		return a.requested < b.requested
	}
	return a.id < b.id
}
