package policy

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// What the contract publishes holds for what policies see and say.
func TestContractDocument_itsSchemasHold(t *testing.T) {
	text, err := ContractDocument()
	require.NoError(t, err)
	var d struct {
		Contract string                       `json:"contract"`
		Rules    map[string]map[string]string `json:"rules"`
		Builtins []string                     `json:"builtins"`
		Input    any                          `json:"input"`
		Output   any                          `json:"output"`
	}
	require.NoError(t, json.Unmarshal(text, &d))
	require.Equal(t, Contract, d.Contract)
	require.Len(t, d.Rules, len(reservedNames()))
	require.Equal(t, map[string]string{"set_of": `{"code": string, "msg": string}`, "organisations": "yes"}, d.Rules["deny"])
	require.Equal(t, "may_grant", d.Rules["grant"]["organisations"])
	require.Contains(t, d.Builtins, "net.cidr_contains")
	require.NotContains(t, d.Builtins, "http.send")

	e := engine(t, withExtra(shippedFiles(t)), func(c *Config) { c.MayGrant = []string{"acme"} })
	q := question()
	q.Context = json.RawMessage(`{"command": {"name": "apply", "destroys": 4}, "pull": {"num": 42}, "weight": 3}`)
	q.Facts = heldByBob()
	entry, ok := e.Entry(decide(t, e, q).ID)
	require.True(t, ok)
	var ev map[string]any
	require.NoError(t, json.Unmarshal(entry, &ev))
	for place, schema := range map[string]any{"input": d.Input, "result": d.Output} {
		c := jsonschema.NewCompiler()
		require.NoError(t, c.AddResource("mem:"+place, schema))
		compiled, err := c.Compile("mem:" + place)
		require.NoError(t, err)
		text, err := json.Marshal(ev[place])
		require.NoError(t, err)
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		require.NoError(t, err)
		require.NoError(t, compiled.Validate(value))
		value.(map[string]any)["surprise"] = true
		require.Error(t, compiled.Validate(value))
	}
}
