package policy

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

const guarded = `package lockgate.policy.p

grant contains "on the list" if {
	input.action == "acquire"
	listed
}

grant contains "reader" if {
	input.action in {"read", "admin"}
	listed
}

grant contains "administrator" if "admin" in input.subject.roles

listed if {
	some name in data.facts.listed
	name == input.subject.id
}

deny contains {"code": "draft", "msg": "drafts wait"} if input.pull.draft
`

func TestExplain_tellsWhatKeepsTheCallerOut(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": guarded, "facts/data.json": `{"listed": ["bob", "eve"]}`})
	q := question()
	q.Context = json.RawMessage(`{"pull": {"draft": true}}`)
	d, err := e.Decide(t.Context(), q)
	require.NoError(t, err)
	list, err := e.Explain(t.Context(), d.ID)
	require.NoError(t, err)
	require.Len(t, list, 1)
	x := list[0]
	require.False(t, x.Allow)
	require.Equal(t, "acme/infra/vpc/default/", x.Resource)
	require.Equal(t, []Missing{
		{Grant: "p.grant:13", File: "p.rego", Row: 13, Line: `"admin" in input.subject.roles`},
		{Grant: "p.grant:3", File: "p.rego", Row: 5, Line: "listed"},
		{Grant: "p.grant:3", File: "p.rego", Row: 17, Line: "name == input.subject.id"},
	}, x.Missing)
	require.Equal(t, []lock.Reason{{Policy: "p", Code: "draft", Msg: "drafts wait"}}, x.Denials)
	require.Equal(t, []string{"p.deny:20"}, x.Rules)
	require.Greater(t, len(x.Trace), 10)

	_, err = e.Explain(t.Context(), "nobody")
	require.ErrorIs(t, err, ErrNoEntry)
}

// What failed on the way to a grant that was given keeps nobody out.
func TestExplain_missesNothingWhereSomethingGrants(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": guarded, "facts/data.json": `{"listed": ["bob", "ann"]}`})
	d, err := e.Decide(t.Context(), question())
	require.NoError(t, err)
	list, err := e.Explain(t.Context(), d.ID)
	require.NoError(t, err)
	require.True(t, list[0].Allow)
	require.Empty(t, list[0].Missing)
	require.Equal(t, []string{"p: on the list"}, list[0].Grants)
}

// An explanation is about the policies that decided, not about today's.
func TestExplain_asksThePoliciesOfThen(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": guarded, "facts/data.json": `{"listed": ["ann"]}`})
	d, err := e.Decide(t.Context(), question())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(e.cfg.Dir, "facts", "data.json"), []byte(`{"listed": []}`), 0o600))
	changed, err := e.Reload(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	list, err := e.Explain(t.Context(), d.ID)
	require.NoError(t, err)
	require.True(t, list[0].Allow)
}

// What did not end within its budget does not end because somebody asks why.
func TestExplain_hasABudgetToo(t *testing.T) {
	e := engine(t, map[string]string{
		"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if {\n\tinput.want.reason == \"slowly\"\n\tsome i in numbers.range(1, 100000000)\n\ti < 0\n}\n",
	}, func(c *Config) { c.Budget = time.Millisecond })
	q := question()
	q.Want.Reason = "slowly" // no golden input says so
	_, err := e.Decide(t.Context(), q)
	refused, ok := errors.AsType[*lock.PolicyError](err)
	require.True(t, ok, "%v", err)
	_, err = e.Explain(t.Context(), refused.DecisionID)
	require.Error(t, err)
}

func loaded(t *testing.T, files map[string]string) *Candidate {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Budget = time.Minute // a busy machine fails no test
	c, err := NewCandidate(t.Context(), os.DirFS(folder(t, files)), cfg)
	require.NoError(t, err)
	return c
}

// A candidate asked about the input of a log entry says what the engine said.
func TestCandidate_decidesAsTheEngineDoes(t *testing.T) {
	files := shippedFiles(t)
	files["lockgate/org/acme.rego"] = "package lockgate.org.acme\n\npoints contains {\"why\": \"ours\", \"points\": 500}\n"
	e, c := engine(t, files), loaded(t, files)
	require.Equal(t, e.live.current.Load().revision, c.Revision())
	d, err := e.Decide(t.Context(), question())
	require.NoError(t, err)
	require.True(t, d.Allow)
	text, ok := e.Entry(d.ID)
	require.True(t, ok)
	var entry struct{ Input, Result json.RawMessage }
	require.NoError(t, json.Unmarshal(text, &entry))
	out, err := c.Decide(t.Context(), entry.Input)
	require.NoError(t, err)
	got, err := json.Marshal(out)
	require.NoError(t, err)
	require.JSONEq(t, string(entry.Result), string(got))
	require.True(t, out.Allow())
	_, value := out.Priority()
	require.Equal(t, d.Value, value)
	require.Contains(t, out.Rules(), "rbac.grant.owner")
	require.Contains(t, string(got), "org/acme")
}

