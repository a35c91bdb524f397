package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
)

// voice is one rule of the contract that one policy has: an element of a
// query's answer.
type voice struct {
	scope scope
	rule  string // such as deny
	level string // of a level_grant
}

func (v *voice) ref() ast.Ref {
	kind := "policy"
	if v.scope.kind == scopeOrg {
		kind = "org"
	}
	ref := ast.Ref{
		ast.DefaultRootDocument, ast.StringTerm("lockgate"), ast.StringTerm(kind),
		ast.StringTerm(v.scope.name), ast.StringTerm(v.rule),
	}
	if v.level != "" {
		ref = append(ref, ast.StringTerm(v.level))
	}
	return ref
}

// plan is a prepared query that asks every voice of the platform, or of one
// organisation, by constant references: dynamic walks defeat the rule index.
type plan struct {
	voices []voice
	query  rego.PreparedEvalQuery
	reads  []read
}

// voices lists what the policies of a scope say, in a fixed order.
func voices(c *ast.Compiler, modules []module, kind scopeKind, name string) []voice {
	seen := map[voice]bool{}
	for _, m := range modules {
		if m.scope.kind != kind || (kind == scopeOrg && m.scope.name != name) {
			continue
		}
		for _, r := range c.Modules[m.path].Rules {
			v := voice{scope: m.scope, rule: ruleName(r)}
			if !slices.Contains(reservedNames(), v.rule) {
				continue
			}
			if v.rule == ruleLevelGrant {
				v.level = levelOf(r)
			}
			seen[v] = true
		}
	}
	list := make([]voice, 0, len(seen))
	for v := range seen {
		list = append(list, v)
	}
	slices.SortFunc(list, func(a, b voice) int { return a.ref().Compare(b.ref()) })
	return list
}

// ruleName is the first name of a rule's head.
func ruleName(r *ast.Rule) string {
	ref := r.Head.Ref()
	if len(ref) == 0 {
		return ""
	}
	return strings.Trim(ref[0].Value.String(), `"`)
}

// levelOf is high in level_grant.high, or "" when the level is no constant.
func levelOf(r *ast.Rule) string {
	ref := r.Head.Ref()
	if len(ref) != 2 {
		return ""
	}
	s, ok := ref[1].Value.(ast.String)
	if !ok {
		return ""
	}
	return string(s)
}

func newPlan(ctx context.Context, c *ast.Compiler, store storage.Store, list []voice) (*plan, error) {
	terms := make([]*ast.Term, len(list))
	for i := range list {
		terms[i] = ast.NewTerm(list[i].ref())
	}
	body := ast.NewBody(ast.Equality.Expr(ast.VarTerm(answerVar), ast.ArrayTerm(terms...)))
	refs, err := dependencies.Base(c, body)
	if err != nil {
		return nil, fmt.Errorf("find what the policies read: %w", err)
	}
	query, err := rego.New(
		rego.ParsedQuery(body), rego.Compiler(c), rego.Store(store), rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(t *ast.Term, _ *rego.EvalContext) (any, error) { return t, nil }),
	).PrepareForEval(ctx)
	if err != nil {
		return nil, fmt.Errorf("prepare the policies: %w", err)
	}
	return &plan{voices: list, query: query, reads: readsOf(refs)}, nil
}

const answerVar = "answer"

// read is a field that a plan can see, or a part of one.
type read struct {
	field field
	sub   []string
}

// readsOf turns the analysis of OPA into fields: a whole section where a policy
// reads one, everything where it reads the input itself.
func readsOf(refs []ast.Ref) []read {
	var reads []read
	for _, f := range fields() {
		subs, found := [][]string{}, false
		for _, ref := range refs {
			sub, ok := under(ref, f)
			if !ok {
				continue
			}
			found = true
			subs = append(subs, sub)
		}
		if !found {
			continue
		}
		for _, sub := range widest(subs) {
			reads = append(reads, read{field: f, sub: sub})
		}
	}
	return reads
}

// under reports whether a reference reads a field, and which part of it.
func under(ref ast.Ref, f field) ([]string, bool) {
	if len(ref) == 0 || !ref[0].Equal(ast.InputRootDocument) {
		return nil, false
	}
	rest := constants(ref[1:])
	for _, name := range []string{f.section, f.name} {
		if len(rest) == 0 || name == "" {
			break
		}
		if rest[0] != name {
			return nil, false
		}
		rest = rest[1:]
	}
	return rest, true
}

// constants is the part of a reference before the first segment that is no
// string.
func constants(ref ast.Ref) []string {
	var names []string
	for _, term := range ref {
		s, ok := term.Value.(ast.String)
		if !ok {
			return names
		}
		names = append(names, string(s))
	}
	return names
}

// widest drops parts that others include, and orders the rest.
func widest(subs [][]string) [][]string {
	slices.SortFunc(subs, slices.Compare)
	var out [][]string
	for _, sub := range subs {
		if !slices.ContainsFunc(out, func(w []string) bool { return len(w) <= len(sub) && slices.Equal(w, sub[:len(w)]) }) {
			out = append(out, sub)
		}
	}
	return out
}

// eval asks every voice. The answer's terms stand in the order of the voices.
func (p *plan) eval(ctx context.Context, input ast.Value, o ...rego.EvalOption) (*ast.Array, error) {
	results, err := p.query.Eval(ctx, append(o, rego.EvalParsedInput(input))...)
	if err != nil {
		return nil, err
	}
	if len(results) != 1 {
		return nil, fmt.Errorf("the policies gave %d answers, not 1", len(results))
	}
	term, ok := results[0].Bindings[answerVar].(*ast.Term)
	if !ok {
		return nil, fmt.Errorf("the policies answered a %T", results[0].Bindings[answerVar])
	}
	array, ok := term.Value.(*ast.Array)
	if !ok || array.Len() != len(p.voices) {
		return nil, fmt.Errorf("the policies answered %s, not %d sets", ast.ValueName(term.Value), len(p.voices))
	}
	return array, nil
}
