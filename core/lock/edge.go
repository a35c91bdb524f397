package lock

import (
	"fmt"
	"strings"
)

// EdgeKind says why one owner waits for another.
type EdgeKind uint8

// The kinds of edges.
const (
	Hard     EdgeKind = iota + 1 // for a conflicting holder or offer
	Soft                         // for a conflicting request ahead in a queue
	Declared                     // because it said so
)

func (k EdgeKind) String() string {
	switch k {
	case Hard:
		return "hard"
	case Soft:
		return "soft"
	case Declared:
		return "declared"
	}
	return fmt.Sprintf("EdgeKind(%d)", uint8(k))
}

// MarshalText writes the kind as the API spells it.
func (k EdgeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind.
func (k *EdgeKind) UnmarshalText(text []byte) error {
	for c := Hard; c <= Declared; c++ {
		if c.String() == string(text) {
			*k = c
			return nil
		}
	}
	return fmt.Errorf("%q is no kind of edge", text)
}

// Edge is one reason why From waits for To.
type Edge struct {
	From      Owner     `json:"from"`
	To        Owner     `json:"to"`
	Kind      EdgeKind  `json:"kind"`
	Namespace Namespace `json:"namespace"`
	Request   ID        `json:"request"`            // From's waiting request, or the declared wait
	Resource  Key       `json:"resource,omitempty"` // "" when declared
	Blocker   ID        `json:"blocker,omitempty"`  // To's request; "" when declared
	Token     Token     `json:"token,omitempty"`    // the blocker's; 0 unless it is held
}

// Cycle is a ring of edges: each starts at the owner where the one before it
// ends, and the last ends where the first starts.
type Cycle []Edge

// Owners lists the owners in the order in which they wait.
func (c Cycle) Owners() []Owner {
	owners := make([]Owner, len(c))
	for i := range c {
		owners[i] = c[i].From
	}
	return owners
}

// Namespaces lists the namespaces of the edges, each once, in the order of the
// ring.
func (c Cycle) Namespaces() []Namespace {
	var all []Namespace
	seen := make(map[Namespace]bool)
	for i := range c {
		if !seen[c[i].Namespace] {
			seen[c[i].Namespace] = true
			all = append(all, c[i].Namespace)
		}
	}
	return all
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
