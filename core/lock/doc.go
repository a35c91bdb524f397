// Package lock holds the words of the lock table: resources, owners, requests,
// decisions, the transitions of a request and the errors they answer with.
//
// Every other package speaks in these types; this one imports the standard
// library only. A [Step] names one atomic transition, a store turns it into an
// [Outcome]. The package has no state, starts nothing and reads no clock.
//
// # The life of a request
//
//	            acquire                 offer             confirm
//	(policy) ──────────► queued ────────────────► offered ────────► held
//	   │                  │  │ ▲                   │  │              │ │ │
//	   │                  │  │ └──── first lapse ──┘  │ second lapse │ │ │
//	   ▼                  ▼  ▼                        ▼              ▼ ▼ ▼
//	 denied        cancelled or timed_out         out          released, expired, revoked
//
// A request that meets nobody goes from acquire to held in one step. One id
// names the request and the lock through the whole life.
//
// # Failure
//
// [InvalidError] lists every fault of a request at once. The other errors in
// errors.go are what a transition may answer; the state is then unchanged.
package lock
