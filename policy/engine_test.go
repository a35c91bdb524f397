package policy

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

var _ orchestrator.Policy = (*Engine)(nil)

// options are those of an engine whose log nobody reads.
func options() Options {
	return Options{
		Logger: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider().Tracer(""),
		Registerer: prometheus.NewRegistry(),
	}
}

// folder writes files below a new directory and answers it.
func folder(tb testing.TB, files map[string]string) string {
	tb.Helper()
	dir := tb.TempDir()
	write(tb, dir, files)
	return dir
}

func write(tb testing.TB, dir string, files map[string]string) {
	tb.Helper()
	for name, text := range files {
		target := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(tb, os.MkdirAll(filepath.Dir(target), 0o750))
		require.NoError(tb, os.WriteFile(target, []byte(text), 0o600))
	}
}

// engine loads files as policy.dir.
func engine(tb testing.TB, files map[string]string, change ...func(*Config)) *Engine {
	tb.Helper()
	cfg := DefaultConfig()
	cfg.Dir = folder(tb, files)
	cfg.Budget = time.Minute // a busy machine fails no test
	for _, f := range change {
		f(&cfg)
	}
	e, err := New(tb.Context(), cfg, options())
	require.NoError(tb, err)
	return e
}

func openEngine(tb testing.TB) *Engine {
	tb.Helper()
	e, err := New(tb.Context(), DefaultConfig(), options())
	require.NoError(tb, err)
	return e
}

// question asks for a lock of an Atlantis project.
func question() *lock.Question {
	return &lock.Question{
		Action: lock.ActAcquire, RequestID: "01JDA0000000000000000000AA",
		Time: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC),
		Caller: lock.Caller{
			Subject: lock.Subject{ID: "ann", Kind: lock.StaticToken, Teams: []string{"net"}},
			Actor:   lock.Actor{ID: "ann", Teams: []string{"net"}},
			IP:      "192.0.2.1",
		},
		Namespace: "acme/infra",
		Resources: []lock.Resource{{Key: "acme/infra/vpc/default/"}},
		Owner:     "atlantis:acme/infra#42",
		Want:      lock.Want{TTL: 30 * time.Minute, Wait: 10 * time.Minute},
	}
}

func decide(t *testing.T, e *Engine, q *lock.Question) lock.Decision {
	t.Helper()
	d, err := e.Decide(context.Background(), q)
	require.NoError(t, err)
	return d
}

func TestDecide_openProfileGrantsEveryActionAndLevelWithinLimits(t *testing.T) {
	e := openEngine(t)
	for a := lock.ActAcquire; a <= lock.ActAdmin; a++ {
		for _, level := range lock.Priorities() {
			q := question()
			q.Action, q.Want.Priority = a, level
			d := decide(t, e, q)
			require.True(t, d.Allow, "%s %s", a, level)
			require.Equal(t, level, d.Priority)
			require.Equal(t, level.Base(), d.Value)
			require.Equal(t, 24*time.Hour, *d.Limits.Wait)
			require.Equal(t, 1000, *d.Limits.Queue)
			require.Empty(t, d.Reasons)
			require.Len(t, d.ID, 26)
			require.Equal(t, e.Status().Revision, d.Revision)
		}
	}
	require.False(t, e.Needs().Any())
}
