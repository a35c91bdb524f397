package author_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/policies"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/author"
)

const hours = `package lockgate.policy.hours

late if input.calendar.hour > 20

deny contains {"code": "late", "msg": "too late"} if late

warn contains {"code": "soon", "msg": "soon too late"} if {
	input.calendar.hour > 18
	not late
}
`

const hoursTest = `package lockgate.test.hours

import data.lockgate.policy.hours

test_late if hours.deny == {{"code": "late", "msg": "too late"}} with input as {"calendar": {"hour": 22}}

test_early if hours.deny == set() with input as {"calendar": {"hour": 7}}
`

func files(list map[string]string) fs.FS {
	folder := fstest.MapFS{}
	for name, text := range list {
		folder[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return folder
}

func parsed(t *testing.T, list map[string]string) *policy.Parsed {
	t.Helper()
	p, err := policy.ParseFolder(files(list))
	require.NoError(t, err)
	return p
}

func TestTest_tellsWhichTestsFail(t *testing.T) {
	broken := strings.Replace(hoursTest, `"hour": 7`, `"hour": 23`, 1) +
		"\ntest_error if to_number(\"x\") == 1\n\ntodo_test_later if false\n"
	results, err := author.Test(t.Context(), parsed(t, map[string]string{"hours.rego": hours, "hours_test.rego": broken}))
	require.NoError(t, err)
	got := map[string]author.TestResult{}
	for _, r := range results {
		require.Equal(t, "lockgate.test.hours", r.Package)
		require.Equal(t, "hours_test.rego", r.File)
		got[r.Name] = r
	}
	require.True(t, got["test_late"].Pass)
	require.False(t, got["test_early"].Pass)
	require.Equal(t, 7, got["test_early"].Row)
	require.Contains(t, got["test_error"].Fault, "to_number")
	require.True(t, got["todo_test_later"].Skipped)
}

func TestTest_mayAskTheAggregator(t *testing.T) {
	p := parsed(t, map[string]string{
		"facts/data.json": `{"open": true}`,
		"p.rego":          "package lockgate.policy.p\n\ngrant contains \"w\" if data.facts.open\n",
		"p_test.rego": `package lockgate.test.p

test_allowed if data.lockgate.decision.allow with input as {"resource": {"org": "acme"}, "want": {"level": "normal"}}
`,
	})
	results, err := author.Test(t.Context(), p)
	require.NoError(t, err)
	require.Len(t, results, 1)
	require.True(t, results[0].Pass, results[0].Fault)
}

func TestTest_refusesWhatDoesNotCompile(t *testing.T) {
	_, err := author.Test(t.Context(), parsed(t, map[string]string{"p.rego": "package lockgate.policy.p\n\ngrant contains \"w\" if http.send({})\n"}))
	var errs ast.Errors
	require.ErrorAs(t, err, &errs)
	require.Equal(t, 3, errs[0].Location.Row)
}

func TestCover_namesMissedLines(t *testing.T) {
	_, coverage, err := author.Cover(t.Context(), parsed(t, map[string]string{"hours.rego": hours, "hours_test.rego": hoursTest}))
	require.NoError(t, err)
	require.Len(t, coverage, 1)
	require.Equal(t, "hours.rego", coverage[0].File)
	require.Less(t, coverage[0].Percent, 100.0)
	require.Equal(t, []author.Lines{{From: 7, To: 9}}, coverage[0].Missed)
}

func TestMutate_findsTheMissingTest(t *testing.T) {
	list := map[string]string{"hours.rego": hours, "hours_test.rego": hoursTest}
	alive, tried, err := author.Mutate(t.Context(), parsed(t, list))
	require.NoError(t, err)
	require.Equal(t, 3, tried)
	require.Len(t, alive, 1)
	require.Equal(t, "hours.rego", alive[0].File)
	require.Equal(t, 7, alive[0].Row)
	require.Equal(t, "hours.warn:7", alive[0].Rule)

	list["more_test.rego"] = "package lockgate.test.more\n\nimport data.lockgate.policy.hours\n\n" +
		"test_soon if count(hours.warn) == 1 with input as {\"calendar\": {\"hour\": 19}}\n"
	alive, _, err = author.Mutate(t.Context(), parsed(t, list))
	require.NoError(t, err)
	require.Empty(t, alive)
}

func TestMutate_needsTestsThatPass(t *testing.T) {
	list := map[string]string{"hours.rego": hours, "hours_test.rego": strings.Replace(hoursTest, `"hour": 7`, `"hour": 23`, 1)}
	_, _, err := author.Mutate(t.Context(), parsed(t, list))
	require.ErrorContains(t, err, "test_early fails before")
}

// A rule that only a library has is seen through the policies that use it.
func TestMutate_followsLibraries(t *testing.T) {
	list := map[string]string{
		"lib.rego": "package lockgate.lib.clock\n\nlate if input.calendar.hour > 20\n",
		"p.rego": "package lockgate.policy.p\n\nimport data.lockgate.lib.clock\n\n" +
			"deny contains {\"code\": \"late\", \"msg\": \"m\"} if clock.late\n",
		"p_test.rego": "package lockgate.test.p\n\nimport data.lockgate.policy.p\n\n" +
			"test_late if count(p.deny) == 1 with input as {\"calendar\": {\"hour\": 21}}\n",
	}
	alive, tried, err := author.Mutate(t.Context(), parsed(t, list))
	require.NoError(t, err)
	require.Equal(t, 2, tried)
	require.Empty(t, alive)
}

func TestMutate_noRuleThatShipsIsUntested(t *testing.T) {
	if testing.Short() {
		t.Skip("deletes every rule in turn")
	}
	p, err := policy.ParseFolder(sub(t, "lockgate"))
	require.NoError(t, err)
	alive, tried, err := author.Mutate(t.Context(), p)
	require.NoError(t, err)
	require.Greater(t, tried, 70)
	require.Empty(t, alive, "the tests pass without these rules")
}

func sub(t *testing.T, dir string) fs.FS {
	t.Helper()
	folder, err := fs.Sub(policies.Files(), dir)
	require.NoError(t, err)
	return folder
}

func TestFormat_listsWhatIsNotFormatted(t *testing.T) {
	list, err := author.Format(files(map[string]string{
		"a.rego": hours, "b.rego": "package lockgate.policy.b\ngrant   contains \"w\"\n", ".hidden/c.rego": "no rego", "d.txt": "no rego",
	}))
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "b.rego", list[0].File)
	require.Equal(t, "package lockgate.policy.b\n\ngrant contains \"w\"\n", string(list[0].Text))
	_, err = author.Format(files(map[string]string{"a.rego": "package a\n\nx if {\n"}))
	require.ErrorContains(t, err, "a.rego:4")
}

// What `gateway policy new` writes is what the guide asks for.
func TestStart_isTestedFormattedAndLoads(t *testing.T) {
	s, err := author.Start("drafts")
	require.NoError(t, err)
	list := map[string]string{s.Policy: s.PolicyText, s.Test: s.TestText}
	unformatted, err := author.Format(files(list))
	require.NoError(t, err)
	require.Empty(t, unformatted)
	alive, tried, err := author.Mutate(t.Context(), parsed(t, list))
	require.NoError(t, err)
	require.Empty(t, alive)
	require.Equal(t, 2, tried)
	c, err := policy.NewCandidate(t.Context(), files(list), policy.DefaultConfig())
	require.NoError(t, err)
	require.Empty(t, c.Warnings())
	for _, bad := range []string{"", "Night", "9to5", "a-b", "a.b"} {
		_, err := author.Start(bad)
		require.ErrorContains(t, err, "no name for a policy", bad)
	}
}

func TestDifference_tellsWhatDecidesOtherwise(t *testing.T) {
	older := map[string]string{
		"a.rego": hours, "facts/data.json": `{"bots": ["x"], "projects": {"p": {"tier": 1}, "q": {}}}`,
	}
	newer := maps.Clone(older)
	newer["a.rego"] = strings.Replace(strings.Replace(hours, "> 20", "> 21", 1), "\n\nwarn", "\n\n# louder\nwarn", 1)
	newer["b.rego"] = "package lockgate.policy.b\n\ngrant contains \"w\"\n"
	newer["b_test.rego"] = "package lockgate.test.b\n\ntest_x if true\n"
	newer["facts/data.json"] = `{"bots": ["x", "y"], "projects": {"p": {"tier": 1}, "r": {}}}`
	got := author.Difference(parsed(t, older), parsed(t, newer))
	require.Equal(t, []author.Change{
		{Kind: author.Added, What: "rule", Name: "lockgate.policy.b.grant", To: `grant contains "w"`, Where: "b.rego:3"},
		{
			Kind: author.Changed, What: "rule", Name: "lockgate.policy.hours.late",
			From: "late if input.calendar.hour > 20", To: "late if input.calendar.hour > 21", Where: "a.rego:3",
		},
		{Kind: author.Changed, What: "fact", Name: "data.facts.bots", From: `["x"]`, To: `["x","y"]`},
		{Kind: author.Removed, What: "fact", Name: "data.facts.projects.q", From: "{}"},
		{Kind: author.Added, What: "fact", Name: "data.facts.projects.r", To: "{}"},
	}, got)
	moved := map[string]string{"elsewhere/hours.rego": hours, "data.json": `{"facts": {"bots": ["x"], "projects": {"p": {"tier": 1}, "q": {}}}}`}
	require.Empty(t, author.Difference(parsed(t, older), parsed(t, moved)))
}
