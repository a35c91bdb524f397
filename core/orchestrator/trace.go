package orchestrator

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// keepTrace stores the context of the enqueue's span with the request, so that
// whoever grants it goes on in the same trace.
func keepTrace(ctx context.Context, span trace.Span, l *lock.Lock) {
	if !span.SpanContext().IsValid() {
		return
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	l.Trace = lock.Trace{Parent: carrier["traceparent"], State: carrier["tracestate"]}
	if span.IsRecording() {
		span.SetAttributes(attribute.String("lockgate.lock.id", string(l.ID)), attribute.String("lockgate.owner", string(l.Owner)),
			attribute.String("lockgate.namespace", string(l.Namespace)), attribute.String("lockgate.priority", l.Priority.String()))
	}
}

// drawWait draws the wait as one span from the enqueue to now, in the trace of
// the enqueue whichever gateway that was. It answers the context to grant in,
// and a link to the waiting call when that is a trace of its own.
func (o *Orchestrator) drawWait(ctx context.Context, l *lock.Lock) (context.Context, []trace.Link) {
	stored := propagation.MapCarrier{"traceparent": l.Trace.Parent, "tracestate": l.Trace.State}
	call := trace.SpanContextFromContext(ctx)
	ctx = propagation.TraceContext{}.Extract(ctx, stored)
	if l.Trace.Parent == "" {
		return ctx, nil
	}
	_, wait := o.tracer.Start(ctx, "lock.wait", trace.WithTimestamp(l.RequestedAt))
	wait.End()
	if call.IsValid() && call.TraceID() != trace.SpanContextFromContext(ctx).TraceID() {
		return ctx, []trace.Link{{SpanContext: call}}
	}
	return ctx, nil
}

// longestHold bounds the holds that are drawn: a trace of days helps nobody.
const longestHold = time.Hour

// drawHold draws how long a lock was held into the trace of its enqueue, and
// links the release to it.
func (o *Orchestrator) drawHold(ctx context.Context, l *lock.Lock) {
	if l.Trace.Parent == "" || l.State != lock.Released || l.EndedAt.Sub(l.AcquiredAt) > longestHold {
		return
	}
	release := trace.SpanFromContext(ctx)
	stored := propagation.MapCarrier{"traceparent": l.Trace.Parent, "tracestate": l.Trace.State}
	origin := propagation.TraceContext{}.Extract(ctx, stored)
	release.AddLink(trace.LinkFromContext(origin))
	_, hold := o.tracer.Start(origin, "lock.hold", trace.WithTimestamp(l.AcquiredAt), trace.WithLinks(trace.Link{SpanContext: release.SpanContext()}))
	hold.End(trace.WithTimestamp(l.EndedAt))
}

func recordError(span trace.Span, err error) {
	if err == nil || !span.IsRecording() {
		return
	}
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
}
