package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

const (
	acmeWarns = "package lockgate.org.acme\n\nwarn contains {\"code\": \"c\", \"msg\": \"first\"}\n"
	acmeWrong = "package lockgate.org.acme\n\nwarn contains \"second\"\n"
)

// about asks for a resource of an organisation.
func about(org string) *lock.Question {
	q := question()
	q.Namespace = lock.Namespace(org + "/infra")
	q.Resources = []lock.Resource{{Key: lock.Key(org + "/infra/vpc/default/")}}
	return q
}

func TestReload_aBrokenOrganisationFallsBackAlone(t *testing.T) {
	for name, broken := range map[string]string{
		"type":          acmeWrong,
		"syntax":        "package lockgate.org.acme\n\nwarn contains",
		"delegation":    "package lockgate.org.acme\n\ngrant contains \"all\"\n",
		"a field":       "package lockgate.org.acme\n\nwarn contains {\"code\": \"c\", \"msg\": input.subject.nmae}\n",
		"golden input":  "package lockgate.org.acme\n\nwarn contains {\"code\": \"c\", \"msg\": \"m\"} if to_number(input.owner.id) > 5\n",
		"quoted":        "package lockgate.org[\"acme\"]\n\ndeny := true\n",
		"own test":      acmeWarns + "\nrule_of_test := 1\n",
		"unknown value": "package lockgate.org.acme\n\nwarn contains {\"code\": \"c\", \"msg\": \"m\"} if input.action == \"lokc\"\n",
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"p.rego": grantAll, "acme/a.rego": acmeWarns, "umbrella/u.rego": "package lockgate.org.umbrella\n\nx := 1\n"}
			e := engine(t, files)
			dir := e.cfg.Dir
			changed := map[string]string{
				"acme/a.rego":     broken,
				"p.rego":          grantAll + "\nwarn contains {\"code\": \"p\", \"msg\": \"newer platform\"}\n",
				"umbrella/u.rego": "package lockgate.org.umbrella\n\nwarn contains {\"code\": \"u\", \"msg\": \"newer\"}\n",
			}
			if name == "own test" {
				changed["acme/a_test.rego"] = "package lockgate.test.acme\n\ntest_it if data.lockgate.org.acme.rule_of_test == 2\n"
			}
			write(t, dir, changed)
			got, err := e.Reload(t.Context())
			require.NoError(t, err)
			require.True(t, got)

			require.Equal(t, []lock.Reason{
				{Policy: "org/acme", Code: "c", Msg: "first"},
				{Policy: "p", Code: "p", Msg: "newer platform"},
			}, decide(t, e, about("acme")).Warnings)
			require.Len(t, decide(t, e, about("umbrella")).Warnings, 2)
			s := e.Status()
			require.Len(t, s.Orgs, 1)
			require.Equal(t, "acme", s.Orgs[0].Organisation)
			require.Equal(t, OrgLastGood, s.Orgs[0].State)
			require.Equal(t, s.Orgs[0].Faults, s.LastError)
			require.Contains(t, s.LastError[0].File, "acme/")
			require.False(t, s.History[0].OK)

			write(t, dir, map[string]string{"acme/a.rego": acmeWarns + "\nwarn contains {\"code\": \"d\", \"msg\": \"third\"}\n\nrule_of_test := 2\n"})
			_, err = e.Reload(t.Context())
			require.NoError(t, err)
			require.Len(t, decide(t, e, about("acme")).Warnings, 3)
			require.Empty(t, e.Status().Orgs)
			require.Empty(t, e.Status().LastError)
		})
	}
}

func TestNew_aBrokenOrganisationWithoutAnEarlierPackageIsClosed(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll, "acme/a.rego": acmeWrong})
	_, err := e.Decide(t.Context(), about("acme"))
	var refused *lock.PolicyError
	require.ErrorAs(t, err, &refused)
	require.True(t, refused.Quarantined)
	require.ErrorContains(t, err, "refused when it was loaded")
	require.True(t, decide(t, e, about("umbrella")).Allow)
	require.Equal(t, OrgClosed, e.Status().Orgs[0].State)
	require.Equal(t, "rule_type", e.Status().Orgs[0].Faults[0].Code)
}

