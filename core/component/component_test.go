package component_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/core/component"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is one supervisor with a record of every change.
type bench struct {
	sup     *component.Supervisor
	reg     *prometheus.Registry
	changes []string
	stop    context.CancelFunc
	ended   chan error
}

// start runs the components in a bubble and stops them at the test's end.
func start(t *testing.T, cfg component.Config, components ...component.Component) *bench {
	t.Helper()
	b := &bench{reg: prometheus.NewPedanticRegistry(), ended: make(chan error, 1)}
	sup, err := component.New(cfg, component.Options{
		Components: components, Logger: slog.New(slog.DiscardHandler), Registerer: b.reg,
		StopTimeout: 20 * time.Second,
		OnChange: func(s component.Status) {
			b.changes = append(b.changes, strings.TrimSpace(s.Name+" "+s.State.String()+" "+s.Message))
		},
	})
	require.NoError(t, err)
	b.sup = sup
	ctx, cancel := context.WithCancel(t.Context())
	b.stop = cancel
	go func() { b.ended <- sup.Run(ctx) }()
	synctest.Wait()
	return b
}

func (b *bench) states() string {
	var words []string
	for _, s := range b.sup.Status() {
		words = append(words, s.State.String())
	}
	return strings.Join(words, "/")
}

// pass lets the bubble's clock go on.
func pass(d time.Duration) { <-time.NewTimer(d).C }

func idle(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func TestRun_startsInOrderAndStopsInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := time.Now().Add(time.Second)
		b := start(t, component.DefaultConfig(),
			component.Component{Name: "store", Run: idle, Check: func(context.Context) error {
				if time.Now().Before(slow) {
					return errors.New("still opening")
				}
				return nil
			}},
			component.Component{Name: "http", Run: idle},
		)
		require.Equal(t, "starting/stopped", b.states())
		select {
		case <-b.sup.Started():
			t.Fatal("started while the store was still opening")
		default:
		}

		<-b.sup.Started()
		require.Equal(t, "healthy/healthy", b.states())

		b.stop()
		require.NoError(t, <-b.ended)
		require.Equal(t, []string{
			"store starting", "store starting still opening", "store healthy",
			"http starting", "http healthy", "http stopped", "store stopped",
		}, b.changes)
	})
}

func TestRun_aPartThatDoesNotComeUpHoldsTheOthersNoLongerThanTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := start(t, component.DefaultConfig(),
			component.Component{Name: "store", Run: idle, Check: func(context.Context) error { return errors.New("connection refused") }},
			component.Component{Name: "http", Run: idle},
		)
		<-b.sup.Started()
		require.Less(t, time.Since(begin), 2*component.DefaultConfig().ComponentTimeout)
		require.Equal(t, "error/healthy", b.states())
		require.Equal(t, "connection refused", b.sup.Status()[0].Message)

		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestRun_failedPartIsRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		breaks := make(chan error)
		b := start(t, component.DefaultConfig(), component.Component{Name: "watcher", Run: func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return nil
			case err := <-breaks:
				if err == nil {
					nobody := []int{}
					return fmt.Errorf("%d", nobody[len(nobody)])
				}
				return err
			}
		}})
		breaks <- errors.New("folder is gone")
		breaks <- nil
		synctest.Wait()
		require.Equal(t, []string{
			"watcher starting", "watcher healthy", "watcher error folder is gone",
			"watcher starting", "watcher healthy", "watcher error panic: runtime error: index out of range [0] with length 0",
			"watcher starting", "watcher healthy",
		}, b.changes)
		require.NoError(t, testutil.GatherAndCompare(b.reg, strings.NewReader(`
			# HELP lockgate_component_restarts_total How often a component that failed was run again.
			# TYPE lockgate_component_restarts_total counter
			lockgate_component_restarts_total{component="watcher"} 2
		`), "lockgate_component_restarts_total"))

		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestRun_failedPartStaysDownWithoutAutoRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := component.DefaultConfig()
		cfg.AutoRestart = false
		var runs atomic.Int64
		b := start(t, cfg, component.Component{Name: "watcher", Run: func(context.Context) error {
			runs.Add(1)
			return nil
		}})
		pass(time.Hour)
		require.EqualValues(t, 1, runs.Load())
		require.Equal(t, "error", b.states())
		require.Equal(t, "it ended by itself", b.sup.Status()[0].Message)

		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestRun_vitalPartEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("disk is gone")
		breaks := make(chan struct{})
		b := start(t, component.DefaultConfig(),
			component.Component{Name: "policy", Run: idle},
			component.Component{Name: "store", Vital: true, Run: func(context.Context) error {
				<-breaks
				return broken
			}},
			component.Component{Name: "http", Run: idle},
		)
		<-b.sup.Started()
		close(breaks)
		err := <-b.ended
		require.ErrorIs(t, err, broken)
		require.EqualError(t, err, "store: disk is gone")
		require.Equal(t, "stopped/stopped/stopped", b.states())
	})
}

func TestRun_vitalPartThatFailsAtStartKeepsTheNextFromStarting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, component.DefaultConfig(),
			component.Component{
				Name: "store", Vital: true,
				Run:   func(context.Context) error { return errors.New("no such table") },
				Check: func(context.Context) error { return errors.New("not open") },
			},
			component.Component{Name: "http", Run: func(context.Context) error {
				t.Error("http was started")
				return nil
			}},
		)
		require.EqualError(t, <-b.ended, "store: no such table")
	})
}

