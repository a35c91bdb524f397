package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/policies"
)

// shippedFiles is what somebody gets who copies lockgate and facts.
func shippedFiles(tb testing.TB) map[string]string {
	tb.Helper()
	files := map[string]string{}
	for _, below := range []string{"lockgate", "facts"} {
		require.NoError(tb, fs.WalkDir(policies.Files(), below, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(policies.Files(), name)
			files[name] = string(text)
			return err
		}))
	}
	return files
}

// extra is a policy and an organisation that use what the shipped ones do not.
func withExtra(files map[string]string) map[string]string {
	files["lockgate/policy/extra.rego"] = `package lockgate.policy.extra

grant contains "a label" if input.request.labels.open == "yes"

deny contains {"code": "extra.ip", "msg": "not from there"} if not net.cidr_contains("192.0.2.0/24", input.request.ip)

warn contains {"code": "extra.claim", "msg": sprintf("claim %v", [input.subject.claims.level])}

points contains {"why": "context", "points": input.request.context.weight}

preempt_below contains 700 if input.want.level == "critical"

preempt_below contains 500 if input.command.destroys > 3

deadlock_action contains "revoke" if input.resource.environment == "dev"

obligation contains {"type": "review", "of": input.resource.repo, "n": count(input.actor.teams)} if input.request.stage == "grant"

level_grant.high contains "held" if input.lock.held

max_queue contains input.queue.length + 1 if input.queue.mine > 0
`
	files["lockgate/org/acme.rego"] = `package lockgate.org.acme

deny contains {"code": "acme.ticket", "msg": "apply needs a CHG- reason"} if {
	input.command.name == "apply"
	not startswith(input.want.reason, "CHG-")
}

points contains {"why": "many", "points": count(input.pull.labels) * 60}

grant contains "of our own" if input.resource.mode == "shared"
`
	return files
}

// anyQuestion draws questions that differ in everything that policies can read.
func anyQuestion() *rapid.Generator[*lock.Question] {
	return rapid.Custom(func(t *rapid.T) *lock.Question {
		some := func(name string, of ...string) string { return rapid.SampledFrom(of).Draw(t, name) }
		q := question()
		q.Action = lock.Action(rapid.IntRange(int(lock.ActAcquire), int(lock.ActAdmin)).Draw(t, "action"))
		q.Stage = lock.Stage(rapid.IntRange(0, 1).Draw(t, "stage"))
		q.RequestID = some("id", "A", "B")
		q.Time = time.Date(2026, 11, rapid.IntRange(20, 30).Draw(t, "day"), rapid.IntRange(0, 23).Draw(t, "hour"), 0, 0, 0, time.UTC)
		q.Namespace = lock.Namespace(some("namespace", "acme/infra", "default", "other/infra"))
		q.Resources = []lock.Resource{{
			Key:  lock.Key(some("key", "acme/infra/vpc/default/", "terraform/sandbox", "db")),
			Mode: lock.Mode(rapid.IntRange(0, 1).Draw(t, "mode")),
		}}
		q.Caller.Source = lock.Source(rapid.IntRange(0, 4).Draw(t, "source"))
		q.Caller.IP = some("ip", "192.0.2.1", "198.51.100.1")
		q.Caller.Subject.ID = some("subject", "ann", "dana", "ci@acme")
		q.Caller.Subject.Kind = lock.SubjectKind(rapid.IntRange(0, 3).Draw(t, "kind"))
		q.Caller.Subject.Roles = [][]string{nil, {"admin"}, {"delegate"}}[rapid.IntRange(0, 2).Draw(t, "roles")]
		q.Caller.Subject.Claims = []map[string]any{
			nil, {"level": json.Number("3")}, {"level": "3", "other": []any{"x", true, nil}},
		}[rapid.IntRange(0, 2).Draw(t, "claims")]
		q.Caller.Actor.ID = some("actor", q.Caller.Subject.ID, "bob")
		q.Caller.Actor.VouchedBy = some("vouched", "", q.Caller.Subject.ID)
		q.Caller.Actor.Teams = [][]string{nil, {"net"}, {"apps", "net"}}[rapid.IntRange(0, 2).Draw(t, "teams")]
		q.Want.Priority = lock.Priority(rapid.IntRange(0, 4).Draw(t, "level"))
		q.Want.Reason = some("reason", "", "CHG-1 a change")
		q.Want.Incident = some("incident", "", "INC-42")
		q.Labels = []map[string]string{nil, {"open": "yes"}, {"open": "no", "x": "y"}}[rapid.IntRange(0, 2).Draw(t, "labels")]
		q.Context = anyContext(t)
		q.Facts = []lock.Facts{{QueueLength: rapid.IntRange(0, 3).Draw(t, "queue"), Mine: rapid.IntRange(0, 1).Draw(t, "mine")}}
		if rapid.Bool().Draw(t, "held") {
			q.Facts[0].Holder = &lock.Lock{Owner: "atlantis:acme/infra#7", Subject: "bob", Value: 400}
		}
		return q
	})
}