// Old files that do not go with a new library are not put in force.
func TestReload_lastGoodFilesThatNoLongerFitCloseTheOrganisation(t *testing.T) {
	e := engine(t, map[string]string{
		"p.rego": grantAll, "lib.rego": "package lockgate.lib.l\n\nx := 1\n",
		"acme/a.rego": "package lockgate.org.acme\n\nwarn contains {\"code\": \"c\", \"msg\": \"m\"} if data.lockgate.lib.l.x == 1\n",
	})
	write(t, e.cfg.Dir, map[string]string{"lib.rego": "package lockgate.lib.l\n\ny := 1\n", "acme/a.rego": acmeWrong})
	_, err := e.Reload(t.Context())
	require.NoError(t, err)
	require.Equal(t, OrgClosed, e.Status().Orgs[0].State)
	require.Len(t, e.Status().Orgs[0].Faults, 2)
}

func TestReload_aFaultOfThePlatformKeepsEverything(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll, "acme/a.rego": acmeWarns})
	write(t, e.cfg.Dir, map[string]string{"p.rego": "package lockgate.policy.p\n\ndeny := true\n", "acme/a.rego": acmeWrong})
	_, err := e.Reload(t.Context())
	require.ErrorContains(t, err, "p.rego:3:1")
	require.Len(t, decide(t, e, about("acme")).Warnings, 1)
}

func TestNew_runsTheCandidatesOwnTests(t *testing.T) {
	test := func(body string) map[string]string {
		return map[string]string{"p.rego": grantAll, "p_test.rego": "package lockgate.test.p\n\n" + body}
	}
	require.Empty(t, faults(t, test("test_grant if \"w\" in data.lockgate.policy.p.grant")))
	require.Empty(t, faults(t, test("test_decision if data.lockgate.decision.allow with input as {\"action\": \"read\"}")))
	got := faults(t, test("test_grant if \"w\" in data.lockgate.policy.p.grant\n\ntest_other if \"x\" in data.lockgate.policy.p.grant"))
	require.Len(t, got, 1)
	require.Equal(t, Fault{File: "p_test.rego", Row: 5, Col: 1, Code: "test_failed", Msg: got[0].Msg}, got[0])
	require.Contains(t, got[0].Msg, "test_other")

	got = faults(t, test("bad if to_number(\"x\") == 1\n\ntest_error if not bad"))
	require.Len(t, got, 1, "a builtin error is no undefined")
	require.Equal(t, "test_failed", got[0].Code)

	got = faults(t, test("test_call if http.send({\"method\": \"get\", \"url\": \"http://x\"})"))
	require.Equal(t, 3, got[0].Row)
	require.Contains(t, got[0].Msg, "http.send")
}

func TestDifference_findsTheVoiceThatChanged(t *testing.T) {
	a := ast.MustParseTerm(`[{1}, {2, 3}]`).Value.(*ast.Array)
	b := ast.MustParseTerm(`[{1}, {2, 4}]`).Value.(*ast.Array)
	require.Equal(t, -1, difference(a, a))
	require.Equal(t, 1, difference(a, b))
}

// slowOn is an organisation's rule that never ends for one owner.
const slowOn = "package lockgate.org.acme\n\nwarn contains {\"code\": \"c\", \"msg\": \"m\"} if {\n\tinput.owner.id == \"slow\"\n" +
	"\tsome a in numbers.range(1, 1000000)\n\tsome b in numbers.range(1, 1000000)\n\ta * b == -1\n}\n"

