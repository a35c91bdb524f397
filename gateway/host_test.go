package gateway_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway/wire"
)

func (r *rig) addressedTo(host, target string) *reply {
	r.t.Helper()
	req, err := r.request(r.t.Context(), http.MethodGet, target, nil)
	require.NoError(r.t, err)
	req.Host = host
	a, err := r.send(req)
	require.NoError(r.t, err)
	return a
}

func TestHost_anonymousCallersMustNameThisMachine(t *testing.T) {
	r := start(t)
	for _, host := range []string{"localhost", "LOCALHOST:7480", "127.0.0.1", "127.8.8.8:80", "[::1]:7480", "[::1]"} {
		require.Equal(t, http.StatusOK, r.addressedTo(host, "/v1/locks").status, host)
	}
	for _, host := range []string{"evil.test", "evil.test:7480", "localhost.evil.test", "10.0.0.7:7480", "127.0.0.1.evil.test"} {
		for _, target := range []string{"/v1/locks", "/v1/events", "/metrics"} {
			p := r.addressedTo(host, target).problem(http.StatusForbidden, wire.CodeDenied)
			require.Contains(t, p.Detail, "localhost", host)
		}
	}
}

func TestHost_isFreeWhenCallersProveWhoTheyAre(t *testing.T) {
	r := start(t, withTokens(t))
	require.Equal(t, http.StatusOK, r.bearer("ann-secret").addressedTo("gate.acme.test", "/v1/locks").status)
	open := start(t, func(s *setup) { s.config.Auth.Insecure = true })
	require.Equal(t, http.StatusOK, open.addressedTo("gate.acme.test", "/v1/locks").status)
}
