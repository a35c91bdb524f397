package embedded_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/backend/storetest"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

var _ orchestrator.Store = (*embedded.Store)(nil)

// open answers a running store; path "" is one without a file.
func open(tb testing.TB, path string, rules lock.Rules) *embedded.Store {
	tb.Helper()
	store, stop := start(tb, path, rules)
	tb.Cleanup(stop)
	return store
}

// start is open for a test that stops the store itself.
func start(tb testing.TB, path string, rules lock.Rules) (*embedded.Store, func()) {
	tb.Helper()
	store, err := embedded.Open(embedded.Config{Path: path, Rules: rules}, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- store.Run(ctx) }()
	return store, func() {
		cancel()
		require.NoError(tb, <-ended)
	}
}

func TestConformance_memory(t *testing.T) {
	storetest.RunInBubble(t, func(t *testing.T, rules lock.Rules) orchestrator.Store {
		t.Helper()
		return open(t, "", rules)
	})
}

func TestConformance_file(t *testing.T) {
	storetest.Run(t, func(t *testing.T, rules lock.Rules) orchestrator.Store {
		t.Helper()
		return open(t, filepath.Join(t.TempDir(), "lockgate.db"), rules)
	})
}