func TestDecide_threeTimeoutsQuarantineTheOrganisation(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll, "acme/a.rego": slowOn}, func(c *Config) { c.Budget = 50 * time.Millisecond })
	slow := about("acme")
	slow.Owner = "slow"
	require.True(t, decide(t, e, about("acme")).Allow)
	for range quarantineAfter {
		_, err := e.Decide(t.Context(), slow)
		require.ErrorIs(t, err, errBudget)
	}
	for _, q := range []*lock.Question{slow, about("acme")} {
		_, err := e.Decide(t.Context(), q)
		var refused *lock.PolicyError
		require.ErrorAs(t, err, &refused)
		require.True(t, refused.Quarantined)
		require.ErrorIs(t, err, errQuarantined)
	}
	require.True(t, decide(t, e, about("umbrella")).Allow)
	require.Equal(t, []OrgStatus{{Organisation: "acme", State: OrgQuarantined}}, e.Status().Orgs)

	write(t, e.cfg.Dir, map[string]string{"p.rego": grantAll + "\nx := 1\n"})
	_, err := e.Reload(t.Context())
	require.NoError(t, err)
	_, err = e.Decide(t.Context(), about("acme"))
	require.ErrorIs(t, err, errQuarantined, "its package has not changed")

	write(t, e.cfg.Dir, map[string]string{"acme/a.rego": acmeWarns})
	_, err = e.Reload(t.Context())
	require.NoError(t, err)
	require.True(t, decide(t, e, slow).Allow)
	require.Empty(t, e.Status().Orgs)
}

func TestDecide_aSlowPlatformIsNoFaultOfTheOrganisation(t *testing.T) {
	slow := "package lockgate.policy.p\n\ngrant contains \"w\"\n\n" + slowOn[len("package lockgate.org.acme\n\n"):]
	e := engine(t, map[string]string{"p.rego": slow, "acme/a.rego": acmeWarns}, func(c *Config) { c.Budget = 20 * time.Millisecond })
	q := about("acme")
	q.Owner = "slow"
	for range 2 * quarantineAfter {
		_, err := e.Decide(t.Context(), q)
		require.ErrorIs(t, err, errBudget)
	}
	require.True(t, decide(t, e, about("acme")).Allow)
}

func TestGuard_onlyTimeoutsWithinTheWindowQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard("", 50*time.Millisecond)
		tick := time.NewTicker(quarantineWindow / 2)
		defer tick.Stop()
		for range 10 {
			g.spent(50*time.Millisecond, errBudget)
			<-tick.C
		}
		require.False(t, g.isQuarantined())
		g.spent(20*time.Millisecond, errBudget) // most of the budget went elsewhere
		g.spent(20*time.Millisecond, errBudget)
		require.False(t, g.isQuarantined())
		g.spent(50*time.Millisecond, errBudget)
		g.spent(50*time.Millisecond, errBudget)
		require.True(t, g.isQuarantined())
	})
}

func TestGuard_aSlowPackageGetsOneEvaluationAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuard("", 50*time.Millisecond)
		leave, err := g.enter(t.Context())
		require.NoError(t, err)
		leave()
		g.spent(20*time.Millisecond, nil)

		leave, err = g.enter(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = g.enter(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		var wg sync.WaitGroup
		var second error
		wg.Go(func() { _, second = g.enter(t.Context()) })
		synctest.Wait()
		for range quarantineAfter {
			g.spent(50*time.Millisecond, errBudget)
		}
		leave()
		wg.Wait()
		require.True(t, errors.Is(second, errQuarantined), "who waited is refused too")
	})
}

// A thousand organisations, one of them changed: only that one is proven again.
func TestReload_onlyWhatChangedIsProvenAgain(t *testing.T) {
	files := map[string]string{"p.rego": grantAll}
	for i := range 20 {
		files[fmt.Sprintf("o%d.rego", i)] = fmt.Sprintf("package lockgate.org.o%d\n\nx := 1\n", i)
	}
	e := engine(t, files)
	before := e.live.current.Load().proven
	require.Len(t, before, 21)
	write(t, e.cfg.Dir, map[string]string{"o3.rego": "package lockgate.org.o3\n\nx := 2\n"})
	_, err := e.Reload(t.Context())
	require.NoError(t, err)
	fresh := 0
	for digest := range e.live.current.Load().proven {
		if !before[digest] {
			fresh++
		}
	}
	require.Equal(t, 1, fresh)
}
