package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/oklog/ulid/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/gateway/wire"
)

// edge is the outermost middleware: request id, span, body limit, recovery,
// the answer to errors, metrics and the access log, in one layer.
func (s *Server) edge(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		r := c.Request()
		k := &call{id: callID(r.Header), route: s.routes[c.Path()]}
		c.Response().Header()[wire.HeaderRequestID] = []string{k.id}
		ctx := context.WithValue(r.Context(), callKey{}, k)
		ctx = s.startSpan(ctx, r, k.route)
		k.span = trace.SpanFromContext(ctx)
		defer k.span.End()
		if sc := k.span.SpanContext(); sc.IsSampled() {
			c.Response().Header()["Traceparent"] = []string{traceparent(sc)}
		}
		r = r.WithContext(ctx)
		if r.ContentLength != 0 {
			r.Body = http.MaxBytesReader(c.Response(), r.Body, int64(s.cfg.HTTP.MaxBody))
		}
		c.SetRequest(r)
		if err := guarded(next, c); err != nil {
			s.answer(err, c)
		}
		s.finish(c, k, time.Since(began))
		return nil
	}
}

// startSpan continues the caller's trace and puts the call's span into ctx.
func (s *Server) startSpan(ctx context.Context, r *http.Request, route string) context.Context {
	if quiet(route) {
		return ctx
	}
	ctx = s.parts.Propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
	ctx, _ = s.tracer.Start(ctx, boundedMethod(r.Method)+" "+route, trace.WithSpanKind(trace.SpanKindServer)) //nolint:spancheck // edge ends it
	return ctx
}

// quiet says which routes are not traced: probes would drown everything else.
func quiet(route string) bool {
	switch route {
	case "/livez", "/readyz", "/healthz", "/metrics":
		return true
	}
	return false
}

// finish tells metrics, span and log how a call went.
func (s *Server) finish(c echo.Context, k *call, took time.Duration) {
	r, status := c.Request(), c.Response().Status
	s.metrics.observe(r.Method, k.route, status, took, k.span.SpanContext())
	if k.span.IsRecording() {
		k.span.SetAttributes(
			attribute.String("http.request.method", boundedMethod(r.Method)),
			attribute.String("http.route", k.route),
			attribute.String("url.path", r.URL.Path),
			attribute.Int("http.response.status_code", status),
			attribute.String("client.address", c.RealIP()),
			attribute.String("user_agent.original", r.UserAgent()),
			attribute.String("lockgate.subject", k.caller.Subject.ID),
			attribute.String("lockgate.request_id", k.id),
		)
		if status >= http.StatusInternalServerError {
			k.span.SetStatus(codes.Error, http.StatusText(status))
		}
	}
	ctx := r.Context()
	if s.parts.Logger.Enabled(ctx, slog.LevelDebug) {
		s.parts.Logger.LogAttrs(ctx, slog.LevelDebug, "call answered",
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", status),
			slog.Duration("took", took), slog.String("subject", k.caller.Subject.ID), slog.String("request_id", k.id))
	}
}

// answer writes the problem that an error is, and logs what the caller is not
// told.
func (s *Server) answer(err error, c echo.Context) {
	ctx := c.Request().Context()
	if c.Response().Committed {
		s.parts.Logger.DebugContext(ctx, "answer broke off", "error", err, "request_id", RequestID(ctx))
		return
	}
	if problemOf(err).Code == wire.CodeInternal {
		s.parts.Logger.ErrorContext(ctx, "call failed", "error", err, "path", c.Request().URL.Path, "request_id", RequestID(ctx))
		trace.SpanFromContext(ctx).RecordError(err)
	}
	if err := WriteError(c, err); err != nil {
		s.parts.Logger.DebugContext(ctx, "problem could not be sent", "error", err, "request_id", RequestID(ctx))
	}
}

// guarded turns a panic of a handler into an error, so that one call cannot end
// the gateway.
func guarded(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("handler panicked: %v\n%s", v, debug.Stack())
		}
	}()
	return next(c)
}

// callID takes over the caller's id when it is fit for logs.
func callID(h http.Header) string {
	if given := h.Get(wire.HeaderRequestID); plainID(given) {
		return given
	}
	return ulid.Make().String()
}

const maxRequestID = 128

func plainID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	return !strings.ContainsFunc(id, func(r rune) bool {
		alnum := (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z')
		return !alnum && !strings.ContainsRune("-_.:/+=@", r)
	})
}
