package storetest

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/lock"
)

func openMemory(t *testing.T, rules lock.Rules) *embedded.Store {
	t.Helper()
	store, err := embedded.Open(embedded.Config{Rules: rules}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- store.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return store
}

// TestTraces runs the traces from their files, so that `-rewrite` works:
//
//	go test ./core/backend/storetest -run TestTraces -rewrite
func TestTraces(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			rules := Rules()
			rules.Aging = agingOf(filepath.Base(path))
			datadriven.RunTest(t, path, newTrace(newStage(t, openMemory(t, rules))).do)
		})
	})
}
