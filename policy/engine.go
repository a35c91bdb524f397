package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// Options are the parts an Engine is built from.
type Options struct {
	Logger     *slog.Logger
	Tracer     trace.Tracer
	Registerer prometheus.Registerer
	OnReload   func(ReloadResult) // called after every reload that found a change, from Run or Reload; may be nil
}

// Engine decides questions by rego. It is safe for concurrent use.
type Engine struct {
	cfg     Config
	live    *track
	shadow  *shadow // nil: there is no candidate
	tracer  trace.Tracer
	metrics *metrics

	slots   chan struct{}
	scratch sync.Pool // of *scratch
	ring    *ring
	drain   *drain
}

// New loads the first generation. It starts nothing; Run follows changes. What
// is wrong with the policies is a *LoadError with file, line and column.
func New(ctx context.Context, cfg Config, o Options) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	e := &Engine{cfg: cfg, tracer: o.Tracer, slots: slots(), ring: newRing(cfg.DecisionLog.Entries)}
	e.scratch.New = func() any { return &scratch{} }
	e.metrics = newMetrics(o.Registerer, func() float64 {
		if g := e.live.current.Load(); g != nil {
			return float64(g.memo.size())
		}
		return 0
	})
	hidden, err := readMasks(cfg.DecisionLog.Mask)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	e.drain = newDrain(&e.cfg.DecisionLog, hidden, o.Logger, e.metrics.logLost)
	if e.live, err = newTrack(&e.cfg, o, e.metrics.reloads); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if err := e.live.start(ctx); err != nil {
		return nil, fmt.Errorf("load policies from %s: %w", e.live.origin, err)
	}
	if cfg.Shadow.on() {
		if e.shadow, err = newShadow(ctx, &e.cfg, o, e.metrics); err != nil {
			return nil, fmt.Errorf("policy: shadow.%w", err)
		}
	}
	return e, nil
}

func newTrack(cfg *Config, o Options, reloads *prometheus.CounterVec) (*track, error) {
	t := &track{cfg: cfg, logger: o.Logger, reloads: reloads, onReload: o.OnReload}
	if err := t.open(); err != nil {
		return nil, err
	}
	kept, err := newCache(cfg.CacheDir, t.origin)
	t.cache = kept
	return t, err
}

// Reload reads the policies again and puts them in force when they are well. It
// answers false when nothing has changed since the last attempt. A *LoadError
// leaves the last good generation in force; organisations whose files are at
// fault fall back alone, which is no error, and Status tells.
func (e *Engine) Reload(ctx context.Context) (bool, error) { return e.live.reload(ctx) }

// Run follows where the policies come from, asks the candidate and writes
// the decision log, until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	jobs := []func(context.Context) error{e.live.follow}
	if e.shadow != nil {
		jobs = append(jobs, e.shadow.track.follow, e.try)
	}
	if len(e.drain.sinks) > 0 {
		jobs = append(jobs, e.drain.run)
	}
	return together(ctx, jobs)
}

// together runs jobs until ctx ends or one of them fails.
func together(ctx context.Context, jobs []func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	faults := make([]error, len(jobs))
	var running sync.WaitGroup
	for i, job := range jobs {
		running.Go(func() {
			defer cancel()
			faults[i] = job(ctx)
		})
	}
	running.Wait()
	return errors.Join(faults...)
}

// Needs says which facts of the lock table the loaded policies read.
func (e *Engine) Needs() lock.Needs {
	n, candidate := e.live.current.Load().needs, e.shadow.needs()
	return lock.Needs{Lock: n.Lock || candidate.Lock, Queue: n.Queue || candidate.Queue}
}
