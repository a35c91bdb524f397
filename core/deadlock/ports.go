package deadlock

import (
	"context"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Extensions asks the modules that choose victims.
type Extensions interface {
	// SelectVictim asks one extension which of the candidates gives way. It
	// returns when ctx ends, whatever the module does. Any error (no such
	// extension, a trap, an abstention, time is over) makes the built-in policy
	// decide.
	SelectVictim(ctx context.Context, extension string, d *Dispute) (Choice, error)
}

// Dispute is what an extension decides about. It must not be changed.
type Dispute struct {
	ID         string // the same at every gateway
	At         time.Time
	Cycle      Cycle
	Candidates []Candidate // ascending by owner; whoever is immune is left out unless all are
}

// Choice is what an extension answered.
type Choice struct {
	Victim lock.Owner
	Reason string
}
