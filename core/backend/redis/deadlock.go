package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
)

// Graph implements orchestrator.Tangle: errors.ErrUnsupported, and no outcome of
// this store asks for a search, so waits of a deadlock time out.
func (s *Store) Graph(context.Context, lock.GraphQuery) (deadlock.Snapshot, error) {
	return deadlock.Snapshot{}, errUnsupported
}

// Deadlocks implements orchestrator.Tangle: errors.ErrUnsupported.
func (s *Store) Deadlocks(context.Context) ([]lock.Deadlock, error) { return nil, errUnsupported }

var errUnsupported = fmt.Errorf("the Redis store does not look for deadlocks: %w", errors.ErrUnsupported)
