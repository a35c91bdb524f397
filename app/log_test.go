package app_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/app"
)

func TestNewLogger_namesTheSpanOfALine(t *testing.T) {
	var out bytes.Buffer
	logger, level := app.NewLogger(&out, app.LogConfig{Level: app.LogLevel(slog.LevelWarn), Format: app.LogAuto})
	id := trace.TraceID{1}
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: id, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	logger.InfoContext(ctx, "not severe enough")
	logger.With(slog.Int("a", 1)).WithGroup("g").WarnContext(ctx, "with a span", slog.Int("b", 2))
	level.Set(slog.LevelInfo)
	logger.InfoContext(t.Context(), "without a span")

	d := json.NewDecoder(&out)
	var first, second map[string]any
	require.NoError(t, d.Decode(&first))
	require.Equal(t, "with a span", first["msg"])
	require.Equal(t, map[string]any{"b": 2.0, "trace_id": id.String(), "span_id": "0200000000000000"}, first["g"])
	require.NoError(t, d.Decode(&second))
	require.NotContains(t, second, "trace_id")
	require.False(t, d.More())
}

func TestNewLogger_namesTheCallOfALineOnce(t *testing.T) {
	var out bytes.Buffer
	r := run(t, config(), &out)
	r.call(t, http.MethodPost, "/v1/locks", `{"resources":["a"],"owner":"ci:1"}`)
	r.stop()
	require.NoError(t, <-r.ended)
	named := 0
	for line := range bytes.Lines(out.Bytes()) {
		require.LessOrEqual(t, bytes.Count(line, []byte(`"request_id"`)), 1, "%s", line)
		named += bytes.Count(line, []byte(`"request_id"`))
	}
	require.Positive(t, named)
}
