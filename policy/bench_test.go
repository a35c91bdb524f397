package policy

import (
	"strconv"
	"testing"

	"github.com/lockgate/lockgate/core/lock"
)

func BenchmarkDecide_openHit(b *testing.B) {
	e := openEngine(b)
	q := question()
	b.ReportAllocs()
	for b.Loop() {
		decideB(b, e, q)
	}
}

func BenchmarkDecide_openHitParallel(b *testing.B) {
	e := openEngine(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		q := question()
		for pb.Next() {
			decideB(b, e, q)
		}
	})
}

// A miss: the policies read the resource, and no two resources are alike.
func BenchmarkDecide_openFresh(b *testing.B) {
	e := openEngine(b)
	benchmarkFresh(b, e)
}

func benchmarkFresh(b *testing.B, e *Engine) {
	b.Helper()
	g := e.current.Load()
	v := &view{}
	q := question()
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		q.Resources = []lock.Resource{{Key: lock.Key("acme/infra/" + strconv.Itoa(n) + "/default/")}}
		v.reset(q, 0, g.facts)
		if _, err := g.evaluate(b.Context(), g.ward(v), v); err != nil {
			b.Fatal(err)
		}
	}
}

func decideB(b *testing.B, e *Engine, q *lock.Question) {
	if _, err := e.Decide(b.Context(), q); err != nil {
		b.Fatal(err)
	}
}
