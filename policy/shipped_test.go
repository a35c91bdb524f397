package policy

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/policies"
)

// shippedModules parses all shipped rego below a folder.
func shippedModules(t *testing.T, below string) map[string]*ast.Module {
	t.Helper()
	modules := map[string]*ast.Module{}
	require.NoError(t, fs.WalkDir(policies.Files(), below, func(name string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(name) != ".rego" {
			return err
		}
		text, err := fs.ReadFile(policies.Files(), name)
		if err != nil {
			return err
		}
		m, err := ast.ParseModuleWithOpts(name, string(text), ast.ParserOptions{
			ProcessAnnotation: true, Capabilities: capabilities(), RegoVersion: ast.RegoV1,
		})
		modules[name] = m
		return err
	}))
	return modules
}

// testsOf answers how tests fail, and how many there are.
func testsOf(t *testing.T, modules map[string]*ast.Module) (ran int, failed error) {
	t.Helper()
	for _, m := range modules {
		for _, r := range m.Rules {
			if strings.HasPrefix(ruleName(r), "test_") {
				ran++
			}
		}
	}
	return ran, runTests(t.Context(), modules, inmem.NewFromObject(map[string]any{"facts": map[string]any{}}))
}

func TestShipped_testsPass(t *testing.T) {
	ran, failed := testsOf(t, shippedModules(t, "lockgate"))
	require.NoError(t, failed)
	require.Greater(t, ran, 50)
}

// What opa test does with the files as they lie there.
func TestShipped_loadWhereOPALooks(t *testing.T) {
	modules, store, err := tester.Load([]string{"../policies"}, nil)
	require.NoError(t, err)
	require.Contains(t, modules, "../policies/lockgate/test/rbac_test.rego")
	txn, err := store.NewTransaction(t.Context())
	require.NoError(t, err)
	defer store.Abort(t.Context(), txn)
	zone, err := store.Read(t.Context(), txn, storage.MustParsePath("/facts/hours/prod/zone"))
	require.NoError(t, err)
	require.Equal(t, "Europe/Berlin", zone)
}

// Coverage hides rules that no test cares about; a deleted rule does not. The
// other policies' turn is in package author.
func TestShipped_everyDeletedRuleOfTheAggregatorIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("deletes every rule in turn")
	}
	whole := shippedModules(t, "lockgate")
	all := map[string]*ast.Module{}
	for _, name := range []string{policies.AggregatorPath, "lockgate/test/main_test.rego"} {
		all[name] = whole[name]
	}
	var survivors []string
	for i, rule := range all[policies.AggregatorPath].Rules {
		mutant := map[string]*ast.Module{}
		for n, m := range all {
			mutant[n] = m.Copy()
		}
		aggregator := mutant[policies.AggregatorPath]
		aggregator.Rules = slices.Delete(aggregator.Rules, i, i+1)
		if _, failed := testsOf(t, mutant); failed == nil {
			survivors = append(survivors, fmt.Sprintf("%s: %s", rule.Location, rule.Head))
		}
	}
	require.Empty(t, survivors, "the tests pass without these rules")
}

func TestShipped_everyRuleIsTitledAndLabelled(t *testing.T) {
	for name, m := range shippedModules(t, ".") {
		if strings.Contains(name, "/test/") || name == policies.AggregatorPath {
			continue
		}
		seen := map[string]bool{}
		for _, r := range m.Rules {
			require.Len(t, r.Annotations, 1, "%s", r.Location)
			require.NotEmpty(t, r.Annotations[0].Title, "%s", r.Location)
			id, ok := r.Annotations[0].Labels["rule"].(string)
			require.True(t, ok, "%s", r.Location)
			require.False(t, seen[id], "%s is twice in %s", id, name)
			seen[id] = true
		}
	}
}

func TestShipped_isFormatted(t *testing.T) {
	for name := range shippedModules(t, ".") {
		text, err := fs.ReadFile(policies.Files(), name)
		require.NoError(t, err)
		formatted, err := format.SourceWithOpts(name, text, format.Opts{RegoVersion: ast.RegoV1})
		require.NoError(t, err)
		require.Equal(t, string(formatted), string(text), name)
	}
}
