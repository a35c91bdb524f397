package app

import (
	"context"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/gateway"
)

// NewLogger writes to w as configured. Lines that belong to a call carry its
// request_id, and the trace_id and span_id of a sampled one. The level can be
// changed later.
func NewLogger(w io.Writer, cfg LogConfig) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(slog.Level(cfg.Level))
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == LogText || (cfg.Format == LogAuto && isTerminal(w)) {
		return slog.New(&callHandler{slog.NewTextHandler(w, options)}), level
	}
	return slog.New(&callHandler{slog.NewJSONHandler(w, options)}), level
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// callHandler adds which call a line belongs to.
type callHandler struct{ slog.Handler }

const requestIDKey = "request_id"

func (h *callHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	if id := gateway.RequestID(ctx); id != "" && !has(r, requestIDKey) {
		r.AddAttrs(slog.String(requestIDKey, id))
	}
	return h.Handler.Handle(ctx, r)
}

func has(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

// WithAttrs implements slog.Handler.
func (h *callHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &callHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h *callHandler) WithGroup(name string) slog.Handler {
	return &callHandler{h.Handler.WithGroup(name)}
}
