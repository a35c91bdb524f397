package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/core/component"
	"github.com/lockgate/lockgate/gateway/wire"
)

// patience bounds what a test waits for; minCheck is the shortest check interval.
const (
	patience = 20 * time.Second
	minCheck = 100 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is a gateway for tests: a free port, a table that is kept nowhere.
func config() app.Config {
	cfg := app.DefaultConfig()
	cfg.HTTP.Listen = "127.0.0.1:0"
	cfg.Backend.URL = "memory:"
	return cfg
}

func options(log io.Writer) app.Options {
	logger, level := app.NewLogger(log, app.LogConfig{Level: app.LogLevel(slog.LevelDebug), Format: app.LogJSON})
	return app.Options{Logger: logger, Level: level, Build: wire.Build{Version: "v0.0.0-test", Go: "go"}}
}

// running is one gateway of a test.
type running struct {
	*app.App

	stop  context.CancelFunc
	ended chan error
}

func run(t *testing.T, cfg app.Config, log io.Writer) *running {
	t.Helper()
	a, err := app.New(t.Context(), cfg, options(log))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{App: a, stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		http.DefaultClient.CloseIdleConnections()
	})
	select {
	case <-a.Ready():
	case err := <-r.ended:
		require.NoError(t, err)
		t.Fatal("the gateway ended before it was ready")
	}
	return r
}

