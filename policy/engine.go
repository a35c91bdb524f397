package policy

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/policies"
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
	cfg      Config
	folder   fs.FS
	logger   *slog.Logger
	tracer   trace.Tracer
	onReload func(ReloadResult)
	metrics  *metrics

	loading   sync.Mutex // one load at a time; guards attempted
	attempted string     // digest of the sources of the last load

	current atomic.Pointer[generation]
	slots   chan struct{}
	scratch sync.Pool // of *scratch
	ring    *ring
	history *history
}

// New loads the first generation. It starts nothing; Run follows changes. What
// is wrong with the policies is a *LoadError with file, line and column.
func New(ctx context.Context, cfg Config, o Options) (*Engine, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	folder, err := folderOf(&cfg)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	e := &Engine{
		cfg: cfg, folder: folder, logger: o.Logger, tracer: o.Tracer, onReload: o.OnReload,
		slots: slots(), ring: newRing(cfg.DecisionLog.Entries), history: &history{},
	}
	e.scratch.New = func() any { return &scratch{} }
	e.metrics = newMetrics(o.Registerer, func() float64 {
		if g := e.current.Load(); g != nil {
			return float64(g.memo.size())
		}
		return 0
	})
	if _, err := e.Reload(ctx); err != nil {
		return nil, fmt.Errorf("load policies from %s: %w", cfg.source(), err)
	}
	return e, nil
}

func folderOf(cfg *Config) (fs.FS, error) {
	if cfg.Dir == "" {
		return policies.Open()
	}
	info, err := os.Stat(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("dir: %s is no folder", cfg.Dir)
	}
	return os.DirFS(cfg.Dir), nil
}

func (c *Config) source() string {
	if c.Dir == "" {
		return "profile " + c.Profile
	}
	return c.Dir
}

// Needs says which facts of the lock table the loaded policies read.
func (e *Engine) Needs() lock.Needs { return e.current.Load().needs }
