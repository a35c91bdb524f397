package app_test

import (
	"bufio"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/component"
	"github.com/lockgate/lockgate/gateway/wire"
	"github.com/lockgate/lockgate/policies"
)

// follow answers a function that waits for the next event.
func (r *running) follow(t *testing.T) func() wire.Event {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.URL()+"/v1/events", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	return func() wire.Event {
		t.Helper()
		for lines.Scan() {
			if data, found := strings.CutPrefix(lines.Text(), "data: "); found {
				var e wire.Event
				require.NoError(t, json.Unmarshal([]byte(data), &e))
				return e
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return wire.Event{}
	}
}

func TestApp_tellsOfReloadsAndAilingParts(t *testing.T) {
	cfg := config()
	cfg.Policy.Dir = t.TempDir()
	cfg.Health = component.Config{CheckInterval: minCheck, ComponentTimeout: minCheck, AutoRestart: true}
	profile, err := policies.Open()
	require.NoError(t, err)
	good, err := fs.ReadFile(profile, "open.rego")
	require.NoError(t, err)
	file := filepath.Join(cfg.Policy.Dir, "open.rego")
	require.NoError(t, os.WriteFile(file, good, 0o600))
	r := run(t, cfg, io.Discard)
	next := r.follow(t)

	require.NoError(t, os.WriteFile(file, []byte("package nonsense {"), 0o600))
	told := map[string]string{}
	for range 2 {
		e := next()
		require.Nil(t, e.Data.Lock)
		require.Regexp(t, `^[^/]+/[0-9A-Z]{26}$`, e.Source)
		told[e.Type] = e.Data.Reason
	}
	require.Contains(t, told["dev.lockgate.policy_reload_failed"], "open.rego:1")
	require.Equal(t, "policy is degraded", told["dev.lockgate.component_changed"])

	require.NoError(t, os.WriteFile(file, append(good, '\n'), 0o600))
	for range 2 {
		e := next()
		told[e.Type] = e.Data.Reason
	}
	require.Contains(t, told["dev.lockgate.policy_reloaded"], "is in force")
	require.Equal(t, "policy is healthy", told["dev.lockgate.component_changed"])
	r.stop()
	require.NoError(t, <-r.ended)
}
