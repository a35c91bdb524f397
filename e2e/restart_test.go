package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// site is one place where a gateway runs, again and again, on the same file.
type site struct {
	t       *testing.T
	address string
	store   string
	gateway *gatewayProcess
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, address: freeAddress(t), store: "file:" + filepath.Join(t.TempDir(), "lockgate.db")}
	s.gateway = startGateway(t, s.address, "--backend.url", s.store)
	return s
}

// crash kills the gateway and starts the next one.
func (s *site) crash() {
	s.t.Helper()
	s.gateway.kill()
	s.gateway = startGateway(s.t, s.address, "--backend.url", s.store)
}

// acquire asks for the stack vpc under an idempotency key, in a call that stays
// open for a while when prefer is "wait=…".
func (s *site) acquire(owner, key, prefer string) (int, wire.Lock) {
	s.t.Helper()
	body, err := json.Marshal(&wire.AcquireRequest{
		Namespace: "acme/infra", Owner: owner, Resources: []wire.Resource{{Key: "vpc"}}, Wait: wire.Duration(time.Hour),
	})
	require.NoError(s.t, err)
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.gateway.url+"/v1/locks", bytes.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Prefer", prefer)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(s.t, err)
	defer resp.Body.Close()
	var l wire.Lock
	require.NoError(s.t, json.NewDecoder(resp.Body).Decode(&l), "%s", resp.Status)
	return resp.StatusCode, l
}

const atOnce = "wait=0"

func TestRestart_theSameKeyGetsTheSameLockAndToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	status, before := s.acquire("ci:1", "run-1", atOnce)
	require.Equal(t, http.StatusCreated, status)
	require.Positive(t, before.Token)
	s.crash()

	// The owner alone would get its lock back too: this is about the key.
	status, _ = s.acquire("ci:9", "run-1", atOnce)
	require.Equal(t, http.StatusUnprocessableEntity, status, "the key has made another request")
	status, after := s.acquire("ci:1", "run-1", atOnce)
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, cmp.Diff(before, after))
	status, other := s.acquire("ci:2", "run-2", atOnce)
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, before.ID, other.BlockedBy[0].ID)
}

func TestRestart_theSameKeyGetsTheSamePlaceAndLaterTheLock(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, holder := s.acquire("ci:1", "run-1", atOnce)
	status, first := s.acquire("ci:2", "run-2", atOnce)
	require.Equal(t, http.StatusAccepted, status)
	_, second := s.acquire("ci:3", "run-3", atOnce)
	s.crash()

	// Who comes back first does not matter.
	status, again := s.acquire("ci:3", "run-3", atOnce)
	require.Equal(t, http.StatusAccepted, status)
	require.Empty(t, cmp.Diff(second, again))
	_, again = s.acquire("ci:2", "run-2", atOnce)
	require.Empty(t, cmp.Diff(first, again))
	require.Equal(t, []int{1, 2}, []int{first.Position, second.Position})

	_, err := newClient(t, s.gateway.url).Release(t.Context(), holder.ID, holder.Token)
	require.NoError(t, err)
	_, held := s.acquire("ci:2", "run-2", "wait=30")
	require.Equal(t, client.Held, held.State)
	require.Equal(t, first.ID, held.ID)
	require.Greater(t, held.Token, holder.Token)
	s.crash()

	status, again = s.acquire("ci:2", "run-2", atOnce)
	require.Equal(t, http.StatusOK, status)
	require.Empty(t, cmp.Diff(held, again))
	_, waiting := s.acquire("ci:3", "run-3", atOnce)
	require.Equal(t, second.ID, waiting.ID)
	require.Equal(t, 1, waiting.Position)
}
