package policy

import (
	"encoding/json"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

const manyProjects = 10_000

// crowded is the shipped policies with many projects.
func crowded(tb testing.TB) map[string]string {
	tb.Helper()
	files := shippedFiles(tb)
	facts := map[string]any{}
	require.NoError(tb, json.Unmarshal([]byte(files["facts/data.json"]), &facts))
	projects := map[string]any{}
	for i := range manyProjects {
		projects[string(nth(i))] = map[string]any{
			"environment": []string{"dev", "prod"}[i%2], "owners": map[string]any{"net": true, fmt.Sprintf("t%d", i%100): true},
			"tier": i % 3, "max_ttl_s": 3600, "branches": map[string]any{"main": true}, "approvals": i % 2,
		}
	}
	facts["projects"] = projects
	text, err := json.Marshal(facts)
	require.NoError(tb, err)
	files["facts/data.json"] = string(text)
	return files
}

func nth(i int) lock.Key { return lock.Key(fmt.Sprintf("acme/infra/p%d/default/", i%manyProjects)) }

// cpu is what this process has used of all processors: on a busy machine it
// tells more than the clock.
func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	require.NoError(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// An apply of a pull request in one of many projects, evaluated afresh.
func BenchmarkScale_fresh(b *testing.B) {
	e := engine(b, crowded(b))
	g := e.live.current.Load()
	q, v, n := question(), &view{}, 0
	q.Context = []byte(`{"command": "apply", "pull": {"num": 42, "author": "ann", "base_branch": "main", "approvers": ["bob"]}}`)
	q.Caller.Source = lock.FromAtlantis
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		n++
		q.Resources = []lock.Resource{{Key: nth(n)}}
		v.reset(q, 0, g.facts)
		if _, err := g.evaluate(b.Context(), g.ward(v), v); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e3, "cpu-µs/op")
}

// The same, remembered: a whole call of Decide.
func BenchmarkScale_hit(b *testing.B) {
	e := engine(b, crowded(b))
	q := question()
	q.Resources = []lock.Resource{{Key: nth(7)}}
	q.Context = []byte(`{"command": "apply", "pull": {"num": 42, "author": "ann", "base_branch": "main", "approvers": ["bob"]}}`)
	b.ReportAllocs()
	before := cpu(b)
	for b.Loop() {
		if _, err := e.Decide(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-before)/float64(b.N)/1e3, "cpu-µs/op")
}

// Fresh evaluations side by side: run with -cpu 1,2.
func BenchmarkScale_freshParallel(b *testing.B) {
	e := engine(b, crowded(b))
	g := e.live.current.Load()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		q, v := question(), &view{}
		for n := 0; pb.Next(); n++ {
			q.Resources = []lock.Resource{{Key: nth(n)}}
			v.reset(q, 0, g.facts)
			if _, err := g.evaluate(b.Context(), g.ward(v), v); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
