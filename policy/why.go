package policy

import (
	"context"
	"errors"
	"fmt"

	"github.com/lockgate/lockgate/core/lock"
)

// traceFactor is how many times its budget an evaluation may take when it is
// traced, without index and early exit.
const traceFactor = 20

// ErrNoEntry says that the decision log does not hold a decision.
var ErrNoEntry = errors.New("no decision has this id, or the log has moved on")

// Explain decides a decision of the log again, by the policies of then, and
// tells how: one explanation a resource. It answers ErrNoEntry, or why it could
// not be decided.
func (e *Engine) Explain(ctx context.Context, id string) ([]*Explanation, error) {
	en, ok := e.ring.get(id)
	if !ok {
		return nil, ErrNoEntry
	}
	return e.again(ctx, en.generation, &en.question)
}

// again evaluates a question resource by resource, traced.
func (e *Engine) again(ctx context.Context, g *generation, q *lock.Question) ([]*Explanation, error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-e.slots }()
	ctx, cancel := context.WithTimeoutCause(ctx, traceFactor*e.cfg.Budget, errBudget)
	defer cancel()
	var list []*Explanation
	for i := range max(1, len(q.Resources)) {
		v := &view{}
		v.reset(q, i, g.facts)
		input, err := g.inputs.build(v)
		if err != nil {
			return nil, refusal("", err)
		}
		x, err := g.trace(ctx, input.Value, q.Want.Priority)
		if err != nil {
			return nil, refusal("", fmt.Errorf("explain: %w", err))
		}
		list = append(list, x)
	}
	return list, nil
}
