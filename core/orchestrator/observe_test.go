package orchestrator_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/core/lock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTrace_oneTraceThroughTheWholeWait(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	bubble(t, func(s *setup) { s.tracer = provider.Tracer("test") }, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		ctx, call := provider.Tracer("test").Start(r.t.Context(), "POST /v1/locks")
		c := r.acquire(ctx, "bob", waiting("pr:2", "a"))
		pass(40*time.Second - time.Millisecond)
		_, err := r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		l, err := c.result()
		require.NoError(t, err)
		call.End()
		require.Contains(t, l.Trace.Parent, call.SpanContext().TraceID().String())

		byName := map[string]trace.ReadOnlySpan{}
		for _, s := range spans.Ended() {
			if s.SpanContext().TraceID() == call.SpanContext().TraceID() {
				byName[s.Name()] = s
			}
		}
		for _, name := range []string{"lock.enqueue", "orchestrator.admit", "store.acquire", "lock.wait", "lock.grant", "store.confirm"} {
			require.Contains(t, byName, name)
		}
		wait, enqueue := byName["lock.wait"], byName["lock.enqueue"]
		require.Equal(t, 40*time.Second, wait.EndTime().Sub(wait.StartTime()))
		require.Equal(t, enqueue.SpanContext().SpanID(), wait.Parent().SpanID())
		require.Equal(t, enqueue.SpanContext().SpanID(), byName["lock.grant"].Parent().SpanID())
		require.Equal(t, byName["lock.grant"].SpanContext().SpanID(), byName["store.confirm"].Parent().SpanID())

		pass(10 * time.Second)
		ctx, release := provider.Tracer("test").Start(r.t.Context(), "DELETE /v1/locks/{id}")
		_, err = r.Release(ctx, caller("bob"), l.ID, l.Token)
		require.NoError(t, err)
		release.End()
		ended := spans.Ended()
		last, hold := ended[len(ended)-1], ended[len(ended)-2]
		require.Equal(t, "lock.hold", hold.Name())
		require.Equal(t, 10*time.Second, hold.EndTime().Sub(hold.StartTime()))
		require.Equal(t, call.SpanContext().TraceID(), hold.SpanContext().TraceID())
		require.Equal(t, enqueue.SpanContext().SpanID(), last.Links()[0].SpanContext.SpanID(), "the release leads to the enqueue")
	})
}

func TestMetrics_everyFamilyMoves(t *testing.T) {
	t.Parallel()
	bubble(t, func(s *setup) { s.config.RequestBufferSize, s.config.WorkerCount = 1, 1 }, func(r *rig) {
		holder := r.held("ann", want("pr:1", "a"))
		parked := r.acquire(r.t.Context(), "bob", waiting("pr:2", "a"))
		require.Equal(t, 1.0, gauge(t, r, "lockgate_parked_calls"))
		_, err := r.Release(r.t.Context(), caller("ann"), holder.ID, holder.Token)
		require.NoError(t, err)
		_, err = parked.result()
		require.NoError(t, err)

		r.store.set(errDown) // the worker is busy trying again, one call waits behind it, the next has no room
		first := r.acquire(r.t.Context(), "cy", want("pr:3", "b"))
		second := r.acquire(r.t.Context(), "cy", want("pr:3", "c"))
		third := r.acquire(r.t.Context(), "cy", want("pr:3", "d"))
		var busy *lock.BusyError
		_, err = third.result()
		require.ErrorAs(t, err, &busy)
		require.Equal(t, 1.0, gauge(t, r, "lockgate_admission_queue_length"))
		r.store.set(nil)
		_, err = first.result()
		require.NoError(t, err)
		_, err = second.result()
		require.NoError(t, err)

		families, err := r.reg.Gather()
		require.NoError(t, err)
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "lockgate_deadlock") {
				continue // moved in TestMetrics_deadlockFamiliesMove and the plays of testdata/deadlock
			}
			moved := slices.ContainsFunc(f.Metric, func(m *dto.Metric) bool {
				return m.GetCounter().GetValue() > 0 || m.GetHistogram().GetSampleCount() > 0 || m.GetGauge() != nil
			})
			require.True(t, moved, f.GetName())
		}
		for _, name := range []string{"lockgate_requests_total", "lockgate_wait_seconds", "lockgate_hold_seconds", "lockgate_admission_rejected_total", "lockgate_store_retries_total"} {
			n, err := testutil.GatherAndCount(r.reg, name)
			require.NoError(t, err)
			require.Positive(t, n, name)
		}
		problems, err := testutil.GatherAndLint(r.reg)
		require.NoError(t, err)
		require.Empty(t, problems)
	})
}

func gauge(t *testing.T, r *rig, name string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if strings.EqualFold(f.GetName(), name) {
			return f.Metric[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func TestEstimate_learnsFromHoldTimes(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(r *rig) {
		_, known := r.Estimate("acme", "a", 1)
		require.False(t, known)
		l := r.held("ann", want("pr:1", "a"))
		pass(10 * time.Second)
		_, err := r.Release(r.t.Context(), caller("ann"), l.ID, l.Token)
		require.NoError(t, err)
		pass(time.Second)
		d, known := r.Estimate("acme", "a", 3)
		require.True(t, known)
		require.Equal(t, 30*time.Second, d)
		d, known = r.Estimate("acme", "never seen", 1)
		require.True(t, known, "the mean of all")
		require.Equal(t, 10*time.Second, d)
	})
}
