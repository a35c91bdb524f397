package orchestrator

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// startEnqueue starts the span whose context is stored with the request.
func (o *Orchestrator) startEnqueue(ctx context.Context, l *lock.Lock) (context.Context, trace.Span) {
	ctx, span := o.tracer.Start(ctx, "lock.enqueue", trace.WithSpanKind(trace.SpanKindProducer))
	if !span.SpanContext().IsValid() {
		return ctx, span
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	l.Trace = lock.Trace{Parent: carrier["traceparent"], State: carrier["tracestate"]}
	if span.IsRecording() {
		span.SetAttributes(attribute.String("lockgate.lock.id", string(l.ID)), attribute.String("lockgate.owner", string(l.Owner)),
			attribute.String("lockgate.namespace", string(l.Namespace)), attribute.String("lockgate.priority", l.Priority.String()))
	}
	return ctx, span
}

// startGrant draws the wait as one span from the enqueue to now, in the trace
// of the enqueue whichever gateway that was, and starts the grant after it.
func (o *Orchestrator) startGrant(ctx context.Context, l *lock.Lock) (context.Context, trace.Span) {
	stored := propagation.MapCarrier{"traceparent": l.Trace.Parent, "tracestate": l.Trace.State}
	origin := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), stored)) //nolint:forbidigo // only to parse the stored context
	if !origin.IsValid() {
		return o.tracer.Start(ctx, "lock.grant", trace.WithSpanKind(trace.SpanKindConsumer))
	}
	waiting := trace.LinkFromContext(ctx)
	ctx = trace.ContextWithRemoteSpanContext(ctx, origin)
	_, wait := o.tracer.Start(ctx, "lock.wait", trace.WithTimestamp(l.RequestedAt))
	wait.End()
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer)}
	if waiting.SpanContext.IsValid() {
		options = append(options, trace.WithLinks(waiting)) // the waiting call, when it came later and is a trace of its own
	}
	return o.tracer.Start(ctx, "lock.grant", options...)
}

func recordError(span trace.Span, err error) {
	if err == nil || !span.IsRecording() {
		return
	}
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
}
