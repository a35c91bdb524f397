package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// thousandOrgs are the shipped policies and the packages of a thousand
// organisations.
func thousandOrgs(tb testing.TB) map[string]string {
	tb.Helper()
	files := shippedFiles(tb)
	for i := range 1000 {
		files[fmt.Sprintf("org/o%d.rego", i)] = fmt.Sprintf(
			"package lockgate.org.o%d\n\ndeny contains {\"code\": \"o%d\", \"msg\": \"no\"} if input.command.name == \"apply\"\n", i, i)
	}
	return files
}

// probe decides at a steady pace, always about another resource, until ctx
// ends, and answers how long each decision took.
func probe(ctx context.Context, b *testing.B, e *Engine) []time.Duration {
	b.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var took []time.Duration
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			slices.Sort(took)
			return took
		case <-tick.C:
		}
		q := question()
		q.Resources = []lock.Resource{{Key: lock.Key("acme/infra/" + strconv.Itoa(n) + "/default/")}}
		start := time.Now()
		if _, err := e.Decide(context.Background(), q); err != nil {
			b.Error(err)
			return took
		}
		took = append(took, time.Since(start))
	}
}

// A reload of a thousand organisations, of which one has changed, while
// decisions are made; and the same decisions without a reload.
func BenchmarkReload_thousandOrganisations(b *testing.B) {
	e := engine(b, thousandOrgs(b))
	during := func(work func()) []time.Duration {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var took []time.Duration
		var wg sync.WaitGroup
		wg.Go(func() { took = probe(ctx, b, e) })
		work()
		cancel()
		wg.Wait()
		return took
	}
	var reloads, longest, p99 []time.Duration
	for n := 0; b.Loop(); n++ {
		write(b, e.cfg.Dir, map[string]string{"org/o7.rego": fmt.Sprintf("package lockgate.org.o7\n\nx := %d\n", n)})
		start := time.Now()
		took := during(func() {
			if _, err := e.Reload(b.Context()); err != nil {
				b.Error(err)
			}
		})
		reloads = append(reloads, time.Since(start))
		longest, p99 = append(longest, took[len(took)-1]), append(p99, took[len(took)*99/100])
	}
	idle := during(func() { pause(context.Background(), median(reloads)) })
	b.ReportMetric(median(reloads).Seconds()*1e3, "ms/reload")
	b.ReportMetric(median(longest).Seconds()*1e3, "longest-ms")
	b.ReportMetric(median(p99).Seconds()*1e3, "p99-ms")
	b.ReportMetric(idle[len(idle)-1].Seconds()*1e3, "longest-idle-ms")
}

func pause(ctx context.Context, d time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// Two clients of other organisations, alone and beside four clients of one
// whose rule never ends. Whoever ran out of the budget asks again at once, and
// whoever is told that the package is switched off after a second.
func BenchmarkDecide_besideAnEndlessRule(b *testing.B) {
	files := shippedFiles(b)
	files["acme.rego"] = slowOn
	for b.Loop() {
		e := engine(b, files, func(c *Config) { c.Budget = 50 * time.Millisecond })
		alone := throughput(b, e, 0)
		beside := throughput(b, e, 4)
		again := throughput(b, e, 0)
		b.ReportMetric(float64(2*beside)/float64(alone+again), "share")
		b.ReportMetric(float64(alone), "alone/s")
	}
}

// throughput counts what two clients decide afresh in two seconds beside
// clients of the endless rule.
func throughput(b *testing.B, e *Engine, endless int) int {
	b.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts := make([]int, 2)
	var wg sync.WaitGroup
	for i := range counts {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				q := about("umbrella")
				q.Resources[0].Key = lock.Key(fmt.Sprintf("umbrella/infra/%d-%d/default/", i, n))
				q.Owner = lock.Owner("ci:" + strconv.FormatInt(time.Now().UnixNano(), 10))
				if _, err := e.Decide(context.Background(), q); err == nil {
					counts[i]++ // on a busy machine one may run out of its budget
				}
			}
		})
	}
	for range endless {
		wg.Go(func() { insist(ctx, b, e) })
	}
	wg.Wait()
	return (counts[0] + counts[1]) / 2
}

// insist asks for what is never decided.
func insist(ctx context.Context, b *testing.B, e *Engine) {
	b.Helper()
	for ctx.Err() == nil {
		q := about("acme")
		q.Owner = "slow"
		_, err := e.Decide(context.Background(), q)
		var refused *lock.PolicyError
		if !errors.As(err, &refused) {
			b.Errorf("decided: %v", err)
			return
		}
		if refused.Quarantined {
			pause(ctx, time.Second)
		}
	}
}
