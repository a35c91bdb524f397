package lock

import (
	"encoding/json"
	"time"
)

// Lock is one request through its whole life. A value handed out is a snapshot:
// it never changes, and its slices, maps and raw JSON must not be changed.
// Times are the store's, in UTC, to the millisecond; zero means never.
type Lock struct {
	ID        ID         `json:"id"`
	State     State      `json:"state"`
	Namespace Namespace  `json:"namespace"`
	Resources []Resource `json:"resources"` // ascending by key, no duplicates
	Owner     Owner      `json:"owner"`
	Subject   string     `json:"subject"`          // id of the subject that asked
	Actor     string     `json:"actor,omitempty"`  // whom it asked for, when that is somebody else
	Priority  Priority   `json:"priority"`         // as policy decided
	Value     int        `json:"value"`            // priority value, 0 to 1000
	Token     Token      `json:"token,omitempty"`  // 0 until held
	Reason    string     `json:"reason,omitempty"` // why it ended, when that was not its own caller's will

	TTL    time.Duration `json:"ttl"`     // lease length; 0 until released
	MaxTTL time.Duration `json:"max_ttl"` // cap for renewals, stored at the grant; 0 none
	Wait   time.Duration `json:"wait"`    // how long it may stay queued; 0 never queues

	RequestedAt time.Time `json:"requested_at"`
	WaitUntil   time.Time `json:"wait_until,omitzero"`
	OfferUntil  time.Time `json:"offer_until,omitzero"`
	AcquiredAt  time.Time `json:"acquired_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // end of the lease
	EndedAt     time.Time `json:"ended_at,omitzero"`

	Attendance

	Lapses      int  `json:"lapses,omitempty"`      // offers that nobody confirmed
	Preemptible bool `json:"preemptible,omitempty"` // policy allows that a deadlock takes it

	DeadlockAction string    `json:"deadlock_action,omitempty"` // what is done when this wait gives way; "" is [CancelWait]
	RetryOf        ID        `json:"retry_of,omitempty"`        // the victim that this request repeats
	Losses         int       `json:"losses,omitempty"`          // victims along the chain of RetryOf
	Lead           int64     `json:"lead,omitempty"`            // milliseconds by which a deadlock moved it ahead in its queues
	Deadlock       *Deadlock `json:"deadlock,omitempty"`        // that it gave way in

	Decision Summary           `json:"decision"`
	Labels   map[string]string `json:"labels,omitempty"`
	Context  json.RawMessage   `json:"context,omitempty"`
	Trace    Trace             `json:"trace,omitzero"`

	// Queue standing, worked out when the snapshot was taken; zero unless waiting.
	Position       int       `json:"-"` // 1 is next; the largest over its queues
	BlockedBy      []Blocker `json:"-"` // holders first, then requests ahead; at most MaxBlockers
	BlockedByTotal int       `json:"-"`
}

// MaxBlockers bounds [Lock.BlockedBy].
const MaxBlockers = 20

// Attendance is how the caller of a waiting request can be reached.
type Attendance struct {
	Attended   bool      `json:"attended,omitempty"`   // a call is open: offers last OfferTimeout
	AliveUntil time.Time `json:"alive_until,omitzero"` // the place is given up then; zero: kept until WaitUntil
}

// Blocker is one lock or request that another waits for.
type Blocker struct {
	ID       ID
	Owner    Owner
	Resource Key
	State    State
	Priority Priority
	Since    time.Time
}

// Trace is the W3C context of the request that made an entry.
type Trace struct {
	Parent string `json:"parent,omitempty"` // traceparent
	State  string `json:"state,omitempty"`  // tracestate
}

// Deadline is when the present state ends by itself, or zero.
func (l *Lock) Deadline() time.Time {
	switch l.State {
	case Held:
		return l.ExpiresAt
	case Offered:
		return l.OfferUntil
	case Queued:
		if !l.AliveUntil.IsZero() && l.AliveUntil.Before(l.WaitUntil) {
			return l.AliveUntil
		}
		return l.WaitUntil
	case Released, Expired, Revoked, Cancelled, TimedOut, Victim, Denied:
		return time.Time{}
	}
	return time.Time{}
}

// Mode answers how the lock wants a key, and whether it wants it at all.
func (l *Lock) Mode(key Key) (Mode, bool) {
	for _, r := range l.Resources {
		if r.Key == key {
			return r.Mode, true
		}
	}
	return Exclusive, false
}

// Covers reports whether whoever holds l has all of want in at least the modes
// asked for.
func (l *Lock) Covers(want []Resource) bool {
	for _, w := range want {
		m, ok := l.Mode(w.Key)
		if !ok || !m.Covers(w.Mode) {
			return false
		}
	}
	return true
}
