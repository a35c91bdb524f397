package gateway_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/terraform"
)

func TestOpenAPI_isValid(t *testing.T) {
	require.NoError(t, document(t).doc.Validate(t.Context()))
}

func TestOpenAPI_namesEveryRouteAndNoOther(t *testing.T) {
	var documented []string
	for path, item := range document(t).doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	served := slices.DeleteFunc(withDoors(t).RouteNames(), toldInProse)
	for i, name := range served {
		served[i] = strings.Replace(name, "/terraform/*", stateLock, 1)
	}
	slices.Sort(documented)
	slices.Sort(served)
	require.Empty(t, cmp.Diff(documented, served), "document (-) and server (+)")
}

// stateLock is the path of Terraform's door in the document.
const stateLock = "/terraform/{namespace}/{state}"

// withDoors builds, beside the gateway of a rig, the one that applications run:
// with the doors that they mount.
func withDoors(t *testing.T) *gateway.Server {
	t.Helper()
	r := start(t)
	s, err := gateway.New(gateway.DefaultConfig(), gateway.Options{
		Orchestrator: r.orch, Policies: r.shelf, Decisions: r.shelf, Health: r.shelf,
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Gatherer: r.registry,
		Mounts: []func(gateway.Routes){terraform.New(r.orch, slog.New(slog.DiscardHandler)).Mount},
	})
	require.NoError(t, err)
	return s
}

// toldInProse reports whether OpenAPI has no place for a route's method.
func toldInProse(route string) bool {
	method, _, _ := strings.Cut(route, " ")
	return method == "LOCK" || method == "UNLOCK"
}

func TestOpenAPI_tellsOfMethodsThatItHasNoPlaceForInProse(t *testing.T) {
	served := slices.DeleteFunc(withDoors(t).RouteNames(), func(route string) bool { return !toldInProse(route) })
	require.Len(t, served, 2)
	prose := document(t).doc.Paths.Value(stateLock).Description
	for _, route := range served {
		method, path, _ := strings.Cut(route, " ")
		require.Equal(t, "/terraform/*", path)
		require.Regexp(t, `\b`+method+` is`, prose)
	}
}

func TestOpenAPI_describesWhatTerraformIsAnswered(t *testing.T) {
	server := withDoors(t).Handler()
	for _, c := range []struct {
		method, body string
		status       int
	}{
		{http.MethodPut, `{"ID":"run-1"}`, http.StatusOK},
		{http.MethodPut, `{"ID":"run-2"}`, http.StatusLocked},
		{http.MethodPut, "", http.StatusUnprocessableEntity},
		{http.MethodDelete, "", http.StatusUnprocessableEntity},
		{http.MethodDelete, `{"ID":"run-9"}`, http.StatusNotFound},
		{http.MethodDelete, `{"ID":"run-1"}`, http.StatusOK},
		{http.MethodDelete, strings.Repeat("x", 1<<16), http.StatusRequestEntityTooLarge},
		{http.MethodGet, "", http.StatusNotImplemented},
		{http.MethodPost, "{}", http.StatusNotImplemented},
	} {
		req := httptest.NewRequestWithContext(t.Context(), c.method, "http://localhost/terraform/acme%2Finfra/vpc", strings.NewReader(c.body))
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, req)
		a := &reply{status: recorder.Code, header: recorder.Header(), body: recorder.Body.Bytes(), t: t}
		require.Equal(t, c.status, a.status, "%s %s: %s", c.method, c.body, a.body)
		require.NoError(t, document(t).holds(req, a))
	}
}

func TestDocs_loadNothingFromElsewhere(t *testing.T) {
	r := start(t)
	a := r.do("GET", "/docs", nil)
	require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'")
	script := string(r.do("GET", "/docs/docs.js", nil).body)
	require.Contains(t, string(a.body), `src="/docs/docs.js"`)
	require.Contains(t, script, `fetch("/openapi.json")`)
	for _, text := range []string{string(a.body), script} {
		require.NotContains(t, text, "://")
		require.NotContains(t, text, "innerHTML")
	}
}

func TestOpenAPI_isServedAsJSON(t *testing.T) {
	r := start(t)
	a := r.do("GET", "/openapi.json", nil)
	require.Equal(t, http.StatusOK, a.status)
	require.True(t, json.Valid(a.body))
	served, err := openapi3.NewLoader().LoadFromData(a.body)
	require.NoError(t, err)
	require.Equal(t, "3.1.0", served.OpenAPI)
	require.Equal(t, r.document.doc.Paths.Len(), served.Paths.Len())
}
