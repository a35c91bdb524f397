package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// retryAfter is what callers are told when Redis did not answer.
const retryAfter = time.Second

func unavailable(err error) error { return &lock.UnavailableError{RetryAfter: retryAfter, Err: err} }

// Apply implements orchestrator.Table.
func (s *Store) Apply(ctx context.Context, batch []lock.Step) ([]lock.Outcome, error) {
	if s.ended.Load() {
		return nil, unavailable(errStopped)
	}
	tasks, err := s.plan(ctx, batch)
	if err != nil {
		return nil, unavailable(err)
	}
	s.dispatch(ctx, tasks)
	outcomes := make([]lock.Outcome, len(tasks))
	answered := false
	for i, t := range tasks {
		outcomes[i] = s.settle(ctx, t)
		_, lost := errors.AsType[*lock.UnavailableError](outcomes[i].Err)
		answered = answered || !lost || t.short()
	}
	if !answered && len(outcomes) > 0 {
		return nil, outcomes[0].Err
	}
	s.fillStanding(ctx, batch, outcomes)
	return outcomes, nil
}

// plan turns steps into calls; namespaces that new requests go to are let in.
func (s *Store) plan(ctx context.Context, batch []lock.Step) ([]*task, error) {
	for _, step := range batch {
		if a, ok := step.(*lock.Acquire); ok && fault(&a.Lock, true) == nil {
			s.directory.meet(a.Lock.Namespace)
		}
	}
	if err := s.learn(ctx, batch); err != nil {
		return nil, err
	}
	tasks := make([]*task, len(batch))
	for i, step := range batch {
		tasks[i] = s.taskOf(step)
		for _, c := range tasks[i].calls {
			s.directory.touch(c.ns, time.Now())
		}
	}
	return tasks, nil
}

// learn reads the index when a step names an id of a namespace that this gateway
// has not met, or everything of an owner.
func (s *Store) learn(ctx context.Context, batch []lock.Step) error {
	unknown := false
	for _, step := range batch {
		for _, id := range idsOf(step) {
			unknown = unknown || len(s.directory.of(id)) == 0
		}
		if e, ok := step.(*lock.EndOwner); ok && e.Namespace == "" {
			unknown = true
		}
	}
	if !unknown {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	return s.refresh(ctx)
}

// dispatch sends what tasks need. Namespaces that nobody has registered yet, or
// that were retired meanwhile, are registered and their calls sent again.
func (s *Store) dispatch(ctx context.Context, tasks []*task) {
	var calls []*call
	for _, t := range tasks {
		if t.err == nil {
			calls = append(calls, t.calls...)
		}
	}
	for range registerTries {
		s.letIn(ctx, calls)
		if calls = slices.DeleteFunc(calls, func(c *call) bool { return c.err != nil }); len(calls) == 0 {
			break
		}
		s.transact(ctx, calls)
		calls = slices.DeleteFunc(calls, func(c *call) bool { return c.code != codeUnregistered })
		if len(calls) == 0 {
			break
		}
		for _, c := range calls {
			s.directory.unregister(c.ns)
		}
	}
	for _, c := range calls {
		if c.code == codeUnregistered {
			c.err = fmt.Errorf("namespace %q is retired again and again", c.ns)
		}
	}
	for _, t := range tasks {
		if t.short() {
			s.takeBack(ctx, t)
		}
	}
}

// transact sends calls as the configured durability wants it.
func (s *Store) transact(ctx context.Context, calls []*call) {
	if s.cfg.Durability == Replicated {
		s.sendReplicated(ctx, calls)
		return
	}
	s.send(ctx, calls)
}

// first says which scripts may be the first in a namespace.
func first(name lua) bool { return name == acquireLua || name == denyLua || name == noteLua }

// letIn registers the namespaces of calls that may bring the first request.
func (s *Store) letIn(ctx context.Context, calls []*call) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	for _, c := range calls {
		if first(c.script.name) && !s.directory.isRegistered(c.ns) {
			c.err = s.register(ctx, c.ns)
		}
	}
}

// short reports whether the step was done, but too few replicas have it. A
// verified token changes nothing and needs none.
func (t *task) short() bool {
	if _, read := t.step.(*lock.Verify); read {
		return false
	}
	return slices.ContainsFunc(t.calls, func(c *call) bool { return c.short && c.code != codeMissing })
}
