package app_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/app"
)

// collector is an OTLP/HTTP receiver that counts what it gets.
func collector(t *testing.T) (url string, got chan string) {
	t.Helper()
	got = make(chan string, 64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case got <- r.URL.Path + "\n" + string(body):
		default:
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestTracing_nothingIsExportedUnlessAskedFor(t *testing.T) {
	url, got := collector(t)
	for name, env := range map[string]map[string]string{
		"nothing set": {},
		"none":        {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_EXPORTER": "none"},
		"disabled":    {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SDK_DISABLED": "TRUE"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range env {
				t.Setenv(k, v)
			}
			require.Empty(t, traced(t))
			require.Empty(t, got)
		})
	}
}

func TestTracing_spansGoWhereTheEnvironmentSays(t *testing.T) {
	url, got := collector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	require.NotEmpty(t, traced(t))
	request := <-got
	require.True(t, strings.HasPrefix(request, "/v1/traces\n"))
	for _, word := range []string{"POST /v1/locks", "policy.decide", "service.name", "lockgate", "v0.0.0-test"} {
		require.Contains(t, request, word)
	}
}

func TestTracing_theEnvironmentNamesTheServiceAndTheSampler(t *testing.T) {
	url, got := collector(t)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url+"/mine")
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
	t.Setenv("OTEL_SERVICE_NAME", "gate-of-acme")
	traced(t)
	request := <-got
	require.True(t, strings.HasPrefix(request, "/mine\n"))
	require.Contains(t, request, "gate-of-acme")

	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	require.Empty(t, traced(t))
	require.Empty(t, got)
}

func TestTracing_unknownExporterIsAnErrorOfNew(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	_, err := app.New(t.Context(), config(), options(io.Discard))
	require.ErrorContains(t, err, `OTEL_TRACES_EXPORTER="pigeon"`)
}

// traced runs a gateway for one acquire and answers the trace header of the
// answer.
func traced(t *testing.T) string {
	t.Helper()
	r := run(t, config(), io.Discard)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL()+"/v1/locks", strings.NewReader(`{"resources":["a"],"owner":"ci:1"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusCreated, res.StatusCode)
	r.stop()
	require.NoError(t, <-r.ended)
	http.DefaultClient.CloseIdleConnections()
	return res.Header.Get("Traceparent")
}
