// Package events holds what happens in the lock table and around it as events:
// their names, their shape, and where a reader stands in the log.
//
// Every transition of the lock table appends its event in the same atomic step,
// so the log is never ahead of the table and never behind it. A reader pulls
// from the log at its own pace with the cursor of the last event it saw.
//
// # Guarantees
//
// Events of one namespace come in the order of their transitions. A reader that
// asks for events which are no longer kept is given one event of type [Gap]
// first, never silence.
package events

import (
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Type names what happened; it is part of the API's contract.
type Type string

// The events of the lock table.
const (
	LockAcquired      Type = "lock_acquired"      // held, at once or by a confirmed offer
	LockRenewed       Type = "lock_renewed"       // the lease started again
	LockReleased      Type = "lock_released"      // by its holder, or with everything of its owner
	LockExpired       Type = "lock_expired"       // the lease ran out
	LockRevoked       Type = "lock_revoked"       // taken away by force
	LockOffered       Type = "lock_offered"       // a waiter's turn has come
	LockDenied        Type = "lock_denied"        // refused by policy, at once or at the grant
	LockFailed        Type = "lock_failed"        // ended without a lock: a try-lock that met somebody, or cancelled
	LockTimeout       Type = "lock_timeout"       // offers lapsed twice, nobody confirmed
	LockReprioritized Type = "lock_reprioritized" // moved in its queues
	QueuedRequest     Type = "queued_request"     // entered its queues, or came back after a lapsed offer
	QueueTimeout      Type = "queue_timeout"      // its wait ran out, or its caller was not heard of
	DeadlockDetected  Type = "deadlock_detected"  // a ring of owners that wait for each other; Lock is the first that gives way or moves
	DeadlockResolved  Type = "deadlock_resolved"  // what was done about it is done
	Gap               Type = "gap"                // events between the reader's cursor and this one are no longer kept
)

// The events of the gateway itself; their Lock is empty and Reason says what
// happened.
const (
	PolicyReloaded     Type = "policy_reloaded"
	PolicyReloadFailed Type = "policy_reload_failed" // the last good policies stay in force
	ComponentChanged   Type = "component_changed"
)

// Cursor is a place in the log. Cursors are opaque; the empty one stands before
// everything that is kept.
type Cursor string

// Event is one transition, or a gap. Values are snapshots and must not be
// changed.
type Event struct {
	Cursor    Cursor
	Type      Type
	Time      time.Time
	Namespace lock.Namespace
	Lock      lock.Lock  // after the transition; without queue standing
	Before    lock.State // 0: it was not in the table
	Reason    string     // why, where the type alone does not say it
	By        string     // who did it, when that was not the lock's subject
}
