package policy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// faults loads one policy and answers what is wrong with it.
func faults(t *testing.T, files map[string]string, change ...func(*Config)) []Fault {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Dir = folder(t, files)
	for _, f := range change {
		f(&cfg)
	}
	_, err := New(t.Context(), cfg, options())
	if err == nil {
		return nil
	}
	var load *LoadError
	require.ErrorAs(t, err, &load)
	return load.Faults
}

// Everything here is let through by rego, and most of it as an allow.
func TestNew_refusesWhatAuthorsDoNotMean(t *testing.T) {
	const policy, org, lib = "package lockgate.policy.p\n\n", "package lockgate.org.acme\n\n", "package lockgate.lib.l\n\n"
	for name, c := range map[string]struct {
		text string
		want Fault // the message is a part of it
	}{
		"complete denial":          {policy + "deny := true", Fault{Row: 3, Col: 1, Code: "rule_form", Msg: "deny must be a set"}},
		"denial without contains":  {policy + "deny if input.pull.draft", Fault{Row: 3, Col: 1, Code: "rule_form", Msg: "deny must be a set"}},
		"default denial":           {policy + "default deny := false", Fault{Row: 3, Col: 1, Code: "rule_form", Msg: "deny must be a set"}},
		"function":                 {policy + "grant(x) := x", Fault{Row: 3, Col: 1, Code: "rule_form", Msg: "a function needs another name"}},
		"denial below a name":      {policy + `deny.x contains {"code": "c", "msg": "m"}`, Fault{Row: 3, Col: 1, Code: "rule_form", Msg: "deny is one set"}},
		"level as a variable":      {policy + `level_grant[l] contains "w" if l := input.want.level`, Fault{Row: 3, Col: 1, Code: "rule_form", Msg: "name the level"}},
		"level that is none":       {policy + `level_grant.hihg contains "w"`, Fault{Row: 3, Col: 1, Code: "rule_form", Msg: "name the level"}},
		"plural":                   {policy + `denies contains {"code": "c", "msg": "m"}`, Fault{Row: 3, Col: 1, Code: "near_miss", Msg: "looks like deny"}},
		"singular":                 {policy + `point contains {"why": "c", "points": 1}`, Fault{Row: 3, Col: 1, Code: "near_miss", Msg: "looks like points"}},
		"transposition":            {policy + `dney contains {"code": "c", "msg": "m"}`, Fault{Row: 3, Col: 1, Code: "near_miss", Msg: "looks like deny"}},
		"unit left out":            {policy + `max_ttl contains 5`, Fault{Row: 3, Col: 1, Code: "near_miss", Msg: "looks like max_ttl_s"}},
		"text as denial":           {policy + `deny contains "no"`, Fault{Row: 3, Col: 1, Code: "rule_type", Msg: `set of {"code": string, "msg": string}`}},
		"misspelt member":          {policy + `deny contains {"code": "c", "mesg": "m"}`, Fault{Row: 3, Col: 1, Code: "rule_type", Msg: "mesg"}},
		"extra member":             {policy + `deny contains {"code": "c", "msg": "m", "level": "x"}`, Fault{Row: 3, Col: 1, Code: "rule_type", Msg: "level"}},
		"one of two rules":         {policy + "deny contains {\"code\": \"c\", \"msg\": \"m\"} if input.pull.draft\n\ndeny contains \"no\" if input.pull.fork", Fault{Row: 5, Col: 1, Code: "rule_type", Msg: "deny must be"}},
		"text as points":           {policy + `points contains {"why": "w", "points": "5"}`, Fault{Row: 3, Col: 1, Code: "rule_type", Msg: "integer"}},
		"text as limit":            {policy + `max_ttl_s contains "15m"`, Fault{Row: 3, Col: 1, Code: "rule_type", Msg: "integers"}},
		"obligation without type":  {policy + `obligation contains {"to": "x"}`, Fault{Row: 3, Col: 1, Code: "rule_type", Msg: "type"}},
		"misspelt field":           {policy + `grant contains "w" if "net" in input.subject.taems`, Fault{Row: 3, Col: 32, Code: "rego_type_error", Msg: "taems"}},
		"misspelt field, local":    {policy + "grant contains \"w\" if {\n\ts := input.subject\n\ts.idd == \"x\"\n}", Fault{Row: 5, Code: "rego_type_error", Msg: "idd"}},
		"unknown action":           {policy + `deny contains {"code": "c", "msg": "m"} if input.action == "lokc"`, Fault{Row: 3, Col: 44, Code: "unknown_value", Msg: `input.action is never "lokc"`}},
		"unknown action, not":      {policy + `grant contains "w" if input.action != "lokc"`, Fault{Row: 3, Col: 23, Code: "unknown_value", Msg: "lokc"}},
		"unknown action, in":       {policy + `grant contains "w" if input.action in {"acquire", "lokc"}`, Fault{Row: 3, Col: 23, Code: "unknown_value", Msg: "lokc"}},
		"unknown action, local":    {policy + "grant contains \"w\" if {\n\ta := input.action\n\ta == \"lokc\"\n}", Fault{Row: 5, Col: 2, Code: "unknown_value", Msg: "lokc"}},
		"unknown action, reversed": {policy + `grant contains "w" if "lokc" == input.action`, Fault{Row: 3, Col: 23, Code: "unknown_value", Msg: "lokc"}},
		"capital weekday":          {policy + `grant contains "w" if input.calendar.weekday == "Monday"`, Fault{Row: 3, Code: "unknown_value", Msg: "monday"}},
		"call to the outside":      {policy + `grant contains "w" if http.send({"method": "get", "url": "http://x"}).status_code == 200`, Fault{Row: 3, Col: 23, Code: "rego_type_error", Msg: "undefined function http.send"}},
		"clock":                    {policy + `grant contains "w" if time.now_ns() > 5`, Fault{Row: 3, Col: 23, Code: "rego_type_error", Msg: "undefined function time.now_ns"}},
		"outruns a deadline":       {policy + `grant contains "w" if bits.lsh(1, 4) > 5`, Fault{Row: 3, Col: 23, Code: "rego_type_error", Msg: "undefined function bits.lsh"}},
		"unused import":            {policy + "import data.facts.bots\n\ngrant contains \"w\"", Fault{Row: 3, Code: "rego_compile_error", Msg: "unused"}},
		"second aggregator":        {"package lockgate\n\nallow := true", Fault{Row: 1, Col: 1, Code: "reserved_package", Msg: "package lockgate"}},
		"foreign package":          {"package lockgate.polciy.p\n\ngrant contains \"w\"", Fault{Row: 1, Col: 1, Code: "package_name", Msg: "lockgate.polciy.p"}},
		"no package name":          {"package main\n\ngrant contains \"w\"", Fault{Row: 1, Col: 1, Code: "package_name", Msg: "main"}},
		"syntax":                   {policy + "grant contains", Fault{Row: 3, Code: "rego_parse_error", Msg: ""}},
		"facts misspelt":           {policy + `grant contains "w" if data.fact.open`, Fault{Row: 3, Col: 23, Code: "data_scope", Msg: "data.fact.open"}},
		"operator's settings":      {policy + `grant contains "w" if data.operator.x`, Fault{Row: 3, Col: 23, Code: "data_scope", Msg: "data.operator"}},
		"everything":               {policy + `grant contains "w" if data.lockgate[_]`, Fault{Row: 3, Col: 1, Code: "rego_recursion_error", Msg: "recursive"}},
		"the decision itself":      {policy + `grant contains "w" if data.lockgate.decision.allow`, Fault{Row: 3, Col: 23, Code: "data_scope", Msg: "data.lockgate.decision"}},
		"rule that is not there":   {policy + `grant contains "w" if not data.lockgate.policy.freeze.activ`, Fault{Row: 3, Code: "undefined_rule", Msg: "data.lockgate.policy.freeze.activ"}},
		"organisation grants":      {org + `grant contains "w"`, Fault{Row: 3, Col: 1, Code: "delegation", Msg: "policy.may_grant"}},
		"organisation limits":      {org + `max_ttl_s contains 5`, Fault{Row: 3, Col: 1, Code: "delegation", Msg: "max_ttl_s"}},
		"organisation levels":      {org + `level_grant.high contains "w"`, Fault{Row: 3, Col: 1, Code: "delegation", Msg: "level_grant"}},
		"organisation preempts":    {org + `preempt_below contains 5`, Fault{Row: 3, Col: 1, Code: "delegation", Msg: "preempt_below"}},
		"another organisation":     {org + `warn contains {"code": "c", "msg": "m"} if data.lockgate.org.other.x`, Fault{Row: 3, Code: "delegation", Msg: "data.lockgate.org.other.x"}},
		"all organisations":        {org + `warn contains {"code": "c", "msg": "m"} if data.lockgate.org[_].x`, Fault{Row: 3, Code: "delegation", Msg: "data.lockgate.org"}},
		"organisation, platform":   {org + `warn contains {"code": "c", "msg": "m"} if data.lockgate.policy.rbac.owner`, Fault{Row: 3, Code: "delegation", Msg: "data.lockgate.policy.rbac.owner"}},
		"library, organisation":    {lib + `x if data.lockgate.org.acme.x`, Fault{Row: 3, Code: "delegation", Msg: "a library may not read"}},
		"empty":                    {"", Fault{Code: "rego_parse_error", Msg: "empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := faults(t, map[string]string{"p.rego": c.text})
			require.NotEmpty(t, got)
			require.Equal(t, "p.rego", got[0].File)
			require.Equal(t, c.want.Row, got[0].Row, got[0].String())
			if c.want.Col != 0 {
				require.Equal(t, c.want.Col, got[0].Col, got[0].String())
			}
			require.Equal(t, c.want.Code, got[0].Code, got[0].String())
			require.Contains(t, got[0].Msg, c.want.Msg)
		})
	}
}