func anyContext(t *rapid.T) json.RawMessage {
	pull := rapid.SampledFrom([]string{
		``, `"pull":{"num":42,"author":"renovate[bot]","labels":["hotfix"],"base_branch":"main"},`, `"pull":{"labels":["a","b"]},`,
	}).Draw(t, "pull")
	command := rapid.SampledFrom([]string{`"plan"`, `"apply"`, `{"name":"apply","destroys":9}`, `"strange"`}).Draw(t, "command")
	weight := rapid.SampledFrom([]string{`1`, `-7`, `900`}).Draw(t, "weight")
	return json.RawMessage(fmt.Sprintf(`{%s"command":%s,"weight":%s}`, pull, command, weight))
}

// changes are the ways in which one question can differ from another.
func changes() []func(to, from *lock.Question) {
	return []func(to, from *lock.Question){
		func(*lock.Question, *lock.Question) {},
		func(to, from *lock.Question) { to.Action = from.Action },
		func(to, from *lock.Question) { to.Stage = from.Stage },
		func(to, from *lock.Question) { to.RequestID = from.RequestID },
		func(to, from *lock.Question) { to.Time = from.Time },
		func(to, from *lock.Question) { to.Namespace = from.Namespace },
		func(to, from *lock.Question) { to.Resources = from.Resources },
		func(to, from *lock.Question) { to.Caller.Source = from.Caller.Source },
		func(to, from *lock.Question) { to.Caller.IP = from.Caller.IP },
		func(to, from *lock.Question) { to.Caller.Subject.ID = from.Caller.Subject.ID },
		func(to, from *lock.Question) { to.Caller.Subject.Kind = from.Caller.Subject.Kind },
		func(to, from *lock.Question) { to.Caller.Subject.Roles = from.Caller.Subject.Roles },
		func(to, from *lock.Question) { to.Caller.Subject.Claims = from.Caller.Subject.Claims },
		func(to, from *lock.Question) { to.Caller.Actor = from.Caller.Actor },
		func(to, from *lock.Question) { to.Want.Priority = from.Want.Priority },
		func(to, from *lock.Question) { to.Want.Reason = from.Want.Reason },
		func(to, from *lock.Question) { to.Want.Incident = from.Want.Incident },
		func(to, from *lock.Question) { to.Labels = from.Labels },
		contextMember("pull"), contextMember("command"), contextMember("weight"),
		func(to, from *lock.Question) { to.Facts = from.Facts },
	}
}

// contextMember takes one member of the context from another question.
func contextMember(name string) func(to, from *lock.Question) {
	return func(to, from *lock.Question) {
		var mine, theirs map[string]json.RawMessage
		if json.Unmarshal(to.Context, &mine) != nil || json.Unmarshal(from.Context, &theirs) != nil {
			return
		}
		delete(mine, name)
		if member, ok := theirs[name]; ok {
			mine[name] = member
		}
		to.Context, _ = json.Marshal(mine)
	}
}

// What is remembered is what an evaluation would give, and the shipped
// aggregator agrees with the engine. Each question is asked again with one
// thing changed: a memo key that forgets a thing would answer the old verdict.
func TestDecide_memoEngineAndAggregatorAgree(t *testing.T) {
	operator := map[string]any{
		"enforcement": map[string]any{"freeze": "warn", "org/acme": "deny", "limits": "shadow"},
		"may_grant":   []any{"acme"},
	}
	e := engine(t, withExtra(shippedFiles(t)), func(c *Config) {
		c.Enforcement = map[string]Mode{"freeze": ModeWarn, "org/acme": ModeDeny, "limits": ModeShadow}
		c.MayGrant = []string{"acme"}
	})
	aggregator := outside(t, withExtra(shippedFiles(t)), operator)
	g := e.current.Load()
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		q := anyQuestion().Draw(t, "question")
		for range 10 {
			other := anyQuestion().Draw(t, "other")
			change := rapid.IntRange(0, len(changes())-1).Draw(t, "change")
			changes()[change](q, other)
			a, err := e.ask(context.Background(), g, q)
			require.NoError(t, err)
			if a.hit {
				hits++
			}
			v := &view{}
			v.reset(q, 0, g.facts)
			fresh, err := g.evaluate(context.Background(), g.ward(v), v)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(plain(t, fresh), plain(t, a.verdicts[0])))

			input, err := g.inputs.build(v)
			require.NoError(t, err)
			results, err := aggregator.Eval(context.Background(), rego.EvalParsedInput(input.Value), rego.EvalSortSets(true))
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(plain(t, results[0].Expressions[0].Value), plain(t, fresh)))
		}
	})
	require.Greater(t, hits, 20, "hardly anything was ever remembered")
}

