package policy

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// guide is docs/policy.md.
func guide(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/policy.md")
	require.NoError(t, err)
	return string(text)
}

// The guide's table of the input is the whole input, with its types.
func TestGuide_listsTheInput(t *testing.T) {
	_, rest, found := strings.Cut(guide(t), "<!-- input -->\n")
	require.True(t, found)
	table, _, found := strings.Cut(rest, "<!-- end of input -->")
	require.True(t, found)
	var got, want []string
	for _, line := range strings.Split(strings.TrimSpace(table), "\n")[2:] {
		cells := strings.Split(line, "|")
		got = append(got, strings.TrimSpace(cells[1])+" "+strings.TrimSpace(cells[2]))
	}
	for _, f := range fields() {
		want = append(want, "`"+f.path()+"` "+inWords(f.shape))
	}
	require.Equal(t, want, got)
}

func inWords(s shape) string {
	if values, ok := s["enum"].([]any); ok {
		quoted := make([]string, len(values))
		for i, v := range values {
			quoted[i] = "`\"" + v.(string) + "\"`"
		}
		return strings.Join(quoted, ", ")
	}
	switch {
	case s["type"] == "array" && s["items"].(map[string]any)["type"] == "string":
		return "array of strings"
	case s["type"] == "array":
		return "array of `{name, kind, from_ns, to_ns, reason}`"
	case s["type"] == "object" && s["additionalProperties"] != true:
		return "object of strings"
	}
	return s["type"].(string)
}

// Every policy of the guide loads, or is refused with the words beside it.
func TestGuide_policiesDoWhatItSays(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```rego\n(.*?)```\n(?:```text\n(.*?)\n```)?").FindAllStringSubmatch(guide(t), -1)
	refused, accepted := 0, map[string]string{}
	for _, b := range blocks {
		if b[2] == "" {
			name, _, _ := strings.Cut(strings.TrimPrefix(b[1], "# "), "\n")
			accepted[strings.ReplaceAll(name, " ", "_")+".rego"] = b[1]
			continue
		}
		refused++
		var lines []string
		for _, f := range faults(t, map[string]string{"p.rego": b[1]}) {
			lines = append(lines, f.String())
		}
		require.Equal(t, []string{b[2]}, lines, b[1])
	}
	require.GreaterOrEqual(t, refused, 12)
	require.Len(t, accepted, 3)
	engine(t, accepted)

	night := accepted["night.rego.rego"]
	require.NotEmpty(t, night)
	got := faults(t, map[string]string{"night.rego": strings.Replace(night, "deny", "deney", 1)})
	require.Len(t, got, 1)
	require.Contains(t, guide(t), "```text\n"+got[0].String()+"\n```")
}

func TestGuide_firstRuleDecides(t *testing.T) {
	e := engine(t, map[string]string{"night.rego": regexp.MustCompile("(?s)```rego\n(.*?)```").FindStringSubmatch(guide(t))[1]})
	for hour, allow := range map[int]bool{6: false, 7: true} {
		q := question()
		q.Time = time.Date(2026, 11, 20, hour, 0, 0, 0, time.UTC)
		q.Context = []byte(`{"command": "apply"}`)
		d, err := e.Decide(t.Context(), q)
		require.NoError(t, err)
		require.Equal(t, allow, d.Allow)
		if !allow {
			require.Equal(t, lock.Reason{Policy: "night", Code: "night.apply", Msg: "no applies before seven; it is 6 o'clock"}, d.Reasons[0])
		}
	}
}