func TestNew_takesWhatAuthorsMean(t *testing.T) {
	for name, text := range map[string]string{
		"difference of integers": `points contains {"why": "w", "points": input.pull.num - 5}`,
		"value of a fact":        `max_ttl_s contains data.facts.ttl`,
		"claim":                  `grant contains input.subject.claims.why`,
		"ordinary names":         "env := input.resource.environment\n\nkey := input.resource.key\n\nwant := input.want\n\nwait := want.wait_s",
		"built by union":         `deny contains object.union({"code": "c"}, {"msg": "m"}) if input.pull.draft`,
		"empty command":          `grant contains "w" if input.command.name == ""`,
		"two shapes of duties":   "obligation contains {\"type\": \"a\"}\n\nobligation contains {\"type\": \"b\", \"to\": \"x\"}",
		"text with a number":     `grant contains sprintf("pull %d", [input.pull.num])`,
		"cidr":                   `grant contains "w" if net.cidr_contains("192.0.2.0/24", input.request.ip)`,
	} {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, faults(t, map[string]string{"p.rego": "package lockgate.policy.p\n\n" + text}))
		})
	}
}

func TestNew_anOrganisationGrantsWhenTheOperatorSaysSo(t *testing.T) {
	files := map[string]string{"o.rego": "package lockgate.org.acme\n\ngrant contains \"w\""}
	require.Empty(t, faults(t, files, func(c *Config) { c.MayGrant = []string{"acme"} }))
}

func TestNew_refusesFilesThatWouldCountOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  Fault
	}{
		"data that would grant": {
			map[string]string{"data.json": `{"lockgate": {"policy": {"evil": {"grant": ["x"]}}}}`},
			Fault{File: "data.json", Row: 1, Col: 1, Code: "data_root", Msg: "data.lockgate"},
		},
		"data below a folder that would grant": {
			map[string]string{"lockgate/policy/data.json": `{"evil": {"grant": ["x"]}}`},
			Fault{File: "lockgate/policy/data.json", Row: 1, Col: 1, Code: "data_root", Msg: "data.lockgate"},
		},
		"operator's settings as data": {
			map[string]string{"operator/data.json": `{"may_grant": ["acme"]}`},
			Fault{File: "operator/data.json", Row: 1, Col: 1, Code: "data_root", Msg: "data.operator"},
		},
		"a name that OPA ignores": {
			map[string]string{"facts/projects.json": `{}`},
			Fault{File: "facts/projects.json", Code: "file_name", Msg: "OPA would ignore it"},
		},
		"broken JSON": {
			map[string]string{"facts/data.json": "{\n  \"bots\": [,]\n}"},
			Fault{File: "facts/data.json", Row: 2, Col: 12, Code: "data_syntax", Msg: "invalid character ','"},
		},
		"two files that state one fact": {
			map[string]string{"facts/data.json": `{"bots": []}`, "data.yaml": "facts: {bots: [x]}"},
			Fault{File: "facts/data.json", Row: 1, Col: 1, Code: "data_conflict", Msg: "data.facts.bots"},
		},
		"a changed aggregator": {
			map[string]string{"lockgate/main.rego": "package lockgate\n\ndecision := {}"},
			Fault{File: "lockgate/main.rego", Row: 1, Col: 1, Code: "reserved_package", Msg: "unchanged"},
		},
		"a freeze without end": {
			map[string]string{"facts/data.json": `{"freezes": [{"name": "f", "environments": ["prod"], "from": "2026-01-01T00:00:00Z"}]}`},
			Fault{Code: "load_error", Msg: `data.facts.freezes[0]: "f": to:`},
		},
		"a freeze of nothing": {
			map[string]string{"facts/data.json": `{"freezes": [{"name": "f", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}]}`},
			Fault{Code: "load_error", Msg: "freezes nothing"},
		},
		"a project that is no object": {
			map[string]string{"facts/data.json": `{"projects": {"x": "prod"}}`},
			Fault{Code: "load_error", Msg: "data.facts.projects"},
		},
		"a zone that is none": {
			map[string]string{"facts/data.json": `{"hours": {"prod": {"zone": "Europe/Nowhere"}}}`},
			Fault{Code: "load_error", Msg: "data.facts.hours.prod.zone"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := faults(t, c.files)
			require.Len(t, got, 1)
			msg := got[0].Msg
			got[0].Msg, c.want.Msg = "", strings.Clone(c.want.Msg)
			want := c.want
			want.Msg = ""
			require.Equal(t, want, got[0])
			require.Contains(t, msg, c.want.Msg)
		})
	}
}

