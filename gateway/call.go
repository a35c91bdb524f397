package gateway

import (
	"context"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// call is what is known about one HTTP call; it travels in the request's
// context.
type call struct {
	id     string // request id
	route  string // such as /v1/locks/{id}; "" when none matched
	span   trace.Span
	caller lock.Caller // zero until the caller is authenticated
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	k, ok := ctx.Value(callKey{}).(*call)
	if !ok {
		return &call{span: trace.SpanFromContext(ctx)}
	}
	return k
}

// CallerFrom answers who makes a call. It is for handlers of routes added
// through [Routes]; elsewhere the caller is nobody.
func CallerFrom(c echo.Context) *lock.Caller {
	return &callFrom(c.Request().Context()).caller
}

// RequestID answers the id of the HTTP call that ctx belongs to, or "".
func RequestID(ctx context.Context) string { return callFrom(ctx).id }

func traceparent(sc trace.SpanContext) string {
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}