// outside evaluates the shipped files as opa eval would.
func outside(t *testing.T, files map[string]string, operator map[string]any) rego.PreparedEvalQuery {
	t.Helper()
	options := []func(*rego.Rego){rego.Query("data.lockgate.decision"), rego.StrictBuiltinErrors(true)}
	var facts any
	for name, text := range files {
		switch {
		case strings.HasSuffix(name, ".json"):
			require.NoError(t, json.Unmarshal([]byte(text), &facts))
		case !strings.Contains(name, "/test/"):
			options = append(options, rego.ParsedModule(parsed(t, name, text)))
		}
	}
	options = append(options, rego.Store(inmem.NewFromObject(map[string]any{"facts": facts, "operator": operator})))
	pq, err := rego.New(options...).PrepareForEval(t.Context())
	require.NoError(t, err)
	return pq
}

func parsed(t *testing.T, name, text string) *ast.Module {
	t.Helper()
	m, err := ast.ParseModuleWithOpts(name, text, ast.ParserOptions{RegoVersion: ast.RegoV1})
	require.NoError(t, err)
	return m
}

// plain is a value as JSON gives it back.
func plain(t require.TestingT, v any) any {
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var out any
	require.NoError(t, json.Unmarshal(text, &out))
	return out
}

func TestDecide_shippedPoliciesAnswerInTheGatewaysWords(t *testing.T) {
	e := engine(t, shippedFiles(t))
	q := question()
	q.Want.Priority = lock.High
	d := decide(t, e, q)
	require.True(t, d.Allow)
	require.Equal(t, lock.Normal, d.Priority, "nobody grants high to ann")
	require.Equal(t, 400+50+30, d.Value)
	require.Equal(t, time.Hour, d.Limits.TTL)
	require.Equal(t, 24*time.Hour, *d.Limits.Wait)
	require.Equal(t, 100, *d.Limits.Queue)
	require.Equal(t, "cancel_wait", d.DeadlockAction)

	q.Caller.Actor.Teams = nil
	d = decide(t, e, q)
	require.False(t, d.Allow)
	require.Equal(t, []lock.Reason{{Policy: "lockgate", Code: "no_grant", Msg: "no policy grants acquire"}}, d.Reasons)
}

func TestDecide_aFreezeBeginsWhileTheRequestWaits(t *testing.T) {
	e := engine(t, shippedFiles(t))
	q := question()
	require.True(t, decide(t, e, q).Allow)
	q.Stage, q.Time = lock.AtGrant, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)
	d := decide(t, e, q)
	require.False(t, d.Allow)
	require.Equal(t, []lock.Reason{{Policy: "freeze", Code: "freeze.active", Msg: "peak-2026 is in force: peak trading"}}, d.Reasons)
	q.Time = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	require.True(t, decide(t, e, q).Allow)
}