func TestNew_refusesTheOpenProfileBesideOthers(t *testing.T) {
	got := faults(t, map[string]string{
		"open.rego": "package lockgate.policy.open\n\ngrant contains \"all\"",
		"rbac.rego": "package lockgate.policy.rbac\n\ngrant contains \"some\" if input.action == \"read\"",
	})
	require.Len(t, got, 1)
	require.Equal(t, "open_profile", got[0].Code)
	require.Equal(t, "open.rego", got[0].File)
}

func TestNew_listsEveryFaultInOrder(t *testing.T) {
	got := faults(t, map[string]string{
		"b.rego": "package lockgate.policy.b\n\ndeny := true\n\ngrants contains \"w\"",
		"a.rego": "package lockgate.policy.a\n\nwarn contains \"w\"",
	})
	require.Len(t, got, 3)
	require.Equal(t, []string{"a.rego", "b.rego", "b.rego"}, []string{got[0].File, got[1].File, got[2].File})
	require.Equal(t, []int{3, 3, 5}, []int{got[0].Row, got[1].Row, got[2].Row})
}

func TestConfig_validateListsEveryFault(t *testing.T) {
	c := Config{Profile: "strict", Enforcement: map[string]Mode{"freeze": "off"}, MayGrant: []string{"a/b"}}
	err := c.Validate()
	for _, part := range []string{`profile "strict"`, "budget", "decision_log.entries", `enforcement.freeze: "off"`, `may_grant: "a/b"`} {
		require.ErrorContains(t, err, part)
	}
	require.Equal(t, ModeDeny, c.mode("freeze"), "what cannot be understood denies")
	d := DefaultConfig()
	require.NoError(t, d.Validate())
	var m Mode
	require.Error(t, m.UnmarshalText([]byte("off")))
	require.NoError(t, m.UnmarshalText([]byte("warn")))
	require.Equal(t, ModeWarn, m)
}
