package policy

import (
	"io/fs"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lockgate/lockgate/policies"
)

// Parsed is a policy folder with its tests, parsed and not checked, for tools of
// authors. The aggregator is among the modules: tests may ask it.
type Parsed struct {
	Modules map[string]*ast.Module
	Facts   map[string]any
}

// ParseFolder reads a folder. Syntax, foreign packages and misplaced data are a
// *LoadError.
func ParseFolder(folder fs.FS) (*Parsed, error) {
	s, err := readSources(folder)
	if err != nil {
		return nil, loadError(err)
	}
	modules, err := parse(s.rego, capabilities())
	if err != nil {
		return nil, loadError(err)
	}
	facts, err := s.facts()
	if err != nil {
		return nil, loadError(err)
	}
	p := &Parsed{Modules: map[string]*ast.Module{}, Facts: facts}
	for _, m := range modules {
		p.Modules[m.path] = m.parsed
	}
	text, err := policies.Aggregator()
	if err != nil {
		return nil, err
	}
	p.Modules[policies.AggregatorPath], err = ast.ParseModuleWithOpts(policies.AggregatorPath, string(text), parserOptions(capabilities()))
	return p, err
}

func parserOptions(caps *ast.Capabilities) ast.ParserOptions {
	return ast.ParserOptions{ProcessAnnotation: true, Capabilities: caps, RegoVersion: ast.RegoV1}
}

// IsTest reports whether a module holds tests.
func IsTest(m *ast.Module) bool {
	s, err := scopeOf(m.Package)
	return err == nil && s.kind == scopeTest
}

// Compiler answers a compiler with the builtins of a decision. Tests mock parts
// of the input, so it does not know the input's schema.
func (p *Parsed) Compiler() *ast.Compiler {
	return ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true).SetErrorLimit(maxCompileErrors)
}

// Data answers the document data, without rules.
func (p *Parsed) Data() map[string]any { return map[string]any{"facts": p.Facts} }

// RuleLabel is how the decision log calls a rule.
func RuleLabel(m *ast.Module, r *ast.Rule) string {
	for _, a := range r.Annotations {
		if name, ok := a.Labels["rule"].(string); ok {
			return name
		}
	}
	s, err := scopeOf(m.Package)
	if err != nil {
		return r.Location.String()
	}
	return defaultLabel(s, r)
}
