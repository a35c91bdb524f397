package deadlock

import (
	"slices"

	"github.com/lockgate/lockgate/core/lock"
)

// Stores check the edges of a cycle before they act on it, so these types are
// the lock table's.
type (
	// Kind says why one owner waits for another.
	Kind = lock.EdgeKind
	// Edge is one reason why From waits for To.
	Edge = lock.Edge
	// Cycle is a ring of edges.
	Cycle = lock.Cycle
)

// The kinds of edges.
const (
	Hard     = lock.Hard     // for a conflicting holder or offer
	Soft     = lock.Soft     // for a conflicting request ahead in a queue
	Declared = lock.Declared // because it said so
)

// fromSmallest turns a ring so that it starts at the owner whose name is
// first, which makes it the same whoever searched.
func fromSmallest(c Cycle) Cycle {
	if len(c) == 0 {
		return c
	}
	first := 0
	for i := range c {
		if c[i].From < c[first].From {
			first = i
		}
	}
	return slices.Concat(c[first:], c[:first])
}
