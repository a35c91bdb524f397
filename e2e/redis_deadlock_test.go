package e2e

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
)

// TestGateways_sayThatRedisHasNoDeadlocks: on Redis nobody looks for deadlocks,
// and whoever asks is told so.
func TestGateways_sayThatRedisHasNoDeadlocks(t *testing.T) {
	f := startFleet(t, 1, redistest.Start(t).URL())
	for _, route := range []string{"/v1/graph", "/v1/deadlocks"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.gateways[0].url+route, http.NoBody)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, http.StatusNotImplemented, resp.StatusCode, string(body))
		require.Contains(t, string(body), "does not look for deadlocks")
	}
}
