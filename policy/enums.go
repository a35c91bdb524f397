package policy

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// enums refuses comparisons of a field that has a closed set of values with a
// value outside: input.action == "lokc" is never true, and != is always.
func (k *checker) enums() {
	closed := enums()
	for _, m := range k.modules {
		if m.scope.kind == scopeTest {
			continue
		}
		for _, r := range k.compiler.Modules[m.path].Rules {
			for rule := r; rule != nil; rule = rule.Else {
				e := &enumWalk{checker: k, closed: closed, rule: rule, alias: map[string]string{}}
				e.walk()
			}
		}
	}
}

// enumWalk looks at one rule.
type enumWalk struct {
	*checker
	closed map[string][]string
	rule   *ast.Rule
	alias  map[string]string // local variable -> path of the input
}

func (e *enumWalk) walk() {
	ast.WalkExprs(e.rule, func(x *ast.Expr) bool {
		if a, b, ok := sides(x); ok {
			e.remember(a, b)
			e.remember(b, a)
		}
		return false
	})
	ast.WalkExprs(e.rule, func(x *ast.Expr) bool {
		if a, b, ok := sides(x); ok {
			e.compare(x, a, b)
			e.compare(x, b, a)
		}
		return false
	})
}

// sides are the operands of a comparison or a membership test.
func sides(x *ast.Expr) (a, b *ast.Term, ok bool) {
	if !x.IsCall() || len(x.Operands()) < 2 {
		return nil, nil, false
	}
	switch x.Operator().String() {
	case "eq", "equal", "neq", "assign", "internal.member_2":
		return x.Operand(0), x.Operand(1), true
	}
	return nil, nil, false
}

// remember follows action := input.action.
func (e *enumWalk) remember(local, value *ast.Term) {
	name, isVar := local.Value.(ast.Var)
	if path := pathOf(value); isVar && path != "" {
		e.alias[string(name)] = path
	}
}

func pathOf(t *ast.Term) string {
	ref, ok := t.Value.(ast.Ref)
	if !ok || !ref[0].Equal(ast.InputRootDocument) {
		return ""
	}
	names := constants(ref[1:])
	if len(names) != len(ref)-1 {
		return ""
	}
	return "input." + strings.Join(names, ".")
}

func (e *enumWalk) compare(x *ast.Expr, field, value *ast.Term) {
	path := pathOf(field)
	if name, ok := field.Value.(ast.Var); ok {
		path = e.alias[string(name)]
	}
	values, isClosed := e.closed[path]
	if !isClosed {
		return
	}
	for _, s := range stringsIn(value.Value) {
		if slices.Contains(values, s) {
			continue
		}
		at := x.Location
		if at == nil || at.File == "" {
			at = e.rule.Location
		}
		e.fault(at, "unknown_value", "%s is never %q: it is one of %s", path, s, strings.Join(quoted(values), ", "))
	}
}

// stringsIn answers a constant string, or the constant strings of a constant
// collection.
func stringsIn(v ast.Value) []string {
	var out []string
	add := func(t *ast.Term) {
		if s, ok := t.Value.(ast.String); ok {
			out = append(out, string(s))
		}
	}
	switch v := v.(type) {
	case ast.String:
		out = append(out, string(v))
	case *ast.Array:
		v.Foreach(add)
	case ast.Set:
		v.Foreach(add)
	}
	return out
}

func quoted(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = `"` + v + `"`
	}
	return out
}
