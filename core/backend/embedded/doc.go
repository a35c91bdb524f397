// Package embedded is the lock table of one process: a state machine in memory
// with a journal in one bbolt file, or with none.
//
// Callers do transitions with [Store.Apply] and ask with the other methods. It
// decides nothing about who may lock what: policy has been asked before.
//
// # Guarantees
//
// One goroutine owns the table. It takes the calls that have arrived, does all
// their transitions in order, commits them once, and only then answers, so one
// write to disk pays for many callers and nobody sees what could still be lost.
// Every transition commits together with its event.
//
// Time is the store's: milliseconds, never backwards, also across restarts.
// Tokens only grow, also across restarts and whatever is forgotten.
//
// Enqueueing, granting and leaving cost O(log n) in the length of a queue.
//
// # Life
//
//	Open ──► calls wait ──► Run ──► calls are answered ──► ctx ends ──► calls fail
//
// [Open] reads the file and starts nothing. [Store.Run] does everything until its
// ctx ends, and closes the file. One process at a time can have a file open.
//
// # Failure
//
// A commit that does not succeed, as on a full disk, answers all its callers
// [lock.UnavailableError], and the table goes back to what the file holds. The
// next commit may succeed. A file that is damaged, of another version or of
// another program is refused at Open, never replaced by an empty one.
//
// # Testing
//
// The conformance suite is core/backend/storetest. Without a file nothing blocks
// but channels and timers, so the store runs in a testing/synctest bubble.
package embedded
