package orchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
)

// bounded is a store whose reads have a deadline: a store that hangs must not
// keep calls for ever. Transitions have the guard's.
type bounded struct {
	Store

	limit time.Duration
}

// Get implements Table.
func (b *bounded) Get(ctx context.Context, id lock.ID) (lock.Lock, error) {
	return within(ctx, b.limit, func(ctx context.Context) (lock.Lock, error) { return b.Store.Get(ctx, id) })
}

// List implements Table.
func (b *bounded) List(ctx context.Context, q lock.Query) (lock.Page, error) {
	return within(ctx, b.limit, func(ctx context.Context) (lock.Page, error) { return b.Store.List(ctx, q) })
}

// Queues implements Table.
func (b *bounded) Queues(ctx context.Context, q lock.QueueQuery) (lock.QueuePage, error) {
	return within(ctx, b.limit, func(ctx context.Context) (lock.QueuePage, error) { return b.Store.Queues(ctx, q) })
}

// Facts implements Table.
func (b *bounded) Facts(ctx context.Context, q lock.FactsQuery) ([]lock.Facts, error) {
	return within(ctx, b.limit, func(ctx context.Context) ([]lock.Facts, error) { return b.Store.Facts(ctx, q) })
}

// Stats implements Table.
func (b *bounded) Stats(ctx context.Context) (lock.Stats, error) {
	return within(ctx, b.limit, b.Store.Stats)
}

// Graph implements Tangle.
func (b *bounded) Graph(ctx context.Context, q lock.GraphQuery) (deadlock.Snapshot, error) {
	return within(ctx, b.limit, func(ctx context.Context) (deadlock.Snapshot, error) { return b.Store.Graph(ctx, q) })
}

// Deadlocks implements Tangle.
func (b *bounded) Deadlocks(ctx context.Context) ([]lock.Deadlock, error) {
	return within(ctx, b.limit, b.Store.Deadlocks)
}

// Ping implements Store.
func (b *bounded) Ping(ctx context.Context) error {
	_, err := within(ctx, b.limit, func(ctx context.Context) (struct{}, error) { return struct{}{}, b.Store.Ping(ctx) })
	return err
}

// within runs one read. A deadline of the read's own is a store that does not
// answer; the end of the caller's context stays what it is.
func within[T any](ctx context.Context, limit time.Duration, read func(context.Context) (T, error)) (T, error) {
	bound, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	got, err := read(bound)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = &lock.UnavailableError{RetryAfter: time.Second, Untried: true, Err: fmt.Errorf("the store did not answer within %s", limit)}
	}
	return got, err
}
