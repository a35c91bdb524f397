package e2e

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway/wire"
)

// silence is an address that takes connections and never answers, and how often
// it was called.
func silence(t *testing.T) (string, <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	called := make(chan struct{})
	var (
		accepting sync.WaitGroup
		open      []net.Conn
	)
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if open = append(open, c); len(open) == 1 {
				close(called)
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		accepting.Wait()
		for _, c := range open {
			_ = c.Close()
		}
	})
	return l.Addr().String(), called
}

// The exporter itself is more patient with its backend than any limit here.
func TestTracing_aBackendThatIsDownHoldsUpNothing(t *testing.T) {
	t.Parallel()
	t.Run("it refuses connections", func(t *testing.T) {
		t.Parallel()
		servesWithTracesTo(t, freeAddress(t), nil)
	})
	t.Run("it never answers", func(t *testing.T) {
		t.Parallel()
		address, called := silence(t)
		servesWithTracesTo(t, address, called)
	})
}

const grace = 5 * time.Second

// servesWithTracesTo loads a gateway whose spans go nowhere, more of them than it
// has room for, and stops it once its exporter is stuck.
func servesWithTracesTo(t *testing.T, backend string, stuck <-chan struct{}) {
	t.Helper()
	p := startGatewayIn(t, []string{
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_ENDPOINT=http://" + backend,
		"OTEL_EXPORTER_OTLP_TIMEOUT=60000", "OTEL_BSP_EXPORT_TIMEOUT=60000", "OTEL_BSP_SCHEDULE_DELAY=10",
		"OTEL_BSP_MAX_QUEUE_SIZE=64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=64",
	}, freeAddress(t), "--backend.url", "memory:", "--tracing.sample_ratio", "1", "--http.shutdown_grace", grace.String())
	c := newClient(t, p.url)
	var took []time.Duration
	for i := range 300 {
		began := time.Now()
		l, err := c.Acquire(t.Context(), &wire.AcquireRequest{Owner: "ci:1", Resources: []wire.Resource{{Key: fmt.Sprintf("stack/%d", i)}}})
		require.NoError(t, err)
		require.NotEmpty(t, l.TraceID, "nothing is traced")
		_, err = c.Release(t.Context(), l.ID, l.Token)
		require.NoError(t, err)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	require.Less(t, took[len(took)/2], 250*time.Millisecond, "half of all pairs of calls")
	require.Less(t, took[len(took)-1], 5*time.Second, "the slowest pair of calls")
	if stuck != nil {
		<-stuck
	}
	stopped, code := p.stop(t)
	require.Zero(t, code, "%s", p.out)
	require.Less(t, stopped, grace, "%s", p.out)
}
