package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/lockgate/lockgate/core/lock"
)

// checker holds compiled policies against the contract. Rego lets most of what
// it refuses through, as an allow.
type checker struct {
	cfg      *Config
	compiler *ast.Compiler
	modules  []module
	faults   []Fault
}

// checkContract answers a *LoadError with everything that compiles and does not
// mean what its author thinks.
func checkContract(c *ast.Compiler, modules []module, cfg *Config) error {
	k := &checker{cfg: cfg, compiler: c, modules: modules}
	said := map[voice][]*ast.Rule{}
	for _, m := range modules {
		if m.scope.kind != scopePolicy && m.scope.kind != scopeOrg {
			continue
		}
		for _, r := range m.parsed.Rules {
			if k.ruleHead(m.scope, r) {
				v := voice{scope: m.scope, rule: ruleName(r), level: levelOf(r)}
				said[v] = append(said[v], r)
			}
		}
	}
	for v, rules := range said {
		k.types(&v, rules)
	}
	k.reads()
	k.enums()
	k.openBesideOthers()
	if len(k.faults) > 0 {
		return &LoadError{Faults: k.faults}
	}
	return nil
}

func (k *checker) fault(at *ast.Location, code, format string, args ...any) {
	k.faults = append(k.faults, faultAt(at, code, fmt.Sprintf(format, args...)))
}

// ruleHead checks the name and the form of a rule, and reports whether it is a
// rule of the contract.
func (k *checker) ruleHead(s scope, r *ast.Rule) bool {
	name := ruleName(r)
	if !slices.Contains(reservedNames(), name) {
		if near := nearMiss(name); near != "" {
			k.fault(r.Location, "near_miss", "%s looks like %s, and no gateway reads it: rename it", name, near)
		}
		return false
	}
	before := len(k.faults)
	switch {
	case len(r.Head.Args) > 0:
		k.fault(r.Location, "rule_form", "%s is reserved: a function needs another name", name)
	case r.Head.RuleKind() != ast.MultiValue:
		k.fault(r.Location, "rule_form", "%s must be a set: write `%s contains … if { … }`", name, name)
	case name == ruleLevelGrant && !isLevel(levelOf(r)):
		k.fault(r.Location, "rule_form", "name the level: write `level_grant.high contains …` or `level_grant.critical contains …`")
	case name != ruleLevelGrant && len(r.Head.Ref()) != 1:
		k.fault(r.Location, "rule_form", "%s is one set: write `%s contains …`, not %s", name, name, r.Head.Ref())
	}
	if s.kind == scopeOrg {
		k.orgRule(s.name, name, r)
	}
	return len(k.faults) == before
}

func isLevel(s string) bool {
	var p lock.Priority
	return s != "" && p.UnmarshalText([]byte(s)) == nil
}

// orgRule refuses what an organisation may not say.
func (k *checker) orgRule(org, name string, r *ast.Rule) {
	switch name {
	case ruleDeny, ruleWarn, rulePoints, ruleObligation:
	case ruleGrant:
		if !k.cfg.mayGrant(org) {
			k.fault(r.Location, "delegation", "organisation %s may not grant: the operator lists it in policy.may_grant", org)
		}
	default:
		k.fault(r.Location, "delegation", "an organisation may not say %s: this belongs to a policy of the platform", name)
	}
}

// openBesideOthers refuses the open profile in a folder where other policies
// grant: they would decide nothing.
func (k *checker) openBesideOthers() {
	var open *ast.Location
	others := false
	for _, m := range k.modules {
		if m.scope.kind != scopePolicy {
			continue
		}
		for _, r := range m.parsed.Rules {
			switch {
			case ruleName(r) != ruleGrant:
			case m.scope.name == ProfileOpen:
				open = r.Location
			default:
				others = true
			}
		}
	}
	if open != nil && others {
		k.fault(open, "open_profile", "policy open grants everything, so the grants of the other policies decide nothing: remove it, or them")
	}
}

// types checks that a rule is a set of exactly the type that the contract says.
func (k *checker) types(v *voice, rules []*ast.Rule) {
	seen := k.compiler.TypeEnv.GetByRef(v.ref())
	if wellTyped(v.rule, seen) {
		return
	}
	k.fault(k.culprit(v, rules), "rule_type", "%s must be a set of %s; this makes it %s", v.rule, wanted(v.rule), types.Sprint(seen))
}

