package policy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/lockgate/lockgate/policies"
)

const (
	testTimeout = 2 * time.Second  // of one test
	testsBudget = 60 * time.Second // of all tests of one load
)

// candidate is a generation on its way into force.
type candidate struct {
	*generation
	*kit

	modules []module
}

// prove runs the tests and the golden inputs of every part that is not proven
// yet, and remembers those that go well.
func (c *candidate) prove(ctx context.Context, settings string, known map[string]bool) error {
	digests := c.files.digests(settings)
	c.proven = map[string]bool{}
	fresh := map[string]bool{}
	for owner, digest := range digests {
		c.proven[digest] = true
		if !known[digest] {
			fresh[owner] = true
		}
	}
	if err := errors.Join(c.runTests(ctx, fresh), c.golden(ctx, fresh)); err != nil {
		return err
	}
	return ctx.Err()
}

// runTests runs the tests of the fresh parts.
func (c *candidate) runTests(ctx context.Context, fresh map[string]bool) error {
	owner := c.files.owners()
	tested := map[string]*ast.Module{}
	found := false
	for _, m := range c.modules {
		if m.scope.kind == scopeTest && !fresh[owner[m.path]] {
			continue
		}
		found = found || m.scope.kind == scopeTest
		tested[m.path] = m.parsed.Copy()
	}
	if !found {
		return nil
	}
	text, err := policies.Aggregator()
	if err != nil {
		return err
	}
	if tested[policies.AggregatorPath], err = ast.ParseModuleWithOpts(policies.AggregatorPath, string(text), ast.ParserOptions{RegoVersion: ast.RegoV1}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, testsBudget)
	defer cancel()
	return runTests(ctx, tested, c.store)
}

// runTests answers every test that does not pass as a fault. Builtin errors are
// errors, as they are in a decision.
func runTests(ctx context.Context, modules map[string]*ast.Module, store storage.Store) error {
	txn, err := store.NewTransaction(ctx, storage.WriteParams)
	if err != nil {
		return fmt.Errorf("run the tests: %w", err)
	}
	defer store.Abort(ctx, txn)
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).SetErrorLimit(maxCompileErrors)
	results, err := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).
		SetTimeout(testTimeout).RaiseBuiltinErrors(true).RunTests(ctx, txn)
	if err != nil {
		return err
	}
	var faults []error
	for r := range results {
		if !r.Pass() && !r.Skip {
			faults = append(faults, testFault(r))
		}
	}
	return errors.Join(faults...)
}

func testFault(r *tester.Result) error {
	msg := "the test " + r.Name + " fails: the policies that go with it do not say what it says"
	if r.Error != nil {
		msg = "the test " + r.Name + " fails: " + r.Error.Error()
	}
	return &faultError{faultAt(r.Location, "test_failed", msg)}
}