func TestDecide_severalResourcesGetTheStrictest(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": `package lockgate.policy.p

grant contains "w" if input.resource.path in {"a", "b"}

max_ttl_s contains 60 if input.resource.path == "a"

max_wait_s contains 10 if input.resource.path == "a"

max_wait_s contains 5 if input.resource.path == "b"

max_queue contains 7 if input.resource.path == "b"

points contains {"why": "a", "points": 30} if input.resource.path == "a"

warn contains {"code": "c", "msg": "m"}

obligation contains {"type": "both"}

obligation contains {"type": "b"} if input.resource.path == "b"

deadlock_action contains "revoke" if input.resource.path == "a"
`})
	q := question()
	q.Resources = []lock.Resource{{Key: "acme/infra/a/default/"}, {Key: "acme/infra/b/default/"}}
	d := decide(t, e, q)
	wait, queue := 5*time.Second, 7
	want := lock.Decision{
		Allow: true, Priority: lock.Normal, Value: 430, DeadlockAction: "cancel_wait",
		Limits:      lock.Limits{TTL: time.Minute, Wait: &wait, Queue: &queue},
		Obligations: []map[string]any{{"type": "both"}, {"type": "b"}},
		Summary:     lock.Summary{ID: d.ID, Revision: d.Revision, Reasons: []lock.Reason{}, Warnings: []lock.Reason{{Policy: "p", Code: "c", Msg: "m"}}},
	}
	require.Empty(t, cmp.Diff(want, d))

	q.Resources = append(q.Resources, lock.Resource{Key: "acme/infra/c/default/"})
	d = decide(t, e, q)
	require.False(t, d.Allow)
	require.Equal(t, "no_grant", d.Reasons[0].Code)
}

func TestDecide_withoutResourcesIsAskedOnce(t *testing.T) {
	e := engine(t, shippedFiles(t))
	q := question()
	q.Action, q.Resources = lock.ActAdmin, nil
	require.False(t, decide(t, e, q).Allow)
	q.Caller.Subject.Roles = []string{"admin"}
	require.True(t, decide(t, e, q).Allow)
}

func TestDecide_aFaultInsideAPolicyRefuses(t *testing.T) {
	for name, c := range map[string]struct{ rego, want string }{
		"builtin error in a denial": {`deny contains {"code": "c", "msg": "m"} if to_number(input.want.reason) > 5`, "to_number"},
		"builtin error under not":   {"broken if to_number(input.want.reason) > 5\n\ngrant contains \"w\" if not broken", "to_number"},
		"limit from a wrong fact":   {`max_ttl_s contains data.facts.ttl`, "max_ttl_s of policy p"},
		"negative limit":            {`max_wait_s contains -1`, "no integer from 0"},
		"lease of nothing":          {`max_ttl_s contains 0`, "no integer from 1"},
		"half a point":              {`points contains {"why": "w", "points": 0.5}`, "no integer"},
		"denial from a wrong fact":  {`deny contains data.facts.denial`, "deny of policy p"},
		"unknown deadlock action":   {`deadlock_action contains "kill"`, `"kill" is no deadlock action`},
		"unending":                  {"grant contains \"w\" if {\n\tsome a in numbers.range(1, 1000000)\n\tsome b in numbers.range(1, 1000000)\n\ta * b == -1\n}", "longer than its budget"},
		"conflict":                  {"x := 1 if input.action == \"acquire\"\n\nx := 2 if input.want.level == \"normal\"\n\ngrant contains \"w\" if x == 1", "conflict"},
		"too much":                  {"warn contains {\"code\": \"c\", \"msg\": m} if {\n\tsome n in numbers.range(1, 70)\n\tm := concat(\"\", [sprintf(\"%d\", [n]), sprintf(\"%1024d\", [1])])\n}", "more than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine(t, map[string]string{
				"a.rego":          "package lockgate.policy.a\n\ngrant contains \"always\"",
				"p.rego":          "package lockgate.policy.p\n\n" + c.rego,
				"facts/data.json": `{"ttl": "15m", "denial": {"code": "c"}}`,
			}, func(c *Config) {
				if name == "unending" {
					c.Budget = 50 * time.Millisecond
				}
			})
			q := question()
			q.Want.Reason = "no number"
			d, err := e.Decide(t.Context(), q)
			var refused *lock.PolicyError
			require.ErrorAs(t, err, &refused)
			require.ErrorContains(t, err, c.want)
			require.False(t, d.Allow)
			require.Equal(t, d.ID, refused.DecisionID)
			_, logged := e.Entry(d.ID)
			require.True(t, logged)
			require.Zero(t, e.current.Load().memo.size(), "an error is not remembered")
		})
	}
}

func TestDecide_needsTheFactsThatPoliciesRead(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if input.queue.length == 0"})
	require.Equal(t, lock.Needs{Queue: true}, e.Needs())
	q := question()
	_, err := e.Decide(t.Context(), q)
	require.ErrorIs(t, err, errNoFacts)
	q.Facts = []lock.Facts{{}}
	require.True(t, decide(t, e, q).Allow)
}

func TestDecide_contextThatCannotBeReadIsTheCallersFault(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if not input.pull.draft"})
	q := question()
	q.Context = json.RawMessage(`{"pull": {"draft": "yes"}}`)
	_, err := e.Decide(t.Context(), q)
	var invalid *lock.InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "/context", invalid.Faults[0].Pointer)
}

func TestDecide_endsWithItsCaller(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if {\n\tsome a in numbers.range(1, 1000000)\n\tsome b in numbers.range(1, 1000000)\n\ta * b == -1\n}"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.Decide(ctx, question())
	require.True(t, errors.Is(err, context.Canceled), "%v", err)
}

func TestDecide_inputHasABound(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if \"net\" in input.subject.teams"})
	q := question()
	q.Caller.Subject.Teams = []string{strings.Repeat("x", maxInputBytes)}
	_, err := e.Decide(t.Context(), q)
	require.ErrorContains(t, err, "the input has more than 65536 bytes")
}
