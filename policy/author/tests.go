package author

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/lockgate/lockgate/policy"
)

// testTimeout bounds one test: decisions have milliseconds.
const testTimeout = 5 * time.Second

// TestResult is how one test went.
type TestResult struct {
	Package string `json:"package"` // without the data. in front
	Name    string `json:"name"`
	File    string `json:"file"`
	Row     int    `json:"row"`
	Pass    bool   `json:"pass"`
	Skipped bool   `json:"skipped,omitempty"`
	Fault   string `json:"fault,omitempty"` // why it could not be evaluated
}

// Coverage is how much of a file the tests reach.
type Coverage struct {
	File    string  `json:"file"`
	Percent float64 `json:"percent"`
	Missed  []Lines `json:"missed"`
}

// Lines are rows of a file, both included.
type Lines struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Test runs all tests of a folder.
func Test(ctx context.Context, p *policy.Parsed) ([]TestResult, error) {
	return run(ctx, p, p.Modules, nil)
}

// Cover runs all tests of a folder and answers how much of each file they reach,
// tests and the aggregator left out.
func Cover(ctx context.Context, p *policy.Parsed) ([]TestResult, []Coverage, error) {
	tracer := cover.New()
	results, err := run(ctx, p, p.Modules, tracer)
	if err != nil {
		return nil, nil, err
	}
	report := tracer.Report(p.Modules)
	var list []Coverage
	for _, file := range sources(p) {
		c := Coverage{File: file, Missed: []Lines{}, Percent: 100}
		if f := report.Files[file]; f != nil {
			c.Percent = f.Coverage
			for _, r := range f.NotCovered {
				c.miss(r.Start.Row, r.End.Row)
			}
		}
		list = append(list, c)
	}
	return results, list, nil
}

// miss adds rows, in order, to the last ones where they touch.
func (c *Coverage) miss(from, to int) {
	if last := len(c.Missed) - 1; last >= 0 && from <= c.Missed[last].To+1 {
		c.Missed[last].To = max(c.Missed[last].To, to)
		return
	}
	c.Missed = append(c.Missed, Lines{From: from, To: to})
}

// sources lists the files that tests are about.
func sources(p *policy.Parsed) []string {
	var files []string
	for file, m := range p.Modules {
		if len(m.Package.Path) > 2 && !policy.IsTest(m) {
			files = append(files, file)
		}
	}
	slices.Sort(files)
	return files
}

// run compiles and runs some modules. Builtin errors are errors, as in a
// decision.
func run(ctx context.Context, p *policy.Parsed, modules map[string]*ast.Module, tracer *cover.Cover) ([]TestResult, error) {
	store := inmem.NewFromObject(p.Data())
	txn, err := store.NewTransaction(ctx, storage.WriteParams)
	if err != nil {
		return nil, fmt.Errorf("run the tests: %w", err)
	}
	defer store.Abort(ctx, txn)
	copies := make(map[string]*ast.Module, len(modules))
	for name, m := range modules {
		copies[name] = m.Copy() // compiling rewrites
	}
	runner := tester.NewRunner().SetCompiler(p.Compiler()).SetStore(store).SetModules(copies).
		SetTimeout(testTimeout).RaiseBuiltinErrors(true)
	if tracer != nil {
		runner = runner.SetCoverageQueryTracer(tracer)
	}
	channel, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, err
	}
	var list []TestResult
	for r := range channel {
		one := TestResult{
			Package: strings.TrimPrefix(r.Package, "data."), Name: r.Name, Pass: r.Pass() && !r.Skip, Skipped: r.Skip,
		}
		if r.Location != nil {
			one.File, one.Row = r.Location.File, r.Location.Row
		}
		if r.Error != nil {
			one.Fault = r.Error.Error()
		}
		list = append(list, one)
	}
	return list, ctx.Err()
}
