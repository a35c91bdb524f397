package lock

import (
	"fmt"
	"time"
)

// MaxRecorded bounds the lists of a [Deadlock] that is kept.
const MaxRecorded = 64

// MaxWaits is how many declared waits an owner may have in a namespace.
const MaxWaits = 100

// MaxDeclared is the longest a declared wait may stand, and DefaultDeclared how
// long it stands when nobody says.
const (
	MaxDeclared     = 24 * time.Hour
	DefaultDeclared = time.Hour
)

// Resolution says what was done about a deadlock.
type Resolution string

// The resolutions.
const (
	Reordered Resolution = "reordered" // requests moved ahead of others, nobody lost anything
	GaveWay   Resolution = "victim"    // waits ended, and locks where policy allowed it
	Refused   Resolution = "refused"   // the request that closed it was refused, by deadlock.mode prevent
	Withdrawn Resolution = "withdrawn" // a declared wait was taken back
)

// Deadlock is the record of one deadlock, kept with its victims and with the
// newest others. Its lists hold at most [MaxRecorded] items.
type Deadlock struct {
	ID         string      `json:"id"`
	Namespace  Namespace   `json:"namespace"` // of the step that resolved it
	Size       int         `json:"size"`      // owners in it
	Owners     []Owner     `json:"owners"`
	Cycle      Cycle       `json:"cycle"` // its shortest ring, or the first victim's
	Resolution Resolution  `json:"resolution"`
	Policy     string      `json:"policy,omitempty"` // that chose the victims
	Fallback   string      `json:"fallback,omitempty"`
	Victims    []Owner     `json:"victims,omitempty"`
	Reasons    []string    `json:"reasons,omitempty"` // why, one a victim
	Moved      []ID        `json:"moved,omitempty"`
	Candidates []Candidate `json:"candidates,omitempty"`
	Measures   Measures    `json:"measures,omitzero"`
	Swept      bool        `json:"swept,omitempty"` // found by the sweep, not when it formed
	FormedAt   time.Time   `json:"formed_at"`
	ResolvedAt time.Time   `json:"resolved_at"` // filled in by the store
}

// Candidate is an owner that could have given way, and what its loss would have
// cost.
type Candidate struct {
	Owner      Owner         `json:"owner"`
	Priority   Priority      `json:"priority"`
	Locks      int           `json:"locks"`
	HoldTime   time.Duration `json:"hold_time"`
	WaitTime   time.Duration `json:"wait_time"`
	Losses     int           `json:"losses"`
	Frees      int           `json:"frees"`
	Blocked    int           `json:"blocked"`
	Centrality float64       `json:"centrality"`
	Immune     bool          `json:"immune,omitempty"`
	Cost       int64         `json:"cost"`
}

// Measures describe the shape of one deadlock.
type Measures struct {
	Edges       int     `json:"edges"`
	LongestPath int     `json:"longest_path"`
	Clustering  float64 `json:"clustering"`
}

// Abandon is how one owner gives way.
type Abandon struct {
	Owner    Owner
	Requests []ID  // the waits to end
	Cycle    Cycle // must stand
	Take     []Taken
}

// Taken is a held lock that somebody in a deadlock waits for.
type Taken struct {
	ID    ID
	Token Token
}

// Move gives a queued request another place in all its queues.
type Move struct {
	ID    ID
	Score int64
}

// Wait is a declared wait: Owner waits for For outside of locks, until it is
// withdrawn or Until has passed.
type Wait struct {
	ID        ID        `json:"id"`
	Namespace Namespace `json:"namespace"`
	Owner     Owner     `json:"owner"`
	For       Owner     `json:"for"`
	Subject   string    `json:"subject"` // who declared it
	Declared  time.Time `json:"declared"`
	Until     time.Time `json:"until"`
}

// Abort ends the waits of a deadlock's victims as [Victim], all of them or none.
// Every edge of every victim's cycle that lies in Namespace must stand as it was
// read: the declared wait, or the request queued and its blocker there with the
// same owner and token, holding for a hard edge and waiting ahead for a soft one.
// A store that sees other namespaces in the same moment checks their edges too.
// [ErrBroken] when one does not stand.
//
// Requests that are not queued any more are passed over. What a victim holds is
// revoked when one of its ended waits has [RevokeLocks] and the lock is
// preemptible and still has its token. Deadlock goes with every ended request;
// the step appends deadlock_detected, the event of each ending, and
// deadlock_resolved. Outcome.Locks lists what it ended. Handed over again after
// it was done it answers Outcome.Repeat.
type Abort struct {
	Namespace Namespace
	Deadlock  *Deadlock
	Victims   []Abandon
}

// Reorder moves queued requests in their queues, if Cycle stands as in [Abort]
// and all of them are still queued: [ErrBroken] else. Whoever can be offered
// something by that is. Outcome.SearchFrom are the owners of the moved requests.
type Reorder struct {
	Namespace Namespace
	Deadlock  *Deadlock
	Cycle     Cycle
	Moves     []Move
}

// Declare lets an owner wait for another outside of locks. The store fills
// Declared and Until = Declared + TTL. A known id answers Outcome.Repeat. More
// than [MaxWaits] of one owner are *[InvalidError].
type Declare struct {
	Wait Wait
	TTL  time.Duration
}

// Withdraw takes a declared wait back: [ErrNotFound], and [ErrNotYours] when
// Subject is set and another subject declared it. When Cycle is set it must
// stand as in [Abort]: [ErrBroken] else. Deadlock, when set, is recorded.
type Withdraw struct {
	ID       ID
	Subject  string
	Cycle    Cycle
	Deadlock *Deadlock
}

// Name implements Step.
func (*Abort) Name() string { return "abort" }

// Name implements Step.
func (*Reorder) Name() string { return "reorder" }

// Name implements Step.
func (*Declare) Name() string { return "declare" }

// Name implements Step.
func (*Withdraw) Name() string { return "withdraw" }

// GraphQuery asks for the part of the lock table that a search for deadlocks
// needs.
type GraphQuery struct {
	Namespace Namespace // "": all
	From      []Owner   // whom to begin at; nil: everybody who waits
}

// The values of deadlock_action.
const (
	CancelWait  = "cancel_wait" // a victim's wait ends; what it holds stays
	RevokeLocks = "revoke"      // its preemptible locks in the deadlock are taken too
)

// DeadlockError is a request, or a declared wait, that had to give way.
type DeadlockError struct {
	LockID ID     // what to name in retry_of; "" for a declared wait
	Cycle  Cycle  // who waits for whom
	Policy string // that chose the victim
}

func (e *DeadlockError) Error() string {
	if len(e.Cycle) == 0 {
		return "chosen to give way in a deadlock"
	}
	return fmt.Sprintf("chosen to give way in a deadlock: %s", e.Cycle)
}

// FloodError refuses an owner that closed too many deadlocks within a minute.
type FloodError struct {
	Owner      Owner
	RetryAfter time.Duration
}

func (e *FloodError) Error() string {
	return fmt.Sprintf("%s closed too many deadlocks within a minute: acquire resources in one request, or always in the same order", e.Owner)
}
