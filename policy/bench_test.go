package policy

import (
	"context"
	"strconv"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// A hit is a whole call: span, memo, id, metrics, log entry.
func BenchmarkDecide_hit(b *testing.B) {
	for name, e := range map[string]*Engine{"open": openEngine(b), "shipped": engine(b, shippedFiles(b))} {
		b.Run(name, func(b *testing.B) {
			q := question()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.Decide(b.Context(), q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecide_hitWithContext(b *testing.B) {
	e := engine(b, shippedFiles(b))
	q := question()
	q.Context = []byte(`{"command": "plan", "pull": {"num": 42, "author": "ann", "base_branch": "main"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Decide(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecide_hitParallel(b *testing.B) {
	for name, e := range map[string]*Engine{"open": openEngine(b), "shipped": engine(b, shippedFiles(b))} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				q := question()
				for pb.Next() {
					if _, err := e.Decide(context.Background(), q); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// A miss: every question names another resource.
func BenchmarkDecide_miss(b *testing.B) {
	for name, e := range map[string]*Engine{"open": openEngine(b), "shipped": engine(b, shippedFiles(b))} {
		b.Run(name, func(b *testing.B) {
			g := e.current.Load()
			q, v, n := question(), &view{}, 0
			b.ReportAllocs()
			for b.Loop() {
				n++
				q.Resources = []lock.Resource{{Key: lock.Key("acme/infra/" + strconv.Itoa(n) + "/default/")}}
				v.reset(q, 0, g.facts)
				if _, err := g.evaluate(b.Context(), g.ward(v), v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The floor: what OPA itself costs for a query that asks nothing.
func BenchmarkFloor(b *testing.B) {
	query, err := rego.New(rego.Query("true"), rego.StrictBuiltinErrors(true)).PrepareForEval(b.Context())
	require.NoError(b, err)
	input := ast.NewObject()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := query.Eval(b.Context(), rego.EvalParsedInput(input)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInput(b *testing.B) {
	e := openEngine(b)
	g := e.current.Load()
	q, v := question(), &view{}
	b.ReportAllocs()
	for b.Loop() {
		v.reset(q, 0, g.facts)
		if _, err := g.inputs.build(v); err != nil {
			b.Fatal(err)
		}
	}
}
