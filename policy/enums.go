package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// enums refuses comparisons of a field that has a closed set of values with a
// value outside: input.action == "lokc" is never true, and != is always. It
// follows fields and constants through local variables, rules, arguments of
// functions and keys of objects, as far as they are written down.
func (k *checker) enums() {
	params := k.enumParams()
	k.eachRule(func(r *ast.Rule) {
		e := k.enumWalk(r)
		e.bind(params)
		e.walk()
	})
}

func (k *checker) eachRule(visit func(*ast.Rule)) {
	for _, m := range k.modules {
		if m.scope.kind == scopeTest {
			continue
		}
		for _, r := range k.compiler.Modules[m.path].Rules {
			for rule := r; rule != nil; rule = rule.Else {
				visit(rule)
			}
		}
	}
}

// closedField is a field with a closed set of values.
type closedField struct {
	path   string
	values []string
}

// enumWalk looks at one rule.
type enumWalk struct {
	*checker

	rule  *ast.Rule
	field map[string]closedField // by local variable
	value map[string]*ast.Term   // constants and references to rules, by local variable
}

func (k *checker) enumWalk(r *ast.Rule) *enumWalk {
	e := &enumWalk{checker: k, rule: r, field: map[string]closedField{}, value: map[string]*ast.Term{}}
	ast.WalkExprs(r, func(x *ast.Expr) bool {
		if a, b, ok := sides(x); ok {
			e.remember(a, b)
			e.remember(b, a)
		}
		return false
	})
	return e
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

// remember follows action := input.action, and names := {"plan", "apply"}.
func (e *enumWalk) remember(local, value *ast.Term) {
	name, isVar := local.Value.(ast.Var)
	if !isVar {
		return
	}
	if path := pathOf(value); e.closed[path] != nil {
		e.field[string(name)] = closedField{path: path, values: e.closed[path]}
		return
	}
	if _, isVar := value.Value.(ast.Var); !isVar {
		e.value[string(name)] = value
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

// fieldOf answers the closed field that a term stands for.
func (e *enumWalk) fieldOf(t *ast.Term) (closedField, bool) {
	if name, ok := t.Value.(ast.Var); ok {
		f, ok := e.field[string(name)]
		return f, ok
	}
	path := pathOf(t)
	return closedField{path: path, values: e.closed[path]}, e.closed[path] != nil
}

func (e *enumWalk) walk() {
	ast.WalkExprs(e.rule, func(x *ast.Expr) bool {
		if a, b, ok := sides(x); ok {
			e.compare(x.Location, a, b)
			e.compare(x.Location, b, a)
		}
		if x.IsCall() && x.Operator().String() == "object.get" {
			e.lookUp(x.Location, x.Operand(0), x.Operand(1))
		}
		return false
	})
	ast.WalkRefs(e.rule, func(ref ast.Ref) bool {
		for i := 1; i < len(ref); i++ {
			if _, ok := e.fieldOf(ref[i]); ok {
				e.lookUp(ref[0].Location, ast.NewTerm(ref[:i]), ref[i])
			}
		}
		return false
	})
	for _, arg := range e.rule.Head.Args {
		if f, ok := e.field[argKey(arg)]; ok {
			e.check(e.rule.Location, f, []*ast.Term{arg})
		}
	}
}

// compare holds the constants on one side against the field on the other.
func (e *enumWalk) compare(at *ast.Location, field, value *ast.Term) {
	f, ok := e.fieldOf(field)
	if _, another := e.fieldOf(value); ok && !another {
		e.check(at, f, e.constantsIn(value))
	}
}

// lookUp holds the keys of an object against the field that chooses one.
func (e *enumWalk) lookUp(at *ast.Location, object, key *ast.Term) {
	f, ok := e.fieldOf(key)
	if !ok {
		return
	}
	if ref, isRef := object.Value.(ast.Ref); isRef && len(ref) == 1 {
		object = ref[0]
	}
	var keys []*ast.Term
	for _, t := range e.resolve(object) {
		switch v := t.Value.(type) {
		case ast.Object:
			keys = append(keys, v.Keys()...)
		case ast.Set:
			keys = append(keys, v.Slice()...)
		}
	}
	e.check(at, f, append(keys, e.ruleKeys(object)...))
}

func (e *enumWalk) check(at *ast.Location, f closedField, values []*ast.Term) {
	if at == nil || at.File == "" {
		at = e.rule.Location
	}
	for _, t := range values {
		s, ok := t.Value.(ast.String)
		if !ok || slices.Contains(f.values, string(s)) {
			continue
		}
		found := faultAt(at, "unknown_value", f.path+" is never "+strconv.Quote(string(s))+": it is one of "+strings.Join(quoted(f.values), ", "))
		if !slices.Contains(e.faults, found) {
			e.faults = append(e.faults, found)
		}
	}
}

// constantsIn answers the constant strings that a term may be, or may hold.
func (e *enumWalk) constantsIn(t *ast.Term) []*ast.Term {
	var out []*ast.Term
	for _, one := range append(e.resolve(t), e.ruleKeys(t)...) {
		switch v := one.Value.(type) {
		case ast.String:
			out = append(out, one)
		case *ast.Array:
			v.Foreach(func(t *ast.Term) { out = append(out, t) })
		case ast.Set:
			out = append(out, v.Slice()...)
		}
	}
	return out
}

// resolve follows a local variable, and a reference to a rule to the values
// that its definitions state.
func (e *enumWalk) resolve(t *ast.Term) []*ast.Term {
	if name, ok := t.Value.(ast.Var); ok {
		known := e.value[string(name)]
		if known == nil {
			return nil
		}
		t = known
	}
	ref, ok := t.Value.(ast.Ref)
	if !ok {
		return []*ast.Term{t}
	}
	var out []*ast.Term
	for _, r := range e.compiler.GetRulesExact(ref) {
		if len(r.Head.Args) == 0 && r.Head.RuleKind() == ast.SingleValue && r.Head.Value != nil {
			out = append(out, r.Head.Value)
		}
	}
	return out
}

// ruleKeys answers the constant elements of a partial set that a term refers
// to, and the constant keys of a partial object.
func (e *enumWalk) ruleKeys(t *ast.Term) []*ast.Term {
	if name, ok := t.Value.(ast.Var); ok && e.value[string(name)] != nil {
		t = e.value[string(name)]
	}
	ref, ok := t.Value.(ast.Ref)
	if !ok || !ref[0].Equal(ast.DefaultRootDocument) {
		return nil
	}
	var out []*ast.Term
	for _, r := range e.compiler.GetRulesWithPrefix(ref) {
		full := r.Ref()
		switch {
		case r.Head.RuleKind() == ast.MultiValue && r.Head.Key != nil && len(full) == len(ref):
			out = append(out, r.Head.Key)
		case r.Head.RuleKind() == ast.SingleValue && len(full) == len(ref)+1 && len(ref) > 4:
			out = append(out, full[len(ref)])
		}
	}
	return out
}

func quoted(values []string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = strconv.Quote(v)
	}
	return out
}
