package policy

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

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

// runTests answers the names of failed tests, and how many ran.
func runTests(t *testing.T, modules map[string]*ast.Module) (failed []string, ran int) {
	t.Helper()
	store := inmem.NewFromObject(map[string]any{"facts": map[string]any{}})
	txn, err := store.NewTransaction(t.Context(), storage.WriteParams)
	require.NoError(t, err)
	defer store.Abort(t.Context(), txn)
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithStrict(true)
	results, err := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).
		SetTimeout(5*time.Second).RaiseBuiltinErrors(true).RunTests(t.Context(), txn)
	if err != nil {
		return []string{err.Error()}, 0
	}
	for r := range results {
		ran++
		if !r.Pass() {
			failed = append(failed, fmt.Sprintf("%s.%s %v", r.Package, r.Name, r.Error))
		}
	}
	return failed, ran
}

func TestShipped_testsPass(t *testing.T) {
	failed, ran := runTests(t, shippedModules(t, "lockgate"))
	require.Empty(t, failed)
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

// Coverage hides rules that no test cares about; a deleted rule does not.
func TestShipped_everyDeletedRuleIsNoticed(t *testing.T) {
	if testing.Short() {
		t.Skip("deletes every rule in turn")
	}
	all := shippedModules(t, "lockgate")
	var survivors []string
	for _, name := range sortedKeys(all) {
		if strings.HasPrefix(name, "lockgate/test/") {
			continue
		}
		for i, rule := range all[name].Rules {
			mutant := map[string]*ast.Module{}
			for n, m := range all {
				mutant[n] = m.Copy()
			}
			mutant[name].Rules = slices.Delete(mutant[name].Rules, i, i+1)
			if failed, _ := runTests(t, mutant); len(failed) == 0 {
				survivors = append(survivors, fmt.Sprintf("%s: %s", rule.Location, rule.Head))
			}
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
