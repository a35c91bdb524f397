package author

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/errgroup"

	"github.com/lockgate/lockgate/policy"
)

// Mutant is a folder with one rule deleted, about which no test complains.
type Mutant struct {
	File string `json:"file"`
	Row  int    `json:"row"`
	Rule string `json:"rule"` // its label
	Head string `json:"head"`
}

// Mutate deletes each rule in turn and runs the tests that can notice. It
// answers the mutants that all tests let live, and how many there were. A
// mutant that does not compile is noticed. The tests must pass before.
func Mutate(ctx context.Context, p *policy.Parsed) (alive []Mutant, tried int, err error) {
	results, err := Test(ctx, p)
	if err != nil {
		return nil, 0, err
	}
	for _, r := range results {
		if !r.Pass && !r.Skipped {
			return nil, 0, fmt.Errorf("%s.%s fails before any rule is deleted", r.Package, r.Name)
		}
	}
	lab := &laboratory{parsed: p, needs: needs(p.Modules)}
	for _, file := range sources(p) {
		for i := range p.Modules[file].Rules {
			lab.cuts = append(lab.cuts, cut{file, i})
		}
	}
	survived := make([]bool, len(lab.cuts))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range lab.cuts {
		g.Go(func() error {
			survived[i] = lab.survives(ctx, c)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, err
	}
	for i, c := range lab.cuts {
		if survived[i] {
			alive = append(alive, lab.describe(c))
		}
	}
	return alive, len(lab.cuts), nil
}

// laboratory makes mutants of one folder.
type laboratory struct {
	parsed *policy.Parsed
	needs  map[string][]string // by file: the files that it cannot do without, itself among them
	cuts   []cut
}

// cut is one rule to delete.
type cut struct {
	file  string
	index int
}

// survives asks every file of tests that can see the deleted rule, those with
// the fewest other files first.
func (l *laboratory) survives(ctx context.Context, c cut) bool {
	var suites []string
	for file, m := range l.parsed.Modules {
		if policy.IsTest(m) && slices.Contains(l.needs[file], c.file) {
			suites = append(suites, file)
		}
	}
	slices.SortFunc(suites, func(a, b string) int {
		if n := len(l.needs[a]) - len(l.needs[b]); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	for _, suite := range suites {
		modules := map[string]*ast.Module{}
		for _, file := range l.needs[suite] {
			modules[file] = l.parsed.Modules[file]
		}
		mutant := modules[c.file].Copy()
		mutant.Rules = slices.Delete(mutant.Rules, c.index, c.index+1)
		modules[c.file] = mutant
		results, err := run(ctx, l.parsed, modules, nil)
		if err != nil || slices.ContainsFunc(results, func(r TestResult) bool { return !r.Pass && !r.Skipped }) {
			return false
		}
	}
	return true
}

func (l *laboratory) describe(c cut) Mutant {
	m := l.parsed.Modules[c.file]
	r := m.Rules[c.index]
	return Mutant{File: c.file, Row: r.Location.Row, Rule: policy.RuleLabel(m, r), Head: r.Head.String()}
}

// needs finds for every file those that it reads, directly or not.
func needs(modules map[string]*ast.Module) map[string][]string {
	direct := map[string][]string{}
	for file, m := range modules {
		paths := append(reads(m), m.Package.Path)
		for other, o := range modules {
			if slices.ContainsFunc(paths, func(p ast.Ref) bool { return sees(p, o) }) {
				direct[file] = append(direct[file], other)
			}
		}
	}
	all := map[string][]string{}
	for file := range modules {
		seen := map[string]bool{file: true}
		for todo := []string{file}; len(todo) > 0; todo = todo[1:] {
			for _, other := range direct[todo[0]] {
				if !seen[other] {
					seen[other] = true
					todo = append(todo, other)
				}
			}
		}
		for other := range seen {
			all[file] = append(all[file], other)
		}
		slices.Sort(all[file])
	}
	return all
}

// sees reports whether a reference reads something of a module. Whoever reads
// data.lockgate as a whole means no tests.
func sees(p ast.Ref, m *ast.Module) bool {
	return p.HasPrefix(m.Package.Path) || (!policy.IsTest(m) && m.Package.Path.HasPrefix(p))
}

// reads lists the constant beginnings of all references to data.
func reads(m *ast.Module) []ast.Ref {
	var list []ast.Ref
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if r[0].Equal(ast.DefaultRootDocument) {
			list = append(list, r.ConstantPrefix())
		}
		return false
	})
	return list
}
