package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/lock"
)

func TestResolve_readsKeysAndTheRegistry(t *testing.T) {
	f, err := readFacts(map[string]any{"projects": map[string]any{
		"acme/infra/vpc/default/":     map[string]any{"environment": "prod", "labels": map[string]any{"tier": "1"}, "owners": map[string]any{}},
		"acme/infra/terraform/net":    map[string]any{"environment": "dev"},
		"db":                          map[string]any{"repo": "acme/database"},
		"group/sub/repo/a/b/staging/": map[string]any{"environment": "stage"},
	}})
	require.NoError(t, err)
	for _, c := range []struct {
		ns, key string
		want    place
	}{
		{"acme/infra", "acme/infra/vpc/default/", place{
			name: "acme/infra/vpc/default/", org: "acme", repo: "acme/infra", path: "vpc", workspace: "default",
			environment: "prod", labels: map[string]string{"tier": "1"},
		}},
		{"acme/infra", "acme/infra/./default/web", place{
			name: "acme/infra/./default/web", org: "acme", repo: "acme/infra", path: ".", workspace: "default", project: "web",
		}},
		{"group/sub/repo", "group/sub/repo/a/b/staging/", place{
			name: "group/sub/repo/a/b/staging/", org: "group", repo: "group/sub/repo", path: "a/b", workspace: "staging", environment: "stage",
		}},
		{"acme/infra", "terraform/net", place{name: "acme/infra/terraform/net", org: "acme", repo: "acme/infra", path: "net", environment: "dev"}},
		// The state of one repository is not that of another.
		{"evil/infra", "terraform/net", place{name: "evil/infra/terraform/net", org: "evil", repo: "evil/infra", path: "net"}},
		{"evil/infra", "acme/infra/vpc/default/", place{
			name: "evil/infra/acme/infra/vpc/default/", org: "evil", repo: "evil/infra", path: "acme/infra/vpc/default/",
		}},
		{"default", "acme/infra/vpc/default/", place{
			name: "acme/infra/vpc/default/", org: "acme", repo: "acme/infra", path: "vpc", workspace: "default",
			environment: "prod", labels: map[string]string{"tier": "1"},
		}},
		{"default", "db", place{name: "db", path: "db", org: "acme", repo: "acme/database"}},
		{"", "a/b/c", place{name: "a/b/c", path: "a/b/c"}},
		{"acme/infra", "acme/infra/odd", place{name: "acme/infra/odd", org: "acme", repo: "acme/infra", path: "odd"}},
		{"acme/infra", "", place{}},
	} {
		got := f.resolve(lock.Namespace(c.ns), lock.Key(c.key))
		require.Empty(t, cmp.Diff(c.want, got, cmp.AllowUnexported(place{})), "%s in %s", c.key, c.ns)
	}
}

// The shipped library and the gateway must name a project alike, or one of them
// would judge by another project's owners.
func TestResolve_agreesWithTheShippedLibrary(t *testing.T) {
	source := shippedFiles(t)["lockgate/lib/registry.rego"]
	query, err := rego.New(rego.Query("name := data.lockgate.lib.registry.name"), rego.ParsedModule(parsed(t, "registry.rego", source))).
		PrepareForEval(t.Context())
	require.NoError(t, err)
	segment := rapid.SampledFrom([]string{"acme", "infra", "default", "terraform", "vpc", ""})
	rapid.Check(t, func(t *rapid.T) {
		ns := strings.Join(rapid.SliceOfN(segment, 0, 3).Draw(t, "namespace"), "/")
		key := "k" + strings.Join(rapid.SliceOfN(segment, 0, 5).Draw(t, "key"), "/")
		if rapid.Bool().Draw(t, "within") {
			key = ns + "/" + key
		}
		input := map[string]any{"resource": map[string]any{"namespace": ns, "key": key}}
		results, err := query.Eval(context.Background(), rego.EvalInput(input))
		require.NoError(t, err)
		f := &facts{}
		require.Equal(t, results[0].Bindings["name"], f.resolve(lock.Namespace(ns), lock.Key(key)).name)
	})
}

