package policy

import (
	"encoding/json"
	"slices"
)

// document is the contract as GET /.well-known/lockgate-policy-contract.json
// publishes it.
type document struct {
	Contract    string                  `json:"contract"`
	Entrypoint  string                  `json:"entrypoint"`
	Packages    map[string]string       `json:"packages"` // what each may hold, by name
	Facts       string                  `json:"facts"`
	Rules       map[string]documentRule `json:"rules"`
	Input       map[string]any          `json:"input"`  // JSON schema
	Output      map[string]any          `json:"output"` // JSON schema
	Builtins    []string                `json:"builtins"`
	Enforcement []Mode                  `json:"enforcement"`
	Bounds      documentBounds          `json:"bounds"`
}

// documentRule is one reserved name.
type documentRule struct {
	SetOf         string `json:"set_of"`
	Organisations string `json:"organisations"` // whether they may say it: yes, no, or may_grant
}

type documentBounds struct {
	InputBytes        int `json:"input_bytes"`
	ResultBytes       int `json:"result_bytes"`
	OrganisationBand  int `json:"organisation_points"` // either way
	QuarantineAfter   int `json:"quarantine_after_timeouts"`
	QuarantineSeconds int `json:"quarantine_window_s"`
}

// ContractDocument answers what policies are written against, as JSON: packages,
// reserved rules, the schemas of input and output, the builtins they may call.
func ContractDocument() (json.RawMessage, error) {
	return json.Marshal(&document{
		Contract: Contract, Entrypoint: "data.lockgate.decision",
		Packages: map[string]string{
			"lockgate.policy.<name>":      "a policy of the platform",
			"lockgate.org.<organisation>": "an organisation's own policy, heard about its own resources",
			"lockgate.lib.<name>":         "functions for both",
			"lockgate.test.<name>":        "tests, run when the policies are loaded",
		},
		Facts: "data.facts", Rules: documentRules(), Input: InputSchema(), Output: outputSchema(), Builtins: builtinNames(),
		Enforcement: []Mode{ModeDeny, ModeWarn, ModeShadow},
		Bounds: documentBounds{
			InputBytes: maxInputBytes, ResultBytes: maxResultBytes, OrganisationBand: orgBand,
			QuarantineAfter: quarantineAfter, QuarantineSeconds: int(quarantineWindow.Seconds()),
		},
	})
}

func documentRules() map[string]documentRule {
	rules := map[string]documentRule{}
	for _, name := range reservedNames() {
		r := documentRule{SetOf: wanted(name), Organisations: "no"}
		switch name {
		case ruleDeny, ruleWarn, rulePoints, ruleObligation:
			r.Organisations = "yes"
		case ruleGrant:
			r.Organisations = "may_grant"
		}
		rules[name] = r
	}
	return rules
}

func builtinNames() []string {
	var names []string
	for _, b := range capabilities().Builtins {
		names = append(names, b.Name)
	}
	slices.Sort(names)
	return names
}

// outputSchema is the JSON schema of data.lockgate.decision.
func outputSchema() map[string]any {
	text, whole, flag := map[string]any(anyText()), map[string]any(integer()), map[string]any(boolean())
	list := func(of map[string]any) map[string]any { return map[string]any{"type": "array", "items": of} }
	finding := closedObject(map[string]any{"policy": text, "code": text, "msg": text})
	schema := closedObject(map[string]any{
		"contract": map[string]any(textOf(Contract)), "allow": flag,
		"grants": list(closedObject(map[string]any{"policy": text, "why": text})),
		"deny":   list(finding), "warn": list(finding), "shadow": list(finding),
		"priority": closedObject(map[string]any{
			"level": map[string]any(textOf("low", "normal", "high", "critical")), "value": whole,
			"points": list(closedObject(map[string]any{"policy": text, "why": text, "points": whole})),
		}),
		"limits":      closedObject(map[string]any{"ttl_s": whole, "wait_s": whole, "queue": whole}),
		"preempt":     closedObject(map[string]any{"allowed": flag, "below": whole, "grace_s": whole}),
		"preemptible": flag, "deadlock_action": map[string]any(textOf(actionCancelWait, actionRevoke)),
		"obligations": list(map[string]any{"type": "object", "required": []any{"type"}, "properties": map[string]any{"type": text}}),
	})
	schema["title"] = Contract + " decision"
	return schema
}
