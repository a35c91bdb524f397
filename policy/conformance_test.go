package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/stretchr/testify/require"
)

// OPA's own cases, parsed, compiled, stored and asked as a generation is, give
// what OPA says they give. Those that call a builtin which decisions have not
// must not compile.
func TestConformance_opasOwnCasesGiveTheSame(t *testing.T) {
	set := opasCases(t)
	refused, passed := map[string]int{}, 0
	for _, c := range set.Cases {
		t.Run(strings.ReplaceAll(strings.TrimSuffix(filepath.Base(c.Filename), ".yaml"), "test-", "")+"/"+c.Note, func(t *testing.T) {
			for name, value := range c.Env {
				t.Setenv(name, value)
			}
			results, err := runCase(t.Context(), &c)
			if name := withheld(err, &c); name != "" {
				refused[name]++
				return
			}
			passed++
			checkCase(t, &c, results, err)
		})
	}
	require.Greater(t, passed, 2000)
	for _, name := range []string{"http.send", "time.now_ns", "graph.reachable_paths", "bits.lsh"} {
		require.NotZero(t, refused[name], "no case tries %s", name)
	}
	t.Logf("%d cases give the same, %d call one of %d builtins that decisions have not", passed, len(set.Cases)-passed, len(refused))
}

func opasCases(t *testing.T) cases.Set {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	require.NoError(t, err)
	set, err := cases.Load(filepath.Join(strings.TrimSpace(string(dir)), "v1", "test", "cases", "testdata", "v1"))
	require.NoError(t, err)
	return set
}

// runCase does what build and plan do, without the checks of the contract: the
// cases keep to none.
func runCase(ctx context.Context, c *cases.TestCase) (rego.ResultSet, error) {
	caps := capabilities()
	modules := map[string]*ast.Module{}
	for i, text := range c.Modules {
		name := fmt.Sprintf("test-%d.rego", i)
		m, err := ast.ParseModuleWithOpts(name, text, parserOptions(caps))
		if err != nil {
			return nil, err
		}
		modules[name] = m
	}
	compiler := ast.NewCompiler().WithCapabilities(caps).SetErrorLimit(maxCompileErrors)
	if compiler.Compile(modules); compiler.Failed() {
		return nil, compiler.Errors
	}
	body, err := ast.ParseBodyWithOpts(c.Query, parserOptions(caps))
	if err != nil {
		return nil, err
	}
	facts, err := caseFacts(c)
	if err != nil {
		return nil, err
	}
	store := inmem.NewFromObjectWithOpts(facts, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	query, err := rego.New(rego.ParsedQuery(body), rego.Compiler(compiler), rego.Store(store), rego.Capabilities(caps),
		rego.StrictBuiltinErrors(c.StrictError)).PrepareForEval(ctx)
	if err != nil {
		return nil, err
	}
	options, err := caseInput(c)
	if err != nil {
		return nil, err
	}
	return query.Eval(ctx, append(options, rego.EvalSortSets(true))...)
}

// caseFacts reads the data as a file of facts is read.
func caseFacts(c *cases.TestCase) (map[string]any, error) {
	if c.Data == nil {
		return map[string]any{}, nil
	}
	text, err := json.Marshal(*c.Data)
	if err != nil {
		return nil, err
	}
	f := &file{path: "data.json", text: text}
	return f.document()
}

func caseInput(c *cases.TestCase) ([]rego.EvalOption, error) {
	if c.InputTerm != nil {
		term, err := ast.ParseTerm(*c.InputTerm)
		if err != nil {
			return nil, err
		}
		return []rego.EvalOption{rego.EvalParsedInput(term.Value)}, nil
	}
	if c.Input == nil {
		return nil, nil
	}
	text, err := json.Marshal(*c.Input)
	if err != nil {
		return nil, err
	}
	value, err := ast.ValueFromReader(bytes.NewReader(text))
	return []rego.EvalOption{rego.EvalParsedInput(value)}, err
}

// withheld answers the builtin that a case calls, or mocks, and decisions have
// not.
func withheld(err error, c *cases.TestCase) string {
	list, ok := errors.AsType[ast.Errors](err)
	if !ok {
		return ""
	}
	own := capabilities()
	for _, e := range list {
		for _, b := range ast.CapabilitiesForThisVersion().Builtins {
			missing := !slices.ContainsFunc(own.Builtins, func(have *ast.Builtin) bool { return have.Name == b.Name })
			calls := strings.HasSuffix(e.Message, "undefined function "+b.Name)
			mocks := strings.HasPrefix(e.Message, "with keyword target must") && strings.Contains(strings.Join(c.Modules, "\n"), "with "+b.Name+" as")
			if missing && (calls || mocks) {
				return b.Name
			}
		}
	}
	return ""
}

func checkCase(t *testing.T, c *cases.TestCase, results rego.ResultSet, err error) {
	t.Helper()
	switch {
	case c.WantError != nil || c.WantErrorCode != nil:
		require.Error(t, err)
		if c.WantErrorCode != nil && *c.WantErrorCode != codeOf(err) {
			t.Errorf("error code %q, not %q: %v", codeOf(err), *c.WantErrorCode, err)
		}
		if c.WantError != nil {
			require.ErrorContains(t, err, *c.WantError)
		}
	case c.WantResult != nil:
		require.NoError(t, err)
		want, got := canonical(t, *c.WantResult, c), canonical(t, bindings(results, c), c)
		require.Zero(t, want.Compare(got), "want %s\ngot  %s", want, got)
	case c.WantDefined != nil:
		require.NoError(t, err)
		require.Equal(t, *c.WantDefined, len(results) > 0)
	}
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*topdown.Error](err); ok {
		return e.Code
	}
	if list, ok := errors.AsType[ast.Errors](err); ok && len(list) > 0 {
		return list[0].Code
	}
	if e, ok := errors.AsType[*ast.Error](err); ok {
		return e.Code
	}
	return ""
}

func bindings(results rego.ResultSet, c *cases.TestCase) []map[string]any {
	list := make([]map[string]any, 0, len(results))
	for _, r := range results {
		row := map[string]any{}
		for name, value := range r.Bindings {
			if !c.IgnoreGeneratedVars || !strings.HasPrefix(name, ast.LocalVarPrefix) {
				row[name] = value
			}
		}
		list = append(list, row)
	}
	return list
}

// canonical makes results comparable: numbers by value, rows in any order.
func canonical(t *testing.T, rows []map[string]any, c *cases.TestCase) *ast.Array {
	t.Helper()
	terms := make([]*ast.Term, len(rows))
	for i, row := range rows {
		object := ast.NewObject()
		for name, value := range row {
			term := ast.NewTerm(ast.MustInterfaceToValue(value))
			if c.SortBindings {
				term = ast.SetTerm(elements(t, value)...)
			}
			object.Insert(ast.StringTerm(name), term)
		}
		terms[i] = ast.NewTerm(object)
	}
	slices.SortFunc(terms, func(a, b *ast.Term) int { return a.Value.Compare(b.Value) })
	return ast.NewArray(terms...)
}

func elements(t *testing.T, value any) []*ast.Term {
	t.Helper()
	list, ok := ast.MustInterfaceToValue(value).(*ast.Array)
	require.True(t, ok)
	var terms []*ast.Term
	list.Foreach(func(term *ast.Term) { terms = append(terms, term) })
	return terms
}