// culprit finds which of several rules of one name has the wrong type: it
// compiles with one of them at a time.
func (k *checker) culprit(v *voice, rules []*ast.Rule) *ast.Location {
	for _, only := range rules {
		alone := make([]module, len(k.modules))
		for i, m := range k.modules {
			alone[i] = m
			if m.scope != v.scope {
				continue
			}
			alone[i].parsed = m.parsed.Copy()
			alone[i].parsed.Rules = slices.DeleteFunc(alone[i].parsed.Rules, func(r *ast.Rule) bool {
				return ruleName(r) == v.rule && levelOf(r) == v.level && !r.Location.Equal(only.Location)
			})
		}
		c, err := compile(alone, capabilities())
		if err == nil && !wellTyped(v.rule, c.TypeEnv.GetByRef(v.ref())) {
			return only.Location
		}
	}
	return rules[0].Location
}

func wanted(rule string) string {
	switch rule {
	case ruleDeny, ruleWarn:
		return `{"code": string, "msg": string}`
	case rulePoints:
		return `{"why": string, "points": integer}`
	case ruleMaxTTL, ruleMaxWait, ruleMaxQueue, rulePreemptBelow:
		return "integers"
	case ruleObligation:
		return `objects with a "type": string`
	}
	return "strings"
}

func wellTyped(rule string, t types.Type) bool {
	set, ok := t.(*types.Set)
	if !ok {
		return false
	}
	of := set.Of()
	switch rule {
	case ruleDeny, ruleWarn:
		return isObject(of, map[string]accept{"code": isText, "msg": isText}, closed)
	case rulePoints:
		return isObject(of, map[string]accept{"why": isText, "points": isInteger}, closed)
	case ruleMaxTTL, ruleMaxWait, ruleMaxQueue, rulePreemptBelow:
		return isInteger(of)
	case ruleObligation:
		return isObject(of, map[string]accept{"type": isText}, open)
	}
	return isText(of)
}

// accept reports whether values of a type may be what the contract wants. What
// the compiler cannot know (any) is checked when it was evaluated.
type accept func(types.Type) bool

func isText(t types.Type) bool {
	return every(t, func(t types.Type) bool { return is[types.String](t) })
}

// isInteger takes "number or set" for a number: so the compiler types a - b.
func isInteger(t types.Type) bool {
	if union, ok := t.(types.Any); ok && len(union) > 0 {
		numbers := slices.ContainsFunc(union, is[types.Number])
		return numbers && every(t, func(t types.Type) bool { return is[types.Number](t) || is[*types.Set](t) })
	}
	return every(t, is[types.Number])
}

func is[T types.Type](t types.Type) bool {
	_, ok := t.(T)
	return ok
}

// every holds a type, or all members of a union, against a condition.
func every(t types.Type, ok func(types.Type) bool) bool {
	union, isUnion := t.(types.Any)
	if !isUnion {
		return t != nil && ok(t)
	}
	return !slices.ContainsFunc(union, func(member types.Type) bool { return !ok(member) })
}

type objectForm uint8

const (
	closed objectForm = iota // no other members
	open
)

func isObject(t types.Type, members map[string]accept, form objectForm) bool {
	return every(t, func(t types.Type) bool {
		object, ok := t.(*types.Object)
		if !ok {
			return false
		}
		dynamic := object.DynamicProperties() != nil
		found := 0
		for _, p := range object.StaticProperties() {
			name, isName := p.Key.(string)
			check, known := members[name]
			switch {
			case isName && known && check(p.Value):
				found++
			case known, form == closed:
				return false
			}
		}
		return found == len(members) || dynamic
	})
}

// nearMiss answers the reserved name that somebody may have meant, or "".
func nearMiss(name string) string {
	switch name {
	case "env", "key", "want", "wait": // ordinary names
		return ""
	}
	for _, reserved := range reservedNames() {
		allowed := 1
		if len(reserved) >= 6 {
			allowed = 2
		}
		if plural(name) == reserved || plural(reserved) == name || distance(name, reserved) <= allowed {
			return reserved
		}
	}
	return ""
}

func plural(s string) string {
	if rest, ok := strings.CutSuffix(s, "y"); ok {
		return rest + "ies"
	}
	return s + "s"
}

// distance counts insertions, deletions, substitutions and transpositions of
// neighbours.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
