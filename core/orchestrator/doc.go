// Package orchestrator coordinates one gateway: it asks policy, puts every
// transition through a bounded admission queue in front of a worker pool,
// parks the calls that wait, and confirms what they are offered.
//
//	door ─► policy ─► admission ─► workers ─► store ─► outcome
//	          ▲        (bounded,    (batches,   │
//	          │         by urgency)  breaker)   └─► event log ─► feed ─► waiters
//	          └── asked again at the grant ◄───────────────────────────────┘
//
// Doors call the methods of [Orchestrator]; it keeps no state that a restart
// could lose: everything is in the store, and a caller whose gateway died
// repeats its call at another one.
//
// # Guarantees
//
// No transition happens without a decision that allows it, but for the release
// of a lock by the subject that holds it. No outcome is answered before the
// store has made it durable. A lock is confirmed only while somebody waits for
// it. Endings (release, renew, confirm) are drained before acquires, critical
// acquires before low ones.
//
// # Life
//
// New builds; Run starts the workers and the feed and blocks until its context
// ends. Drain answers the parked calls, which keep their places; what is under
// way finishes. Calls made while Run is not running wait for it or for their
// context.
//
// # Failure
//
// The errors are those of core/lock. *lock.UnavailableError says that the store
// did not answer and a repeat will find out what happened; *lock.BusyError that
// nothing was tried.
//
// # Testing
//
// The tests run against the embedded store and a policy that is a few lines of
// Go.
package orchestrator
