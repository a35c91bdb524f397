package policy

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/core/lock"
)

// shadowing is an engine with a candidate that runs until the test ends.
func shadowing(t *testing.T, live, candidate map[string]string) *Engine {
	t.Helper()
	dir := folder(t, candidate)
	e := engine(t, live, func(c *Config) { c.Shadow.Dir = dir })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, e.Run(ctx)) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return e
}

const patience = 20 * time.Second

func (s *shadow) count(c Change) float64 {
	return testutil.ToFloat64(s.changes.WithLabelValues(string(c)))
}

func TestShadow_saysWhatWouldChangeAndChangesNothing(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	candidate := grantAll + `
deny contains {"code": "new", "msg": "m"} if input.owner.id == "denied"

points contains {"why": "w", "points": 5} if input.owner.id == "moved"

max_ttl_s contains 60 if input.owner.id == "limited"

max_ttl_s contains 1 / 0 if input.owner.id == "broken"
`
	live := "package lockgate.policy.p\n\ngrant contains \"w\" if input.owner.id != \"freed\"\n"
	e := shadowing(t, map[string]string{"p.rego": live}, map[string]string{"p.rego": candidate})
	for owner, want := range map[lock.Owner]Change{
		"same": ChangeNone, "denied": ChangeAllowToDeny, "freed": ChangeDenyToAllow, "moved": ChangePriority,
		"limited": ChangeTerms, "broken": ChangeError,
	} {
		q := question()
		q.Owner = owner
		d := decide(t, e, q)
		require.Equal(t, owner != "freed", d.Allow)
		require.Eventually(t, func() bool { return e.shadow.count(want) == 1 }, patience, time.Millisecond, owner)
		page := []json.RawMessage{}
		logged := func() bool { page, _ = e.Entries(LogQuery{Owner: owner}, 10, ""); return len(page) == 2 }
		if want == ChangeNone {
			require.False(t, logged(), "what does not differ is only counted")
			continue
		}
		require.Eventually(t, logged, patience, time.Millisecond)
		var got struct {
			Shadow   bool   `json:"shadow"`
			ShadowOf string `json:"shadow_of"`
			Change   Change `json:"change"`
			Bundles  map[string]bundleRevision
		}
		require.NoError(t, json.Unmarshal(page[0], &got))
		require.True(t, got.Shadow)
		require.Equal(t, d.ID, got.ShadowOf)
		require.Equal(t, want, got.Change)
		require.Equal(t, e.Status().Shadow.Revision, got.Bundles["lockgate"].Revision)
		require.NotContains(t, string(page[1]), `"shadow":true`)
	}
}

func TestShadow_aCandidateThatDoesNotLoadHindersNobody(t *testing.T) {
	e := shadowing(t, map[string]string{"p.rego": grantAll}, map[string]string{"p.rego": "package lockgate.policy.p\n\ndeny := true\n"})
	require.True(t, decide(t, e, question()).Allow)
	s := e.Status()
	require.Empty(t, s.LastError)
	require.Equal(t, "rule_form", s.Shadow.LastError[0].Code)
	require.Empty(t, s.Shadow.Revision)

	write(t, e.cfg.Shadow.Dir, map[string]string{"p.rego": "package lockgate.policy.p\n\nx := 1\n"})
	require.Eventually(t, func() bool { return e.Status().Shadow.Revision != "" }, patience, time.Millisecond)
	require.True(t, decide(t, e, question()).Allow)
	require.Eventually(t, func() bool { return e.shadow.count(ChangeAllowToDeny) == 1 }, patience, time.Millisecond)
}

func TestShadow_whatItIsBehindWithIsDropped(t *testing.T) {
	dir := folder(t, map[string]string{"p.rego": grantAll})
	e := engine(t, map[string]string{"p.rego": grantAll}, func(c *Config) { c.Shadow.Dir = dir })
	for range shadowBacklog + 3 { // nobody runs the engine
		decide(t, e, question())
	}
	require.InDelta(t, 3, testutil.ToFloat64(e.shadow.dropped), 0)
}

func TestShadow_itsFactsAreAskedFor(t *testing.T) {
	dir := folder(t, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if input.queue.length == 0\n"})
	e := engine(t, map[string]string{"p.rego": grantAll}, func(c *Config) { c.Shadow.Dir = dir })
	require.Equal(t, lock.Needs{Queue: true}, e.Needs())
}
