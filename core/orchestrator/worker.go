package orchestrator

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// submit puts one step through the admission queue and waits for its outcome.
// A caller that leaves before a worker took its step has done nothing. Once it
// was taken submit waits for the outcome, whatever happens to ctx: it must not
// be lost.
func (o *Orchestrator) submit(ctx context.Context, l lane, s lock.Step) (lock.Outcome, error) {
	t := &ticket{ctx: ctx, step: s, lane: l, queued: time.Now(), done: make(chan answer, 1)}
	if !o.admission.push(t) {
		o.metrics.rejected.Inc()
		return lock.Outcome{}, &lock.BusyError{RetryAfter: time.Second}
	}
	select {
	case a := <-t.done:
		return o.settle(ctx, t, a)
	case <-ctx.Done():
		if t.claim() {
			return lock.Outcome{}, ctx.Err()
		}
	case <-o.stopped:
		if t.claim() {
			return lock.Outcome{}, stoppedError()
		}
	}
	return o.settle(ctx, t, <-t.done)
}

func (o *Orchestrator) settle(ctx context.Context, t *ticket, a answer) (lock.Outcome, error) {
	o.metrics.step(t.step.Name(), a, time.Since(t.queued))
	if a.err != nil {
		trace.SpanFromContext(ctx).RecordError(a.err)
		return a.outcome, a.err
	}
	return a.outcome, a.outcome.Err
}

// work is one worker: it drains the admission queue in batches until ctx ends,
// and then what is left.
func (o *Orchestrator) work(ctx context.Context) {
	batch := make([]*ticket, 0, o.cfg.BatchSize)
	for {
		select {
		case <-o.admission.ready:
		case <-ctx.Done():
			for batch = o.admission.pop(batch[:0], o.cfg.BatchSize); len(batch) > 0; batch = o.admission.pop(batch[:0], o.cfg.BatchSize) {
				o.applyBatch(context.WithoutCancel(ctx), batch)
			}
			return
		}
		batch = o.admission.pop(batch[:0], o.cfg.BatchSize)
		o.applyBatch(ctx, batch)
		clear(batch)
	}
}

// applyBatch hands one batch to the store and answers everybody in it.
func (o *Orchestrator) applyBatch(ctx context.Context, batch []*ticket) {
	batch = claimed(batch)
	if len(batch) == 0 {
		return
	}
	taken := time.Now()
	steps := make([]lock.Step, len(batch))
	for i, t := range batch {
		steps[i] = t.step
		o.metrics.admitted.Observe(taken.Sub(t.queued).Seconds())
	}
	outcomes, err := o.guard.apply(ctx, steps)
	ended := time.Now()
	for i, t := range batch {
		o.traceStep(t, taken, ended, err)
		if err != nil {
			t.done <- answer{err: err}
			continue
		}
		t.done <- answer{outcome: outcomes[i]}
	}
}

// claimed keeps the tickets whose callers have not left before their turn.
func claimed(batch []*ticket) []*ticket {
	kept := batch[:0]
	for _, t := range batch {
		if t.claim() {
			kept = append(kept, t)
		}
	}
	return kept
}

// traceStep draws the time in the admission queue and the store's step under
// the caller's span, after the fact: one batch serves many traces.
func (o *Orchestrator) traceStep(t *ticket, taken, ended time.Time, err error) {
	if !trace.SpanFromContext(t.ctx).IsRecording() {
		return
	}
	_, admit := o.tracer.Start(t.ctx, "orchestrator.admit", trace.WithTimestamp(t.queued))
	admit.End(trace.WithTimestamp(taken))
	_, span := o.tracer.Start(t.ctx, "store."+t.step.Name(), trace.WithTimestamp(taken), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.operation.name", t.step.Name())))
	recordError(span, err)
	span.End(trace.WithTimestamp(ended))
}
