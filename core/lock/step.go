package lock

import (
	"time"
)

// Step is one atomic transition that a store is asked for. The types of this
// file are all there are.
type Step interface { //nolint:iface // stores and the orchestrator speak in it
	// Name is the step's name in metrics and spans.
	Name() string //nolint:iface // the orchestrator's metrics call it
}

// Acquire asks for all resources of Lock at once: held when they are free and
// nobody that conflicts waits ahead, queued when Lock.Wait is not zero, else
// refused with [ConflictError]. The caller fills ID, Namespace, Resources (in
// ascending order of keys), Owner, Subject, Actor, Priority, Value, TTL, MaxTTL,
// Wait, Decision, Labels, Context and Trace; the store does the rest.
//
// A request whose ID is known answers as it stands, with Outcome.Repeat, so the
// step may be handed over again after a fault. An owner that already holds all of it gets that lock, with Outcome.Repeat. A
// known idempotency key gets the request it made, with Outcome.Repeat and its
// attendance renewed, or [ErrIdempotencyConflict], or [ErrForgotten].
//
// RetryOf keeps the time of enqueueing of the request that it names, and counts
// that one's losses and its own. One that is not known, or not of this owner in
// this namespace, or did not end as victim is *[InvalidError] at /retry_of.
//
// Outcome.SearchFrom names the owner when the request can have closed a cycle:
// it is queued, or held at once, and somebody may wait for its owner, which has
// another live request, is the target of a declared wait, or stands ahead of
// somebody in a queue.
type Acquire struct {
	Lock        Lock
	Idempotency Idempotency
	RetryOf     ID  // a request of the same owner that ended as victim
	MaxQueue    int // longest queue to join, in requests; [QueueFullError] beyond
	Attend      Attendee
	NoStanding  bool // nobody reads whom the request waits for: Outcome.Lock.BlockedBy may be left out
}

// Idempotency names a call that may be repeated. The zero value names none.
type Idempotency struct {
	Key  string // unique to the subject
	Hash string // of the body
}

// Attendee says how the caller of a waiting request can be reached from now on.
type Attendee struct {
	Attended bool          // a call is open
	Place    time.Duration // the place is kept that long without another step that says so; 0: until the wait ends
}

// Confirm turns an offer into a held lock and starts its lease. A request that
// is held already answers as it is, with Outcome.Repeat; one that is queued
// (again) or has ended answers [EndedError] or [ErrNotOffered].
type Confirm struct {
	ID       ID
	TTL      time.Duration
	MaxTTL   time.Duration
	Decision Summary
}

// Refuse ends an offered or queued request as denied: policy changed its mind
// at the grant.
type Refuse struct {
	ID       ID
	Decision Summary
}

// Renew starts the lease again if Token is the live one. A negative TTL keeps
// the lease's length. The cap stored at the grant holds.
type Renew struct {
	ID    ID
	Token Token
	TTL   time.Duration
}

// Verify answers whether Token is the live one. It changes nothing.
type Verify struct {
	ID    ID
	Token Token
}

// Release ends a held lock if Token is the live one, and cancels a request that
// still waits. Ended already: the same answer again, with Outcome.Repeat, as
// long as the token is not wrong.
type Release struct {
	ID      ID
	Token   Token
	Subject string // when set, the request must be this subject's: [ErrNotYours], with Outcome.Lock
	By      string // who ends it, when that is not its subject
}

// Revoke ends a held or waiting request whatever its token. One that has ended
// answers as it is, with Outcome.Repeat.
type Revoke struct {
	ID     ID
	By     string
	Reason string
}

// EndOwner releases and cancels everything of one owner, in one namespace or,
// when Namespace is empty, in all. Outcome.Locks lists what it ended, in
// ascending order of ids.
type EndOwner struct {
	Namespace Namespace
	Owner     Owner
	Only      []ID // when not nil, nothing else is ended
	By        string
}

// Reprioritize moves a queued request; its time of enqueueing stays. Its owner
// is in Outcome.SearchFrom.
type Reprioritize struct {
	ID       ID
	Priority Priority
	Value    int
	Decision Summary
	By       string
}

// Attend records how the callers of waiting requests can be reached. Requests
// that do not wait (any more) are passed over. One step may name requests of
// several namespaces.
type Attend struct {
	IDs []ID
	Attendee
	Beat bool // a heartbeat: requests whose call has ended meanwhile are passed over too
}

// Deny appends the event of a refusal and changes nothing. A refused acquire is
// an event of state denied whose request never enters the table; any other
// action names the request it was about, which stays as it is.
type Deny struct {
	Lock   Lock
	Action Action
	By     string // who was refused
}

// Announce appends an event that is about no lock: something that happened to
// the gateway. It belongs to [SystemNamespace].
type Announce struct {
	Event  string // its name, as package events spells it
	Reason string
}

// Name implements Step.
func (*Acquire) Name() string { return "acquire" }

// Name implements Step.
func (*Confirm) Name() string { return "confirm" }

// Name implements Step.
func (*Refuse) Name() string { return "refuse" }

// Name implements Step.
func (*Renew) Name() string { return "renew" }

// Name implements Step.
func (*Verify) Name() string { return "verify" }

// Name implements Step.
func (*Release) Name() string { return "release" }

// Name implements Step.
func (*Revoke) Name() string { return "revoke" }

// Name implements Step.
func (*EndOwner) Name() string { return "end_owner" }

// Name implements Step.
func (*Reprioritize) Name() string { return "reprioritize" }

// Name implements Step.
func (*Attend) Name() string { return "attend" }

// Name implements Step.
func (*Deny) Name() string { return "deny" }

// Name implements Step.
func (*Announce) Name() string { return "announce" }

// Outcome is what one step did. With Err nothing was changed; Lock is then the
// request as it stands when the step named a known one.
type Outcome struct {
	Lock   Lock
	Locks  []Lock // EndOwner and Abort only
	Wait   Wait   // Declare and Withdraw only
	Repeat bool   // the step had been done before

	SearchFrom []Owner   // the step drew an edge that can close a cycle of these owners
	At         time.Time // the store's time, with SearchFrom

	Err error
}
