package policy

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/policies"
)

const grantAll = "package lockgate.policy.p\n\ngrant contains \"w\"\n"

func TestReload_aBrokenFolderKeepsTheLastGoodGeneration(t *testing.T) {
	var told []ReloadResult
	dir := folder(t, map[string]string{"p.rego": grantAll})
	cfg := DefaultConfig()
	cfg.Dir = dir
	o := options()
	o.OnReload = func(r ReloadResult) { told = append(told, r) }
	e, err := New(t.Context(), cfg, o)
	require.NoError(t, err)
	first := e.Status()
	require.Equal(t, []ModuleStatus{{Path: "p.rego", Package: "lockgate.policy.p", Revision: first.Modules[0].Revision}}, first.Modules)
	require.Empty(t, first.LastError)
	require.Empty(t, told, "the first load is no reload")

	changed, err := e.Reload(t.Context())
	require.NoError(t, err)
	require.False(t, changed)

	write(t, dir, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrnat contains \"w\"\n"})
	_, err = e.Reload(t.Context())
	require.ErrorContains(t, err, "p.rego:3:1: grnat looks like grant")
	require.True(t, decide(t, e, question()).Allow)
	broken := e.Status()
	require.Equal(t, first.Revision, broken.Revision)
	require.Equal(t, "near_miss", broken.LastError[0].Code)
	require.Len(t, broken.History, 2)

	write(t, dir, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if input.action == \"read\"\n"})
	changed, err = e.Reload(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	require.False(t, decide(t, e, question()).Allow, "what the old policies said is forgotten")
	good := e.Status()
	require.NotEqual(t, first.Revision, good.Revision)
	require.Empty(t, good.LastError)
	require.Len(t, good.History, 3)
	require.Equal(t, []bool{false, true}, []bool{told[0].OK, told[1].OK})
}

func TestReload_aFolderThatIsGoneIsToldOnce(t *testing.T) {
	dir := folder(t, map[string]string{"sub/p.rego": grantAll})
	cfg := DefaultConfig()
	cfg.Dir = dir
	o := options()
	e, err := New(t.Context(), cfg, o)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	for range 3 {
		_, err = e.Reload(t.Context())
		require.ErrorContains(t, err, "read policies")
	}
	require.Len(t, e.Status().History, 2)
	require.InDelta(t, 1, testutil.ToFloat64(e.metrics.reloads.WithLabelValues(outcomeError)), 0)

	write(t, dir, map[string]string{"sub/p.rego": grantAll})
	changed, err := e.Reload(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	require.Empty(t, e.Status().LastError)
}

func TestRun_followsTheFolder(t *testing.T) {
	defer goleak.VerifyNone(t)
	dir := folder(t, map[string]string{"p.rego": grantAll})
	results := make(chan ReloadResult, 8)
	cfg := DefaultConfig()
	cfg.Dir = dir
	o := options()
	o.OnReload = func(r ReloadResult) { results <- r }
	e, err := New(t.Context(), cfg, o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, e.Run(ctx)) })

	// A folder that is made later is followed too.
	write(t, dir, map[string]string{"org/o.rego": "package lockgate.org.acme\n\ngrant contains \"w\"\n"})
	require.False(t, receive(t, results).OK)
	write(t, dir, map[string]string{"org/o.rego": "package lockgate.org.acme\n\nwarn contains {\"code\": \"c\", \"msg\": \"m\"}\n"})
	require.True(t, receive(t, results).OK)
	require.NoError(t, os.Remove(filepath.Join(dir, "p.rego")))
	require.True(t, receive(t, results).OK)
	require.False(t, decide(t, e, question()).Allow)

	cancel()
	wg.Wait()
}

func receive(t *testing.T, results <-chan ReloadResult) ReloadResult {
	t.Helper()
	select {
	case r := <-results:
		return r
	case <-time.After(20 * time.Second): //nolint:forbidigo // the bound of a test that waits for the file system
		require.FailNow(t, "no reload was told")
		return ReloadResult{}
	}
}

func TestRun_withAProfileOnlyWaits(t *testing.T) {
	e := openEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, e.Run(ctx))
}

func TestNew_takesTheShippedAggregatorUnchanged(t *testing.T) {
	text, err := policies.Aggregator()
	require.NoError(t, err)
	require.Empty(t, faults(t, map[string]string{"lockgate/main.rego": string(text), "p.rego": grantAll}))
}

func TestNew_readsLinksAndPassesOverDocuments(t *testing.T) {
	dir := folder(t, map[string]string{
		"..data/p.rego": grantAll, "README.md": "# Ours", ".manifest": "{}", ".git/config.json": "{}",
	})
	require.NoError(t, os.Symlink(filepath.Join("..data", "p.rego"), filepath.Join(dir, "p.rego")))
	cfg := DefaultConfig()
	cfg.Dir = dir
	e, err := New(t.Context(), cfg, options())
	require.NoError(t, err)
	require.Len(t, e.Status().Modules, 1)
}

func TestStatus_warnsOfWhatKeepsDecisionsFromBeingRemembered(t *testing.T) {
	e := engine(t, map[string]string{
		"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if f(input)\n\nf(x) if x.action\n\nmax_queue contains 1 if input.request.time_ns > 5\n",
	}, func(c *Config) { c.Enforcement = map[string]Mode{"freze": ModeWarn} })
	got := e.Status().Warnings
	require.Len(t, got, 3)
	require.Equal(t, []int{3, 7, 0}, []int{got[0].Row, got[1].Row, got[2].Row})
	require.Contains(t, got[0].Msg, "input is read as a whole")
	require.Contains(t, got[1].Msg, "input.request.time_ns differs")
	require.Contains(t, got[2].Msg, "freze")
}

func TestMetrics_allMove(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := folder(t, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if input.lock.held\n\nwarn contains {\"code\": \"c\", \"msg\": input.pull.author}"})
	cfg := DefaultConfig()
	cfg.Dir = dir
	o := options()
	o.Registerer = reg
	e, err := New(t.Context(), cfg, o)
	require.NoError(t, err)
	q := question()
	_, err = e.Decide(t.Context(), q)
	require.Error(t, err)
	q.Facts = heldByBob()
	require.True(t, decide(t, e, q).Allow)
	require.True(t, decide(t, e, q).Allow)
	q.Facts = nil
	q.Resources = nil
	require.False(t, decide(t, e, q).Allow)
	write(t, dir, map[string]string{"p.rego": "package p"})
	_, err = e.Reload(t.Context())
	require.Error(t, err)

	for name, want := range map[string]float64{
		`lockgate_policy_decisions_total{action="acquire",outcome="allow"}`: 2,
		`lockgate_policy_decisions_total{action="acquire",outcome="deny"}`:  1,
		`lockgate_policy_decisions_total{action="acquire",outcome="error"}`: 1,
		`lockgate_policy_decision_seconds{memo="hit"}`:                      1,
		`lockgate_policy_decision_seconds{memo="miss"}`:                     3,
		`lockgate_policy_reloads_total{outcome="ok"}`:                       1,
		`lockgate_policy_reloads_total{outcome="error"}`:                    1,
		`lockgate_policy_errors_total{kind="facts"}`:                        1,
		`lockgate_policy_memo_entries{}`:                                    2,
	} {
		require.InDelta(t, want, gathered(t, reg)[name], 0, name)
	}
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
}
