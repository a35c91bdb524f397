package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reads checks every reference to data: what is not there is undefined, and an
// undefined denial does not deny.
func (k *checker) reads() {
	for _, m := range k.modules {
		if m.scope.kind == scopeTest {
			continue
		}
		seen := map[string]bool{}
		for _, r := range k.compiler.Modules[m.path].Rules {
			ast.WalkRefs(r, func(ref ast.Ref) bool {
				if !ref[0].Equal(ast.DefaultRootDocument) {
					return false
				}
				code, msg := k.dataRef(m.scope, ref)
				at := ref[0].Location
				if at == nil || at.File == "" {
					at = r.Location
				}
				if where := fmt.Sprint(at, msg); msg != "" && !seen[where] {
					seen[where] = true
					k.fault(at, code, "%s", msg)
				}
				return false
			})
		}
	}
}

// dataRef says what is wrong with a reference, or "".
func (k *checker) dataRef(s scope, ref ast.Ref) (code, msg string) {
	path := constants(ref[1:])
	dotted := strings.Join(append([]string{"data"}, path...), ".")
	if len(path) == 0 || (path[0] == "lockgate" && len(path) == 1) {
		return "data_scope", dotted + " is read as a whole: name what is meant, such as data.facts or data.lockgate.lib.<name>"
	}
	if path[0] == "facts" {
		return "", ""
	}
	if path[0] != "lockgate" {
		return "data_scope", dotted + " is never there: facts stand under data.facts, rules under data.lockgate"
	}
	switch kind := kindNamed(path[1]); {
	case kind == 0, kind == scopeTest:
		return "data_scope", dotted + " is not for policies to read"
	case s.kind == scopeOrg && kind == scopePolicy, s.kind == scopeOrg && kind == scopeOrg && (len(path) < 3 || path[2] != s.name):
		return "delegation", fmt.Sprintf("organisation %s may not read %s: it may read data.facts, data.lockgate.lib and its own package", s.name, dotted)
	case s.kind == scopeLib && kind != scopeLib:
		return "delegation", "a library may not read " + dotted + ": whoever uses the library would read it too"
	}
	if len(path) > 2 && len(k.compiler.GetRules(ref.ConstantPrefix())) == 0 {
		return "undefined_rule", "there is no rule " + dotted
	}
	return "", ""
}

// warnings finds what is allowed and not wise.
func warnings(c *ast.Compiler, modules []module, cfg *Config) []Fault {
	var list []Fault
	names := map[string]bool{}
	for _, m := range modules {
		if m.scope.kind == scopeTest {
			continue
		}
		names[m.scope.label()] = true
		for _, r := range c.Modules[m.path].Rules {
			ast.WalkRefs(r, func(ref ast.Ref) bool {
				if ref[0].Equal(ast.InputRootDocument) {
					list = appendForgetful(list, r, ref)
				}
				return false
			})
		}
	}
	for _, name := range sortedKeys(cfg.Enforcement) {
		if !names[name] {
			list = append(list, Fault{Code: "enforcement", Msg: fmt.Sprintf("policy.enforcement names %s, and no such policy is loaded", name)})
		}
	}
	return list
}

// appendForgetful names a read that keeps decisions from being remembered.
func appendForgetful(list []Fault, r *ast.Rule, ref ast.Ref) []Fault {
	at := ref[0].Location
	if at == nil || at.File == "" {
		at = r.Location
	}
	path := strings.Join(append([]string{"input"}, constants(ref[1:])...), ".")
	msg := ""
	switch path {
	case "input", "input.request", "input.queue", "input.lock":
		msg = path + " is read as a whole, so hardly a decision can be remembered: name the field"
	case "input.request.id", "input.request.time", "input.request.time_ns", "input.queue.waited_s":
		msg = path + " differs from request to request, so no decision can be remembered: input.calendar has the hour and the windows in force, and waiting counts without points"
	}
	f := faultAt(at, "not_remembered", msg)
	if msg == "" || slices.Contains(list, f) {
		return list
	}
	return append(list, f)
}