func TestCandidate_completesAnInput(t *testing.T) {
	c := loaded(t, shippedFiles(t))
	whole, err := c.Complete(json.RawMessage(`{
		"subject": {"id": "ann", "teams": ["net"]}, "owner": {"id": "ci:42"}, "command": {"name": "apply"},
		"resource": {"key": "acme/infra/vpc/default/", "namespace": "acme/infra"}, "request": {"time": "2026-11-26T10:30:00Z"}}`), time.Time{})
	require.NoError(t, err)
	var got struct {
		Action   string
		Owner    struct{ Kind string }
		Actor    struct{ Teams []string }
		Resource struct{ Org, Environment string }
		Calendar struct {
			Hour   int
			Active []struct{ Name string }
		}
		Want struct{ Level string }
	}
	require.NoError(t, json.Unmarshal(whole, &got))
	require.Equal(t, "acquire", got.Action)
	require.Equal(t, "ci", got.Owner.Kind)
	require.Equal(t, []string{"net"}, got.Actor.Teams)
	require.Equal(t, "acme", got.Resource.Org)
	require.Equal(t, "prod", got.Resource.Environment)
	require.Equal(t, 11, got.Calendar.Hour)
	require.Equal(t, "peak-2026", got.Calendar.Active[0].Name)
	require.Equal(t, "normal", got.Want.Level)
	out, err := c.Decide(t.Context(), whole)
	require.NoError(t, err)
	require.Equal(t, "freeze.active", out.Denials()[0].Code)
}

func TestCandidate_refusesAnInputThatIsNone(t *testing.T) {
	c := loaded(t, map[string]string{"p.rego": guarded})
	for part, want := range map[string]string{
		`{"subject": {"taems": []}}`:               "input.subject.taems is not there: it has id, kind, name, teams, roles, claims",
		`{"subjekt": {}}`:                          "input.subjekt is not there",
		`{"subject": "ann"}`:                       "input.subject must be an object",
		`{"action": "lokc"}`:                       `input.action is never "lokc"`,
		`{"pull": {"num": "42"}}`:                  "input.pull.num must be of type integer, not string",
		`{"pull": {"num": 4.5}}`:                   "input.pull.num must be of type integer, not number",
		`{"pull": {"draft": null}}`:                "input.pull.draft must be of type boolean, not null",
		`{"request": {"time": "yesterday"}}`:       "input.request.time",
		`[]`:                                       "no JSON object",
		`{"subject": {"teams": {}, "roles": "x"}}`: "input.subject.roles must be of type array, not string\ninput.subject.teams",
	} {
		_, err := c.Complete(json.RawMessage(part), time.Now())
		require.ErrorContains(t, err, want, part)
	}
	_, err := c.Decide(t.Context(), json.RawMessage(`{"action": "acquire"}`))
	require.ErrorContains(t, err, "want.level")
}

func TestCandidate_listsWhatItReads(t *testing.T) {
	c := loaded(t, map[string]string{
		"p.rego": guarded + "\nwarn contains {\"code\": \"busy\", \"msg\": \"busy\"} if input.queue.length > 3\n",
		"o.rego": "package lockgate.org.acme\n\ndeny contains {\"code\": \"x\", \"msg\": \"m\"} if input.request.labels.x == \"1\"\n",
	})
	require.Equal(t, []Read{
		{Path: "input.action"},
		{Path: "input.pull.draft"},
		{Path: "input.queue.length"},
		{Path: "input.request.labels.x", Organisations: []string{"acme"}},
		{Path: "input.resource.org"},
		{Path: "input.subject.id"},
		{Path: "input.subject.roles"},
		{Path: "input.want.level"},
	}, c.Reads())
	require.Equal(t, lock.Needs{Queue: true}, c.Needs())
}

func TestCandidate_failsClosed(t *testing.T) {
	c := loaded(t, map[string]string{
		"p.rego":          "package lockgate.policy.p\n\ngrant contains \"w\"\n\nmax_ttl_s contains data.facts.ttl if input.want.reason == \"rare\"\n",
		"facts/data.json": `{"ttl": "1h"}`,
	})
	whole, err := c.Complete(json.RawMessage(`{"want": {"reason": "rare"}}`), time.Now()) // no golden input says so
	require.NoError(t, err)
	_, err = c.Decide(t.Context(), whole)
	require.ErrorContains(t, err, "max_ttl_s of policy p")
	_, err = c.Explain(t.Context(), whole)
	require.ErrorContains(t, err, "max_ttl_s of policy p")
}

// A rule that came true at its second try is not what is missing.
func TestExplain_passesOverWhatCameTrueInTheEnd(t *testing.T) {
	c := loaded(t, map[string]string{
		"p.rego": `package lockgate.policy.p

grant contains "on the list, with a reason" if {
	listed
	input.want.reason != ""
}

listed if {
	some name in data.facts.listed
	name == input.subject.id
}
`, "facts/data.json": `{"listed": ["bob", "ann"]}`,
	})
	whole, err := c.Complete(json.RawMessage(`{"subject": {"id": "ann"}}`), time.Now())
	require.NoError(t, err)
	x, err := c.Explain(t.Context(), whole)
	require.NoError(t, err)
	require.Equal(t, []Missing{{Grant: "p.grant:3", File: "p.rego", Row: 5, Line: `input.want.reason != ""`}}, x.Missing)
}
