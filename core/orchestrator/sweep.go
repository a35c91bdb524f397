package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// maxRequeued bounds the owners that wait for a search because an offer to them
// lapsed. Beyond, the sweep finds what they may have closed.
const maxRequeued = 1000

// sweeper looks for deadlocks that no step was answered for: an offer that
// lapsed puts a request back into its queues, and a gateway may die between the
// step that closed a cycle and its search.
type sweeper struct {
	*resolver

	requeued chan occasion
	seen     map[string]bool // ids of the deadlocks of the last look
}

func newSweeper(r *resolver) *sweeper {
	return &sweeper{resolver: r, requeued: make(chan occasion, maxRequeued)}
}

func (s *sweeper) run(ctx context.Context) {
	if s.cfg.Mode == deadlock.Off {
		return
	}
	tick := time.NewTicker(s.cfg.SweepInterval)
	defer tick.Stop()
	for {
		select {
		case why := <-s.requeued:
			s.untangle(ctx, &why)
		case <-tick.C:
			if err := s.sweep(ctx); errors.Is(err, errors.ErrUnsupported) {
				s.log.WarnContext(ctx, "deadlocks are not looked for", "error", err)
				return
			} else if err != nil {
				s.log.WarnContext(ctx, "looking for deadlocks that were missed", "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// follow notices requests that came back to their queues.
func (s *sweeper) follow(e *events.Event) {
	if e.Type != events.QueuedRequest || e.Before != lock.Offered {
		return
	}
	select {
	case s.requeued <- occasion{from: []lock.Owner{e.Lock.Owner}, at: e.Time}:
	default:
	}
}

// sweep looks at everybody who waits. A deadlock that it sees for the first time
// may be one that somebody is about to resolve; one that it sees again was
// missed.
func (s *sweeper) sweep(ctx context.Context) error {
	snapshot, err := s.store.Graph(ctx, lock.GraphQuery{})
	if err != nil {
		return err
	}
	before := s.seen
	s.seen = make(map[string]bool)
	for _, cycle := range deadlock.NewGraph(&snapshot).Cycles() {
		name := cycle.String()
		if !before[name] {
			s.seen[name] = true
			continue
		}
		s.untangle(ctx, &occasion{from: cycle.Owners(), at: snapshot.At, swept: true})
	}
	return nil
}
