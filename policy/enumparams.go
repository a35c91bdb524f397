package policy

import (
	"strconv"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// argument names one place of a function.
type argument string

func argumentOf(function ast.Ref, place int) argument {
	return argument(function.String() + " " + strconv.Itoa(place))
}

// enumParams finds the arguments that are a closed field wherever the function
// is called. Their values are those of all these fields together.
func (k *checker) enumParams() map[argument]closedField {
	known := map[argument]closedField{}
	other := map[argument]bool{} // something else is given somewhere
	k.eachRule(func(r *ast.Rule) {
		e := k.enumWalk(r)
		ast.WalkExprs(r, func(x *ast.Expr) bool {
			if !x.IsCall() || !x.Operator()[0].Equal(ast.DefaultRootDocument) {
				return false
			}
			for i, operand := range x.Operands() {
				at := argumentOf(x.Operator(), i)
				f, ok := e.fieldOf(operand)
				if !ok {
					other[at] = true
					continue
				}
				known[at] = known[at].or(f)
			}
			return false
		})
	})
	for at := range other {
		delete(known, at)
	}
	return known
}

// or is a field that is one of two.
func (f closedField) or(g closedField) closedField {
	if f.path == "" || f.path == g.path {
		return g
	}
	if strings.Contains(f.path, g.path) {
		return f
	}
	return closedField{path: f.path + " or " + g.path, values: append(append([]string{}, f.values...), g.values...)}
}

// bind makes the arguments of a function the fields that are given for them.
func (e *enumWalk) bind(params map[argument]closedField) {
	for i, arg := range e.rule.Head.Args {
		if f, ok := params[argumentOf(e.rule.Ref(), i)]; ok {
			e.field[argKey(arg)] = f
		}
	}
}

// argKey names an argument: a variable by its name, a pattern by its text.
func argKey(arg *ast.Term) string {
	if name, ok := arg.Value.(ast.Var); ok {
		return string(name)
	}
	return arg.String()
}
