package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/gateway/wire"
)

func newServer(t *testing.T) *httptest.Server {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	server := httptest.NewServer(handler(root))
	t.Cleanup(server.Close)
	return server
}

func call(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func TestServer_keepsWhatWasWrittenLast(t *testing.T) {
	url := newServer(t).URL + "/vpc"
	status, _ := call(t, http.MethodGet, url, "")
	require.Equal(t, http.StatusNotFound, status)
	for _, state := range []string{`{"serial":1}`, `{"serial":2}`} {
		status, _ = call(t, http.MethodPost, url+"?ID=some-lock", state)
		require.Equal(t, http.StatusOK, status)
		status, got := call(t, http.MethodGet, url, "")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, state, got)
	}
	for range 2 {
		status, _ = call(t, http.MethodDelete, url, "")
		require.Equal(t, http.StatusOK, status)
	}
	status, _ = call(t, http.MethodGet, url, "")
	require.Equal(t, http.StatusNotFound, status)
}

func TestServer_refusesNamesThatAreNoFileNames(t *testing.T) {
	url := newServer(t).URL
	for _, name := range []string{"/..%2Fpasswd", "/Vpc", "/.hidden", "/a.b"} {
		status, _ := call(t, http.MethodPost, url+name, "{}")
		require.Equal(t, http.StatusBadRequest, status, name)
	}
}

// The example's own configuration, with the ports of this test.
func TestExample_appliesThroughAGateway(t *testing.T) {
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("the terraform binary is not installed: ", err)
	}
	gateway := runGateway(t)
	dir := t.TempDir()
	configuration, err := os.ReadFile(filepath.Join("..", "main.tf"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), configuration, 0o600))
	lock := gateway.URL() + "/terraform/acme%2Finfra/vpc"
	for _, arguments := range [][]string{
		{
			"init", "-backend-config=address=" + newServer(t).URL + "/vpc",
			"-backend-config=lock_address=" + lock, "-backend-config=unlock_address=" + lock,
		},
		{"apply", "-auto-approve"},
	} {
		command := exec.CommandContext(t.Context(), binary, arguments...)
		command.Dir = dir
		command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1"}
		output, err := command.CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	status, ended := call(t, http.MethodGet, gateway.URL()+"/v1/locks?namespace=acme%2Finfra&state=released", "")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, ended, `"key":"terraform/vpc"`)
	require.Contains(t, ended, `"owner":"terraform:`)
}

func runGateway(t *testing.T) *app.App {
	t.Helper()
	cfg := app.DefaultConfig()
	cfg.HTTP.Listen, cfg.Backend.URL = "127.0.0.1:0", "memory:"
	logger, level := app.NewLogger(io.Discard, cfg.Log)
	a, err := app.New(t.Context(), cfg, app.Options{Logger: logger, Level: level, Build: wire.Build{Version: "v0.0.0-test"}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	select {
	case <-a.Ready():
	case err := <-ended:
		ended <- err
		require.FailNow(t, "the gateway ended before it was ready")
	}
	return a
}