func TestCalendar_windowsInForce(t *testing.T) {
	f, err := readFacts(map[string]any{
		"freezes": []any{
			window3("late", "2026-11-25T12:00:00Z", "2026-11-26T00:00:00Z", []any{"prod"}),
			window3("early", "2026-11-25T00:00:00+01:00", "2026-11-26T00:00:00Z", []any{"prod", "dev"}),
			window3("all", "2026-11-25T06:00:00Z", "2026-11-25T18:00:00Z", []any{"*"}),
		},
		"hours": map[string]any{"prod": map[string]any{"zone": "Europe/Berlin", "days": []any{"monday"}}},
	})
	require.NoError(t, err)
	names := func(environment, name, now string) string {
		at, err := time.Parse(time.RFC3339, now)
		require.NoError(t, err)
		var out []string
		for _, w := range f.calendar.active(nil, &place{environment: environment, name: name}, at) {
			out = append(out, w.name)
		}
		return strings.Join(out, " ")
	}
	require.Equal(t, "", names("prod", "p", "2026-11-24T22:59:59Z"))
	require.Equal(t, "early", names("prod", "p", "2026-11-24T23:00:00Z"))
	require.Equal(t, "early late all", names("prod", "p", "2026-11-25T12:00:00Z"))
	require.Equal(t, "early late", names("prod", "p", "2026-11-25T18:00:00Z"))
	require.Equal(t, "", names("prod", "p", "2026-11-26T00:00:00Z"))
	require.Equal(t, "early all", names("dev", "p", "2026-11-25T12:00:00Z"))
	require.Equal(t, "all", names("", "", "2026-11-25T12:00:00Z"))
	require.Equal(t, "", names("prod", "exempt", "2026-11-25T12:00:00Z"))
	require.Equal(t, "Europe/Berlin", f.calendar.zone("prod").String())
	require.Equal(t, time.UTC, f.calendar.zone("dev"))
}

func window3(name, from, to string, environments []any) map[string]any {
	return map[string]any{"name": name, "from": from, "to": to, "environments": environments, "exempt": []any{"exempt"}}
}

// The input is the contract: every section and field, with zero values where
// nothing is known.
func TestInput_everyFieldIsThere(t *testing.T) {
	f, err := readFacts(map[string]any{})
	require.NoError(t, err)
	v := &view{}
	v.reset(&lock.Question{Action: lock.ActRead, Time: time.Unix(0, 0)}, 0, f)
	got, err := newInputBuilder(fields()).build(v)
	require.NoError(t, err)
	text, err := ast.JSON(got.Value)
	require.NoError(t, err)
	want := `{
	"contract": "lockgate/v1", "action": "read",
	"request": {"id": "", "time": "1970-01-01T00:00:00.000Z", "time_ns": 0, "source": "api", "ip": "", "dry_run": false, "stage": "enqueue", "labels": {}, "context": {}},
	"subject": {"id": "", "kind": "anonymous", "name": "", "teams": [], "roles": [], "claims": {}},
	"actor": {"id": "", "teams": [], "vouched_by": ""},
	"owner": {"id": "", "kind": ""},
	"resource": {"key": "", "mode": "exclusive", "namespace": "", "org": "", "repo": "", "path": "", "workspace": "", "project": "", "environment": "", "labels": {}},
	"pull": {"num": 0, "url": "", "author": "", "draft": false, "fork": false, "labels": [], "head": "", "base": "", "approvers": [], "source": ""},
	"command": {"name": "", "destroys": 0},
	"want": {"ttl_s": 0, "wait_s": 0, "level": "normal", "reason": "", "incident": ""},
	"lock": {"held": false, "holder": "", "holder_subject": "", "holder_pull": 0, "priority": 0, "acquired_ns": 0, "expires_ns": 0},
	"queue": {"length": 0, "mine": 0, "waited_s": 0, "held_by_subject": 0, "held_by_owner": 0},
	"calendar": {"active": [], "weekday": "thursday", "hour": 0, "zone": "UTC"}
	}`
	require.Empty(t, cmp.Diff(plain(t, json.RawMessage(want)), plain(t, text)))
}

