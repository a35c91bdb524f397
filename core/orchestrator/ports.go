package orchestrator

import (
	"context"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// Store is a lock table and its event log. Implementations are safe for
// concurrent use.
type Store interface {
	Table
	Tangle
	Log
	// Ping answers nil while the store can do transitions.
	Ping(ctx context.Context) error
}

// Table does transitions and answers reads.
//
// Reads see every transition that was answered before they began, and none that
// is not durable.
type Table interface {
	// Apply does each step as one atomic transition, in order, and answers one
	// outcome a step once all of them are durable. An error means that none is
	// known to have happened.
	Apply(ctx context.Context, batch []lock.Step) ([]lock.Outcome, error)
	// Get answers a live or recently ended request, or lock.ErrNotFound.
	Get(ctx context.Context, id lock.ID) (lock.Lock, error)
	List(ctx context.Context, q lock.Query) (lock.Page, error)
	Queues(ctx context.Context, q lock.QueueQuery) (lock.QueuePage, error)
	// Facts answers one entry a resource, in one consistent read.
	Facts(ctx context.Context, q lock.FactsQuery) ([]lock.Facts, error)
	Stats(ctx context.Context) (lock.Stats, error)
}

// Tangle is who waits for whom.
type Tangle interface {
	// Graph answers the part of the table that a search for deadlocks needs: every
	// live request and declared wait of the owners that it begins at, and of all
	// that can be reached from them by waiting. Each namespace is one atomic read.
	Graph(ctx context.Context, q lock.GraphQuery) (deadlock.Snapshot, error)
	// Deadlocks answers the newest deadlocks that were resolved, newest first; at
	// least the last hundred are kept.
	Deadlocks(ctx context.Context) ([]lock.Deadlock, error)
}

// Log is the event log of the lock table.
type Log interface {
	// Events answers at most limit events after a cursor, in order. It waits until
	// there is at least one, or ctx ends. The slice is the caller's.
	Events(ctx context.Context, after events.Cursor, limit int) ([]events.Event, error)
	// Tip is the cursor of the newest event.
	Tip(ctx context.Context) (events.Cursor, error)
}

// Policy decides.
type Policy interface {
	// Decide answers one decision for all resources of a question together. A
	// refusal is a decision, not an error; *lock.PolicyError means that there is
	// none, and the call must be refused.
	Decide(ctx context.Context, q *lock.Question) (lock.Decision, error)
	// Needs says which facts of the lock table the loaded policies read.
	Needs() lock.Needs
}
