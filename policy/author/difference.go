package author

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/lockgate/lockgate/policy"
)

// Kind is what became of a rule or a fact.
type Kind string

// The kinds.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
)

// Change is one difference between two folders. How files are laid out, named
// and formatted, comments and tests make no difference.
type Change struct {
	Kind  Kind   `json:"kind"`
	What  string `json:"what"` // "rule" or "fact"
	Name  string `json:"name"` // lockgate.policy.freeze.deny, or data.facts.bots
	From  string `json:"from,omitempty"`
	To    string `json:"to,omitempty"`
	Where string `json:"where,omitempty"` // file:line in the newer folder, for rules
}

// Difference lists what one folder decides by and the other does not.
func Difference(older, newer *policy.Parsed) []Change {
	list := slices.Concat(ruleChanges(rulesOf(older), rulesOf(newer)), factChanges("data.facts", older.Facts, newer.Facts))
	slices.SortStableFunc(list, func(a, b Change) int {
		return cmp.Or(-cmp.Compare(a.What, b.What), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// rulesOf lists the rules of a folder, by package and name, as text.
func rulesOf(p *policy.Parsed) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, file := range sources(p) {
		m := p.Modules[file]
		imports := importsOf(m)
		for _, r := range m.Rules {
			name := strings.TrimPrefix(m.Package.Path.String(), "data.") + "." + r.Head.Ref().String()
			if all[name] == nil {
				all[name] = map[string]string{}
			}
			all[name][textOf(r)+imports] = r.Location.String()
		}
	}
	return all
}

// importsOf is the imports that give a rule's names their meaning: only those
// that are called otherwise than their last segment.
func importsOf(m *ast.Module) string {
	var b strings.Builder
	for _, i := range m.Imports {
		if i.Alias != "" {
			b.WriteString("\n# " + i.String())
		}
	}
	return b.String()
}

func textOf(r *ast.Rule) string {
	c := r.Copy()
	c.Annotations = nil
	text, err := format.AstWithOpts(c, format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		return c.String()
	}
	return strings.TrimSpace(string(text))
}

// ruleChanges compares the sets of rules of each name. One rule that gave way to
// one other was changed.
func ruleChanges(older, newer map[string]map[string]string) []Change {
	var list []Change
	names := map[string]bool{}
	for name := range older {
		names[name] = true
	}
	for name := range newer {
		names[name] = true
	}
	for name := range names {
		gone, come := without(older[name], newer[name]), without(newer[name], older[name])
		for len(gone) > 0 && len(come) > 0 {
			list = append(list, Change{Kind: Changed, What: "rule", Name: name, From: gone[0], To: come[0], Where: newer[name][come[0]]})
			gone, come = gone[1:], come[1:]
		}
		for _, text := range gone {
			list = append(list, Change{Kind: Removed, What: "rule", Name: name, From: text})
		}
		for _, text := range come {
			list = append(list, Change{Kind: Added, What: "rule", Name: name, To: text, Where: newer[name][text]})
		}
	}
	return list
}

func without(these, those map[string]string) []string {
	var list []string
	for text := range these {
		if _, ok := those[text]; !ok {
			list = append(list, text)
		}
	}
	slices.Sort(list)
	return list
}

// factChanges compares documents member by member.
func factChanges(path string, older, newer map[string]any) []Change {
	var list []Change
	for name, was := range older {
		here := path + "." + name
		is, ok := newer[name]
		if !ok {
			list = append(list, Change{Kind: Removed, What: "fact", Name: here, From: inJSON(was)})
			continue
		}
		a, isObject := was.(map[string]any)
		b, areObjects := is.(map[string]any)
		switch {
		case isObject && areObjects:
			list = append(list, factChanges(here, a, b)...)
		case !reflect.DeepEqual(was, is):
			list = append(list, Change{Kind: Changed, What: "fact", Name: here, From: inJSON(was), To: inJSON(is)})
		}
	}
	for name, is := range newer {
		if _, ok := older[name]; !ok {
			list = append(list, Change{Kind: Added, What: "fact", Name: path + "." + name, To: inJSON(is)})
		}
	}
	return list
}

func inJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