func TestInput_holdsWhatTheQuestionSays(t *testing.T) {
	e := engine(t, shippedFiles(t))
	q := question()
	q.Action, q.Stage, q.DryRun = lock.ActForceRelease, lock.AtGrant, true
	q.Time = time.Date(2026, 11, 25, 23, 30, 0, 123456789, time.UTC)
	q.Caller.Source = lock.FromAtlantis
	q.Want.Reason = ""
	q.Labels = map[string]string{"a": "b"}
	q.Context = json.RawMessage(`{"big": 9007199254740993, "reason": "by context", "incident": "INC-1", "command": {"name": "strange", "destroys": 3},
		"pull": {"num": 42, "url": "https://x/42", "author": "ann", "draft": true, "fork": true, "labels": ["l"], "head_branch": "h", "base_branch": "b", "approvers": ["bob"]}}`)
	q.Facts = []lock.Facts{{
		Holder: &lock.Lock{
			Owner: "atlantis:acme/infra#7", Subject: "bob", Value: 450,
			AcquiredAt: time.Unix(5, 0), ExpiresAt: time.Unix(6, 0),
		},
		QueueLength: 1, Mine: 2, HeldBySubject: 3, HeldByOwner: 4, Waited: 5 * time.Second,
	}}
	v := &view{}
	v.reset(q, 0, e.current.Load().facts)
	got, err := newInputBuilder(fields()).build(v)
	require.NoError(t, err)
	text, err := ast.JSON(got.Value)
	require.NoError(t, err)
	raw, err := json.Marshal(text)
	require.NoError(t, err)
	for _, part := range []string{
		`"action":"force_release"`, `"stage":"grant"`, `"dry_run":true`, `"source":"atlantis"`, `"labels":{"a":"b"}`, `"time_ns":1795649400123456789`,
		`"big":9007199254740993`, `"reason":"by context"`, `"incident":"INC-1"`, `"command":{"destroys":3,"name":"other"}`,
		`"pull":{"approvers":["bob"],"author":"ann","base":"b","draft":true,"fork":true,"head":"h","labels":["l"],"num":42,"source":"atlantis","url":"https://x/42"}`,
		`"lock":{"acquired_ns":5000000000,"expires_ns":6000000000,"held":true,"holder":"atlantis:acme/infra#7","holder_pull":7,"holder_subject":"bob","priority":450}`,
		`"queue":{"held_by_owner":4,"held_by_subject":3,"length":1,"mine":2,"waited_s":5}`,
		`"calendar":{"active":[{"from_ns":1795564800000000000,"kind":"freeze","name":"peak-2026","reason":"peak trading","to_ns":1796083200000000000}],"hour":0,"weekday":"thursday","zone":"Europe/Berlin"}`,
		`"owner":{"id":"atlantis:acme/infra#42","kind":"atlantis"}`, `"wait_s":600`, `"ttl_s":1800`,
	} {
		require.Contains(t, string(raw), part)
	}
}

// Schema and input come from one table; still every value must fit its schema.
func TestInputSchema_isClosedAndNamesEveryField(t *testing.T) {
	sections, ok := InputSchema()["properties"].(map[string]any)
	require.True(t, ok)
	n := 0
	for name, section := range sections {
		members, ok := section.(map[string]any)["properties"].(map[string]any)
		if !ok {
			n++
			continue
		}
		n += len(members)
		require.Equal(t, false, section.(map[string]any)["additionalProperties"], name)
	}
	require.Equal(t, len(fields()), n)
}

// The closed sets of the schema are the words of the code.
func TestInputSchema_enumsAreTheWordsOfTheCode(t *testing.T) {
	closed := enums()
	for path, words := range map[string][]string{
		"input.subject.kind":   spelledOut(lock.Anonymous, lock.MTLS),
		"input.request.source": spelledOut(lock.FromAPI, lock.FromUI),
		"input.request.stage":  spelledOut(lock.AtEnqueue, lock.AtGrant),
		"input.resource.mode":  spelledOut(lock.Exclusive, lock.Shared),
		"input.want.level":     spelledOut(lock.Low, lock.Critical),
		"input.action":         spelledOut(lock.ActAcquire, lock.ActAdmin),
	} {
		require.ElementsMatch(t, words, closed[path], path)
	}
}

func spelledOut[T interface {
	~uint8
	fmt.Stringer
}](first, last T) []string {
	var out []string
	for v := first; v <= last; v++ {
		out = append(out, v.String())
	}
	return out
}

func TestContext_faultsNameThePlace(t *testing.T) {
	for _, text := range []string{`[]`, `{`, `{} {}`, `{"pull": 7}`, `{"command": 7}`, `{"reason": 7}`} {
		v := &view{q: &lock.Question{Context: json.RawMessage(text)}}
		v.context()
		v.document()
		require.Error(t, v.contextErr, text)
	}
	v := &view{q: &lock.Question{Context: json.RawMessage(`null`)}}
	require.Empty(t, v.document())
	require.Empty(t, v.pullSource())
	require.NoError(t, v.contextErr)
}

func TestPullOf_readsTheNumberOfAnOwner(t *testing.T) {
	for owner, want := range map[lock.Owner]int64{"atlantis:acme/infra#42": 42, "terraform:x": 0, "a#b": 0, "": 0} {
		require.Equal(t, want, pullOf(owner), owner)
	}
}