func TestRun_answersWhatAPartSaidWhenItWasStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, component.DefaultConfig(),
			component.Component{Name: "store", Run: func(ctx context.Context) error {
				<-ctx.Done()
				return errors.New("last commit: no space left")
			}},
			component.Component{Name: "http", Run: func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			}})
		b.stop()
		require.EqualError(t, <-b.ended, "store: last commit: no space left")
	})
}

func TestRun_partThatDoesNotEndIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := start(t, component.DefaultConfig(),
			component.Component{Name: "store", Run: idle},
			component.Component{Name: "http", Run: func(context.Context) error {
				<-release
				return nil
			}})
		begin := time.Now()
		b.stop()
		require.EqualError(t, <-b.ended, "http: it did not end within 20s")
		require.Less(t, time.Since(begin), 41*time.Second)
		require.Equal(t, "stopped/error", b.states())
		close(release)
	})
}

func TestCheck_movesTheStateAndTheGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer atomic.Value
		answer.Store(func(context.Context) error { return nil })
		cfg := component.DefaultConfig()
		b := start(t, cfg, component.Component{Name: "policy", Run: idle, Check: func(ctx context.Context) error {
			return answer.Load().(func(context.Context) error)(ctx)
		}})
		gauge := func() float64 {
			families, err := b.reg.Gather()
			require.NoError(t, err)
			return families[0].GetMetric()[0].GetGauge().GetValue()
		}
		require.Equal(t, "healthy", b.states())
		require.InDelta(t, 1, gauge(), 0)
		since := b.sup.Status()[0].Since

		answer.Store(func(context.Context) error {
			return &component.DegradedError{Err: errors.New("the last reload failed")}
		})
		pass(cfg.CheckInterval)
		synctest.Wait()
		require.Equal(t, "degraded", b.states())
		require.InDelta(t, 0.5, gauge(), 0)
		require.Equal(t, cfg.CheckInterval, b.sup.Status()[0].Since.Sub(since))

		answer.Store(func(context.Context) error {
			return &component.DegradedError{Err: errors.New("the last two reloads failed")}
		})
		pass(cfg.CheckInterval)
		synctest.Wait()
		require.Equal(t, "the last two reloads failed", b.sup.Status()[0].Message)
		require.Equal(t, cfg.CheckInterval, b.sup.Status()[0].Since.Sub(since), "another message is the same state")

		answer.Store(func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		pass(cfg.CheckInterval + cfg.ComponentTimeout)
		synctest.Wait()
		require.Equal(t, "error", b.states())
		require.Equal(t, "no answer within 5s: context deadline exceeded", b.sup.Status()[0].Message)
		require.InDelta(t, 0, gauge(), 0)

		answer.Store(func(context.Context) error { return nil })
		pass(time.Second) // a part that is down is checked again soon
		synctest.Wait()
		require.Equal(t, "healthy", b.states())

		answer.Store(func(context.Context) error {
			nobody := []int{}
			return fmt.Errorf("%d", nobody[len(nobody)])
		})
		pass(cfg.CheckInterval)
		synctest.Wait()
		require.Equal(t, "panic: runtime error: index out of range [0] with length 0", b.sup.Status()[0].Message)

		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestCheck_comesAtOnceWhenAPartAsksForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sick atomic.Bool
		recheck := make(chan struct{})
		b := start(t, component.DefaultConfig(), component.Component{
			Name: "store", Run: func(ctx context.Context) error { <-ctx.Done(); return nil }, Recheck: recheck,
			Check: func(context.Context) error {
				if sick.Load() {
					return errors.New("no disk")
				}
				return nil
			},
		})
		require.Equal(t, "healthy", b.states())
		sick.Store(true)
		began := time.Now()
		recheck <- struct{}{}
		synctest.Wait()
		require.Equal(t, "error", b.states())
		require.Zero(t, time.Since(began), "no waiting for the interval")
		b.stop()
		require.NoError(t, <-b.ended)
	})
}

func TestNew_refuses(t *testing.T) {
	discard := slog.New(slog.DiscardHandler)
	for name, tc := range map[string]struct {
		cfg        component.Config
		components []component.Component
		stop       time.Duration
		want       string
	}{
		"settings": {component.Config{}, nil, time.Second, "check_interval must be at least 100ms\ncomponent_timeout must be at least 100ms"},
		"no stop":  {component.DefaultConfig(), nil, 0, "stop timeout"},
		"no name":  {component.DefaultConfig(), []component.Component{{Run: idle}}, time.Second, "name of its own"},
		"twice":    {component.DefaultConfig(), []component.Component{{Name: "a", Run: idle}, {Name: "a", Run: idle}}, time.Second, `component 1 ("a")`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := component.New(tc.cfg, component.Options{
				Components: tc.components, Logger: discard, Registerer: prometheus.NewRegistry(), StopTimeout: tc.stop,
			})
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestState_words(t *testing.T) {
	for state, word := range map[component.State]string{
		component.Stopped: "stopped", component.Starting: "starting", component.Healthy: "healthy",
		component.Degraded: "degraded", component.Failed: "error",
	} {
		text, err := state.MarshalText()
		require.NoError(t, err)
		require.Equal(t, word, string(text))
		require.Equal(t, word == "healthy" || word == "degraded", state.Up())
	}
}
