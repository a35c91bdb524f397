package backend_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend"
	"github.com/lockgate/lockgate/core/lock"
)

func TestOpen_choosesByURL(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for url, file := range map[string]string{
		"memory:":                                "",
		"file:a.db":                              "a.db",
		"file:" + filepath.Join(dir, "b.db"):     "b.db",
		"file://" + filepath.Join(dir, "c d.db"): "c d.db",
	} {
		t.Run(url, func(t *testing.T) {
			cfg := backend.DefaultConfig()
			cfg.URL = url
			store, err := backend.Open(cfg, lock.DefaultRules(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			require.NoError(t, err)
			if file != "" {
				require.FileExists(t, filepath.Join(dir, file))
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- store.Run(ctx) }()
			require.NoError(t, store.Ping(ctx))
			cancel()
			require.NoError(t, <-ended)
		})
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 3)
}

func TestValidate_namesTheKnownStores(t *testing.T) {
	for url, want := range map[string]string{
		"":                           `url "" names no known store: use file:PATH, memory:`,
		"file:":                      `url "file:" names no known store`,
		"memory:x":                   `url "memory:x" names no known store`,
		"etcd://app:hunter2@box:80":  `url "etcd://app:xxxxx@box:80" names no known store`,
		"redis+ring://app:hunter2@a": `"redis+ring" is no scheme of Redis`,
	} {
		cfg := backend.Config{URL: url, OperationTimeout: 1}
		require.ErrorContains(t, cfg.Validate(), want)
		require.ErrorContains(t, cfg.Validate(), "operation_timeout must be at least")
		require.NotContains(t, cfg.Validate().Error(), "hunter2")
		_, err := backend.Open(cfg, lock.DefaultRules(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		require.ErrorContains(t, err, want)
	}
}
