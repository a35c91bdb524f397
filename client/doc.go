// Package client speaks the HTTP API of a Lockgate gateway.
//
// [New] makes a [Client]; its methods are the routes of the API, in the types of
// package wire. [Client.Hold] keeps a lock for as long as the caller needs it,
// and ends a context when the lock is lost. The package decides nothing: who
// may lock what, for how long and in which order is the gateway's business.
//
// # Guarantees
//
// [Client.Acquire] always sends an idempotency key, and every other call may be
// repeated without harm, so a call that met a broken connection, 429 or 503 is
// repeated after a jittered pause, or the pause that the gateway asked for,
// until [Config.RetryFor] has passed. A repeat gets the same lock, the same
// place in the queue and the same token, also from another gateway.
//
// The context of a [Hold] ends no later than the lease as this machine's clock
// sees it. It cannot stop work that ignores it: whatever guards the resource
// should check the fencing token, with [Client.Verify] or by comparing tokens.
//
// # Life
//
// New starts nothing. A Client is safe for concurrent use and needs no closing.
//
//	Hold ──► renewing ──────► Unlock ──► released
//	            │
//	            ├─ a renewal was refused ─────────────┐
//	            └─ the lease ended without a renewal ─┴─► lost: the context ends
//
// Every successful Hold owns one goroutine until [Hold.Unlock].
//
// # Failure
//
// A gateway that refuses answers with a [*wire.Problem], found by errors.As; the
// sentinels of this package tell the kinds apart with errors.Is. [ErrUnreachable]
// means that no gateway answered: what was asked for may have happened, and a
// repeat with the same idempotency key finds out.
//
// # Testing
//
// What depends on time runs in a testing/synctest bubble against a lock table in
// memory; the examples run against a gateway in process.
package client