// call answers the status and the body of one request.
func (r *running) call(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func TestApp_servesALockAndStops(t *testing.T) {
	r := run(t, config(), io.Discard)
	code, body := r.call(t, http.MethodGet, "/readyz?verbose", "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "[+] store: healthy\n[+] policy: healthy\n[+] orchestrator: healthy\n[+] http: healthy\nok\n", body)

	code, body = r.call(t, http.MethodPost, "/v1/locks", `{"resources":["acme/infra/vpc/default/"],"owner":"ci:42","ttl":"60s"}`)
	require.Equal(t, http.StatusCreated, code, body)
	var held wire.Lock
	require.NoError(t, json.Unmarshal([]byte(body), &held))
	require.Equal(t, "held", held.State)

	code, body = r.call(t, http.MethodGet, "/v1/decisions/"+held.Decision.ID, "")
	require.Equal(t, http.StatusOK, code, body)
	require.Contains(t, body, `"acme/infra/vpc/default/"`)

	code, body = r.call(t, http.MethodPost, "/v1/decisions", `{"resources":["a","b"],"owner":"ci:42"}`)
	require.Equal(t, http.StatusOK, code, body)
	code, body = r.call(t, http.MethodGet, "/v1/decisions?action=acquire&limit=1", "")
	require.Equal(t, http.StatusOK, code, body)
	code, body = r.call(t, http.MethodGet, "/v1/decisions?action=fly", "")
	require.Equal(t, http.StatusUnprocessableEntity, code, body)

	code, body = r.call(t, http.MethodGet, "/v1/policies", "")
	require.Equal(t, http.StatusOK, code, body)
	require.Contains(t, body, `"source":"profile open"`)
	require.Regexp(t, `"sha256":"[0-9a-f]{64}"`, body)
	code, body = r.call(t, http.MethodGet, "/v1/decisions?cursor=xx", "")
	require.Equal(t, http.StatusUnprocessableEntity, code, body)
	require.Contains(t, body, `"pointer":"cursor"`)

	r.stop()
	require.NoError(t, <-r.ended)
}

func TestApp_keepsLocksInItsFile(t *testing.T) {
	cfg := config()
	cfg.Backend.URL = "file:" + filepath.Join(t.TempDir(), "locks.db")
	first := run(t, cfg, io.Discard)
	code, body := first.call(t, http.MethodPost, "/v1/locks", `{"resources":["a"],"owner":"ci:1"}`)
	require.Equal(t, http.StatusCreated, code, body)

	_, err := app.New(t.Context(), cfg, options(io.Discard))
	require.ErrorContains(t, err, "locks.db")
	require.NotContains(t, err.Error(), "\n")

	first.stop()
	require.NoError(t, <-first.ended)
	second := run(t, cfg, io.Discard)
	code, body = second.call(t, http.MethodPost, "/v1/locks", `{"resources":["a"],"owner":"ci:2"}`)
	require.Equal(t, http.StatusLocked, code, body)
	second.stop()
	require.NoError(t, <-second.ended)
}

func TestNew_givesTheStoreBackWhenAPartIsRefused(t *testing.T) {
	cfg := config()
	cfg.Backend.URL = "file:" + filepath.Join(t.TempDir(), "locks.db")
	cfg.Policy.Dir = t.TempDir()
	bad := filepath.Join(cfg.Policy.Dir, "bad.rego")
	require.NoError(t, os.WriteFile(bad, []byte("package lockgate.policy.bad\n\nallow if {"), 0o600))
	_, err := app.New(t.Context(), cfg, options(io.Discard))
	require.ErrorContains(t, err, "bad.rego:3:")

	require.NoError(t, os.Remove(bad))
	cfg.Policy.Dir = ""
	r := run(t, cfg, io.Discard)

	taken := config()
	taken.HTTP.Listen = r.Addr()
	_, err = app.New(t.Context(), taken, options(io.Discard))
	require.ErrorContains(t, err, r.Addr()+" is in use")
	r.stop()
	require.NoError(t, <-r.ended)
}

func TestApp_policiesThatDoNotCompileDegrade(t *testing.T) {
	cfg := config()
	cfg.Policy.Dir = t.TempDir()
	cfg.Health = component.Config{CheckInterval: minCheck, ComponentTimeout: minCheck, AutoRestart: true}
	file := filepath.Join(cfg.Policy.Dir, "mine.rego")
	good := "package lockgate.policy.mine\n\nallow contains {\"msg\": \"ok\"} if true\n"
	require.NoError(t, os.WriteFile(file, []byte(good), 0o600))
	r := run(t, cfg, io.Discard)

	require.NoError(t, os.WriteFile(file, []byte("package lockgate.policy.mine\n\nallow if {"), 0o600))
	require.Eventually(t, func() bool {
		_, body := r.call(t, http.MethodGet, "/readyz?verbose", "")
		return strings.Contains(body, "policy: degraded")
	}, patience, minCheck)
	code, body := r.call(t, http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusOK, code, body)
	r.stop()
	require.NoError(t, <-r.ended)
}

func TestApp_metricsOfAllPartsAreWellFormed(t *testing.T) {
	r := run(t, config(), io.Discard)
	code, body := r.call(t, http.MethodPost, "/v1/locks", `{"resources":["a"],"owner":"ci:1"}`)
	require.Equal(t, http.StatusCreated, code, body)
	code, body = r.call(t, http.MethodGet, "/metrics", "")
	require.Equal(t, http.StatusOK, code)
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	for _, sample := range []string{
		`lockgate_build_info{go_version="go",revision="",version="v0.0.0-test"} 1`,
		`lockgate_component_health{component="store"} 1`,
		`lockgate_locks{state="held"} 1`,
		`lockgate_policy_decisions_total{action="acquire",outcome="allow"} 1`,
		`lockgate_http_requests_total{`, "go_goroutines ", "process_start_time_seconds ",
	} {
		require.Contains(t, body, sample)
	}
	r.stop()
	require.NoError(t, <-r.ended)
}

func TestReload_changesTheLevelAndNamesTheRest(t *testing.T) {
	var log bytes.Buffer
	o := options(&log)
	cfg := config()
	a, err := app.New(t.Context(), cfg, o)
	require.NoError(t, err)

	next := cfg
	next.Log.Level = app.LogLevel(slog.LevelError)
	require.Empty(t, a.Reload(next))
	require.Equal(t, slog.LevelError, o.Level.Level())

	next.HTTP.Listen, next.Queue.MaxQueueSize = "127.0.0.1:1", 7
	require.Equal(t, []string{"http.listen", "queue.max_queue_size"}, a.Reload(next))

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, a.Run(ended))
}
