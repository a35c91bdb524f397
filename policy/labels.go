package policy

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// label gives a label to every rule that has none of its own, such as
// rbac.grant:12: OPA's tracker of fired rules sees labelled rules only.
func label(modules []module) {
	for _, m := range modules {
		for _, r := range m.parsed.Rules {
			if labelled(r) {
				continue
			}
			a := (&ast.Annotations{
				Scope: "rule", Location: r.Location,
				Labels: map[string]any{"rule": fmt.Sprintf("%s.%s:%d", m.scope.label(), ruleName(r), r.Location.Row)},
			}).Copy(r)
			r.Annotations = append(r.Annotations, a)
			m.parsed.Annotations = append(m.parsed.Annotations, a)
		}
	}
}

func labelled(r *ast.Rule) bool {
	for _, a := range r.Annotations {
		if len(a.Labels) > 0 {
			return true
		}
	}
	return false
}
