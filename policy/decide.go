package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/open-policy-agent/opa/v1/topdown"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

var (
	errNoFacts = errors.New("the loaded policies read the lock table, and the question came without what it says")
	errBudget  = errors.New("the evaluation took longer than its budget")
)

// scratch is what one decision needs and the next one may use again.
type scratch struct {
	view view
	key  keySink
}

// answer is a decision on its way: verdicts stand in the order of the
// resources.
type answer struct {
	decision lock.Decision
	verdicts []*verdict
	hit      bool // no policy had to be asked
}

// Decide answers one decision for all resources of a question together. A
// refusal is a decision. *lock.PolicyError means that there is none, and
// *lock.InvalidError that the context of the question cannot be read; both
// leave an entry in the decision log, unless the question is one of a list.
//
// The question's slices, maps and JSON stay in the decision log and must not
// change afterwards.
func (e *Engine) Decide(ctx context.Context, q *lock.Question) (lock.Decision, error) {
	if q.Listed {
		return e.decideListed(ctx, q)
	}
	start := time.Now()
	ctx, span := e.tracer.Start(ctx, "policy.decide")
	defer span.End()
	g := e.current.Load()
	a, err := e.ask(ctx, g, q)
	a.decision.ID, a.decision.Revision = ulid.Make().String(), g.revision
	if err != nil {
		a.decision = lock.Decision{Summary: a.decision.Summary}
		err = refusal(a.decision.ID, err)
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	took := time.Since(start)
	e.metrics.observe(q.Action, &a, err, took)
	e.ring.add(&entry{
		id: a.decision.ID, at: start, took: took, question: *q, generation: g, verdicts: a.verdicts,
		allow: a.decision.Allow, err: err, trace: span.SpanContext().TraceID(),
	})
	describeSpan(span, q, &a)
	return a.decision, err
}

// decideListed decides about one of the many entries of a list: counted, and
// neither traced nor logged, or one list would fill the log.
func (e *Engine) decideListed(ctx context.Context, q *lock.Question) (lock.Decision, error) {
	start := time.Now()
	g := e.current.Load()
	a, err := e.ask(ctx, g, q)
	a.decision.ID, a.decision.Revision = ulid.Make().String(), g.revision
	if err != nil {
		a.decision = lock.Decision{Summary: a.decision.Summary}
		err = refusal(a.decision.ID, err)
	}
	e.metrics.observe(q.Action, &a, err, time.Since(start))
	return a.decision, err
}

func describeSpan(span trace.Span, q *lock.Question, a *answer) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.String("lockgate.decision.id", a.decision.ID),
		attribute.Bool("lockgate.decision.allow", a.decision.Allow),
		attribute.String("lockgate.decision.priority", a.decision.Priority.String()),
		attribute.Bool("lockgate.decision.memo_hit", a.hit),
		attribute.String("lockgate.decision.stage", q.Stage.String()),
		attribute.String("lockgate.action", q.Action.String()),
	)
}

// ask collects the verdicts about all resources and joins them. A question
// without resources is asked once, about an empty one.
func (e *Engine) ask(ctx context.Context, g *generation, q *lock.Question) (answer, error) {
	s, ok := e.scratch.Get().(*scratch)
	if !ok {
		s = &scratch{}
	}
	defer func() {
		s.view.release()
		e.scratch.Put(s)
	}()
	n := max(1, len(q.Resources))
	a := answer{verdicts: make([]*verdict, 0, n), hit: true}
	s.view.reset(q, 0, g.facts)
	s.view.contexts = g.contexts
	for i := range n {
		if i > 0 {
			s.view.next(i)
		}
		v, hit, err := e.about(ctx, g, s)
		if err != nil {
			return a, err
		}
		a.verdicts, a.hit = append(a.verdicts, v), a.hit && hit
		d := v.decision(q.Action)
		if i > 0 {
			d = join(a.decision, d)
		}
		a.decision = d
	}
	return a, nil
}

// about answers the verdict about one resource, and whether it was remembered.
func (e *Engine) about(ctx context.Context, g *generation, s *scratch) (*verdict, bool, error) {
	v := &s.view
	w := g.ward(v)
	if w.facts && len(v.q.Facts) != len(v.q.Resources) {
		return nil, false, errNoFacts
	}
	s.key.key = s.key.key[:0]
	w.key(v, &s.key)
	if v.contextErr != nil {
		return nil, false, v.contextErr
	}
	if known := g.memo.get(s.key.key); known != nil {
		return known, true, nil
	}
	fresh, err := e.within(ctx, g, w, v)
	if err != nil {
		return nil, false, err
	}
	g.memo.put(s.key.key, fresh)
	return fresh, false, nil
}

// within evaluates in one of the slots and inside the budget.
func (e *Engine) within(ctx context.Context, g *generation, w *ward, v *view) (*verdict, error) {
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-e.slots }()
	ctx, cancel := context.WithTimeoutCause(ctx, e.cfg.Budget, errBudget)
	defer cancel()
	out, err := g.evaluate(ctx, w, v)
	if err != nil && context.Cause(ctx) != nil {
		return nil, fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return out, err
}

// refusal makes an error of a decision what its caller may see.
func refusal(id string, err error) error {
	if isInvalid(err) {
		return err
	}
	return &lock.PolicyError{DecisionID: id, Err: err}
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[*lock.InvalidError](err)
	return ok
}

// kindOf names an error for the metric.
func kindOf(err error) string {
	switch {
	case isInvalid(err):
		return errorInput
	case errors.Is(err, errNoFacts):
		return errorFacts
	case errors.Is(err, errBudget):
		return errorTimeout
	case topdown.IsCancel(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errorCaller
	}
	return errorEval
}
