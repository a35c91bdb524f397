package policy

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/lockgate/lockgate/core/lock"
)

// Explanation tells how policies came to a verdict, from an evaluation that was
// traced. That costs ten times a decision.
type Explanation struct {
	Resource string        `json:"resource"`
	Allow    bool          `json:"allow"`
	Grants   []string      `json:"grants"`  // "policy: why"
	Denials  []lock.Reason `json:"denials"` // each must go before the call is allowed
	Rules    []string      `json:"rules"`   // that fired, by their labels
	Missing  []Missing     `json:"missing"` // what keeps grants from granting; empty when something grants
	Trace    []string      `json:"trace"`   // the evaluation, line by line
}

// Missing is one line of a grant, or of a rule that a grant needs, which was not
// true. Grants that are about another action are left out.
type Missing struct {
	Grant string `json:"grant"` // label of the rule that would grant
	File  string `json:"file"`
	Row   int    `json:"row"`
	Line  string `json:"line"`
}

const maxTraceLines = 20_000

// Explain answers how the policies decide about a whole input.
func (c *Candidate) Explain(ctx context.Context, input json.RawMessage) (*Explanation, error) {
	term, want, err := readInput(input)
	if err != nil {
		return nil, err
	}
	return c.generation.trace(ctx, term.Value, want)
}

// trace evaluates without index and without early exit: every rule is tried,
// so that each can tell where it failed.
func (g *generation) trace(ctx context.Context, input ast.Value, want lock.Priority) (*Explanation, error) {
	tracer := topdown.NewBufferTracer()
	v, err := g.judge(ctx, g.wardOf(input), input, want,
		rego.EvalQueryTracer(tracer), rego.EvalRuleIndexing(false), rego.EvalEarlyExit(false))
	if err != nil {
		return nil, err
	}
	x := &Explanation{
		Allow: v.Allow, Denials: v.Deny, Grants: []string{}, Missing: []Missing{}, Rules: ruleNames(v.labels), Trace: traceLines(*tracer),
	}
	x.Resource, _ = textAt(input, "resource", "key")
	for _, line := range v.Grants {
		x.Grants = append(x.Grants, line.Policy+": "+line.Why)
	}
	if len(x.Grants) == 0 {
		x.Missing = missing(*tracer)
	}
	return x, nil
}

func traceLines(events []*topdown.Event) []string {
	var b strings.Builder
	topdown.PrettyTraceWithLocation(&b, events)
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) > maxTraceLines {
		lines = append(lines[:maxTraceLines], fmt.Sprintf("%d more lines", len(lines)-maxTraceLines))
	}
	return lines
}

// frame is one query of an evaluation: the body of a rule, or of a
// comprehension, a not, an every inside one.
type frame struct {
	rule   *ast.Rule // nil: of the frame above
	parent uint64
}

// missing collects the lines that failed in grants that were tried in vain, and
// in rules they need.
func missing(events []*topdown.Event) []Missing {
	frames := map[uint64]frame{}
	done := map[*ast.Location]bool{} // rules that came to an end
	for _, e := range events {
		rule, isRule := e.Node.(*ast.Rule)
		switch {
		case e.Op == topdown.EnterOp && isRule:
			frames[e.QueryID] = frame{rule: rule, parent: e.ParentID}
		case e.Op == topdown.EnterOp:
			frames[e.QueryID] = frame{parent: e.ParentID}
		case e.Op == topdown.ExitOp && isRule:
			done[rule.Location] = true
		}
	}
	var list []Missing
	others := map[string]bool{} // grants of other actions: those keep nobody out
	for _, e := range events {
		if e.Op != topdown.FailOp || e.Location == nil || e.Location.File == "" {
			continue
		}
		grant := grantAbove(frames, done, e.QueryID)
		if grant == nil {
			continue
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(e.Location.Text)), "\n")
		m := Missing{Grant: RuleLabel(grant.Module, grant), File: e.Location.File, Row: e.Location.Row, Line: line}
		if strings.Contains(line, "input.action") { // the compiler took the expression apart; its text is whole
			others[m.Grant] = true
		}
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	list = slices.DeleteFunc(list, func(m Missing) bool { return others[m.Grant] })
	slices.SortStableFunc(list, func(a, b Missing) int {
		return cmp.Or(cmp.Compare(a.Grant, b.Grant), cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row))
	})
	return list
}

// grantAbove finds the grant that a query belongs to, or nil when a rule on the
// way came to its end all the same.
func grantAbove(frames map[uint64]frame, done map[*ast.Location]bool, id uint64) *ast.Rule {
	for range len(frames) + 1 {
		f, ok := frames[id]
		if !ok || (f.rule != nil && done[f.rule.Location]) {
			return nil
		}
		if f.rule != nil && ruleName(f.rule) == ruleGrant {
			return f.rule
		}
		id = f.parent
	}
	return nil
}
