package deadlock

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lockgate/lockgate/core/lock"
)

// Kind says why one owner waits for another.
type Kind uint8

// The kinds of edges.
const (
	Hard     Kind = iota + 1 // for a conflicting holder or offer
	Soft                     // for a conflicting request ahead in a queue
	Declared                 // because it said so
)

func (k Kind) String() string {
	switch k {
	case Hard:
		return "hard"
	case Soft:
		return "soft"
	case Declared:
		return "declared"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// MarshalText writes the kind as the API spells it.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Edge is one reason why From waits for To.
type Edge struct {
	From, To  lock.Owner
	Kind      Kind
	Namespace lock.Namespace
	Request   lock.ID    // From's waiting request, or the declared wait
	Resource  lock.Key   // "" when declared
	Blocker   lock.ID    // To's request; "" when declared
	Token     lock.Token // the blocker's; 0 unless it is held
}

// Cycle is a ring of edges: each starts at the owner where the one before it
// ends, and the last ends where the first starts.
type Cycle []Edge

// Owners lists the owners in the order in which they wait.
func (c Cycle) Owners() []lock.Owner {
	owners := make([]lock.Owner, len(c))
	for i := range c {
		owners[i] = c[i].From
	}
	return owners
}

// String writes the ring for people: a waits for "vpc" held by b, ….
func (c Cycle) String() string {
	parts := make([]string, len(c))
	for i := range c {
		e := &c[i]
		switch e.Kind {
		case Hard:
			parts[i] = fmt.Sprintf("%s waits for %q held by %s", e.From, e.Resource, e.To)
		case Soft:
			parts[i] = fmt.Sprintf("%s waits for %q behind %s", e.From, e.Resource, e.To)
		case Declared:
			parts[i] = fmt.Sprintf("%s declared to wait for %s", e.From, e.To)
		}
	}
	return strings.Join(parts, ", ")
}

// fromSmallest turns the ring so that it starts at the owner whose name is
// first, which makes it the same whoever searched.
func (c Cycle) fromSmallest() Cycle {
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
