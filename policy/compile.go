package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxCompileErrors bounds how many faults one load reports.
const maxCompileErrors = 50

// capabilities are the builtins that policies may call: those whose answer is a
// pure function of their arguments and whose cost a deadline can stop.
func capabilities() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	caps.AllowNet = []string{}
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		return b.Nondeterministic || forbidden(b.Name)
	})
	return caps
}

// forbidden names builtins that OPA holds for deterministic and that a decision
// must not call all the same.
func forbidden(name string) bool {
	for _, prefix := range []string{"graphql.", "crypto.x509.", "providers.aws."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	switch name {
	case "http.send", "opa.runtime", "net.lookup_ip_addr", "rand.intn", "time.now_ns", "uuid.rfc4122",
		"rego.parse_module", "trace", "strings.render_template", "crypto.parse_private_keys", // they look outside, or have effects
		"graph.reachable_paths", "bits.lsh", "net.cidr_expand": // they outrun every deadline
		return true
	}
	return false
}

// module is one parsed file.
type module struct {
	path   string
	text   []byte
	parsed *ast.Module
	scope  scope
}

// scope is what the package of a module makes of it.
type scope struct {
	kind scopeKind
	name string // of the policy, organisation, library or test
}

type scopeKind uint8

const (
	scopePolicy scopeKind = iota + 1
	scopeOrg
	scopeLib
	scopeTest
)

// kindNamed answers the kind of lockgate.<segment>, or 0.
func kindNamed(segment string) scopeKind {
	switch segment {
	case "policy":
		return scopePolicy
	case "org":
		return scopeOrg
	case "lib":
		return scopeLib
	case "test":
		return scopeTest
	}
	return 0
}

// label is how decisions and configuration name the policy.
func (s scope) label() string {
	if s.kind == scopeOrg {
		return "org/" + s.name
	}
	return s.name
}

// parse reads the modules of a folder and refuses packages that are not part of
// the contract. Files that are our aggregator to the byte are passed over.
func parse(files []file, caps *ast.Capabilities) ([]module, error) {
	var modules []module
	var faults []error
	for _, f := range files {
		if isAggregator(f.text) {
			continue
		}
		parsed, err := ast.ParseModuleWithOpts(f.path, string(f.text), ast.ParserOptions{
			ProcessAnnotation: true, Capabilities: caps, RegoVersion: ast.RegoV1,
		})
		if err != nil {
			faults = append(faults, err)
			continue
		}
		s, err := scopeOf(parsed.Package)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		modules = append(modules, module{path: f.path, text: f.text, parsed: parsed, scope: s})
	}
	return modules, errors.Join(faults...)
}

// scopeOf reads lockgate.<kind>.<name>.
func scopeOf(p *ast.Package) (scope, error) {
	segments := make([]string, 0, len(p.Path))
	for _, term := range p.Path[1:] {
		s, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		segments = append(segments, string(s))
	}
	if len(segments) == 1 && segments[0] == "lockgate" {
		return scope{}, fault(p.Location.File, p.Location.Row, p.Location.Col, "reserved_package",
			"package lockgate is the gateway's own: remove this file, or keep the shipped main.rego unchanged")
	}
	if len(segments) >= 3 && segments[0] == "lockgate" {
		s := scope{kind: kindNamed(segments[1]), name: segments[2]}
		one := s.kind == scopePolicy || s.kind == scopeOrg
		if s.kind != 0 && (!one || len(segments) == 3) {
			return s, nil
		}
	}
	return scope{}, fault(p.Location.File, p.Location.Row, p.Location.Col, "package_name", fmt.Sprintf(
		"package %s is not part of the contract: use lockgate.policy.<name>, lockgate.org.<organisation>, lockgate.lib.<name> or lockgate.test.<name>",
		strings.Join(segments, ".")))
}

// compile checks and compiles what decides: everything but tests, which look at
// partial inputs and so cannot be held against the schema.
func compile(modules []module, caps *ast.Capabilities) (*ast.Compiler, error) {
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, InputSchema())
	c := ast.NewCompiler().WithCapabilities(caps).WithStrict(true).WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true).SetErrorLimit(maxCompileErrors)
	parsed := map[string]*ast.Module{}
	for _, m := range modules {
		if m.scope.kind != scopeTest {
			parsed[m.path] = m.parsed.Copy()
		}
	}
	c.Compile(parsed)
	if c.Failed() {
		return nil, c.Errors
	}
	return c, nil
}
