package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/lockgate/lockgate/app/settings"
	"github.com/lockgate/lockgate/core/backend"
	"github.com/lockgate/lockgate/core/component"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/terraform"
	"github.com/lockgate/lockgate/gateway/wire"
	"github.com/lockgate/lockgate/policy"
)

// Options are what a gateway needs from its process.
type Options struct {
	Logger *slog.Logger
	Level  *slog.LevelVar // of the logger; Reload changes it
	Build  wire.Build
}

// App is one gateway.
type App struct {
	cfg        Config
	logger     *slog.Logger
	level      *slog.LevelVar
	tracing    *tracing
	server     *gateway.Server
	supervisor *component.Supervisor
	announcer  *announcer
	announce   func(context.Context, events.Type, string) error // appends one event
}

// New checks the configuration, opens the store, loads the policies and binds
// the address. What it answers must be Run, to give the store back.
func New(ctx context.Context, cfg Config, o Options) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	tracing, err := newTracing(ctx, cfg.Tracing, o.Build.Version)
	if err != nil {
		return nil, err
	}
	registry := newRegistry(o.Build)
	store, err := backend.Open(cfg.Backend, cfg.rules(), o.Logger, registry)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &settings.FaultError{Path: "backend.url", Message: "there is no folder for " + cfg.Backend.URL + ": create the folder"}
	}
	if err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, logger: o.Logger, level: o.Level, tracing: tracing, announcer: newAnnouncer(o.Logger)}
	if err := a.build(ctx, store, registry, o.Build); err != nil {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return nil, errors.Join(err, store.Run(ended), tracing.shutdown(ended))
	}
	return a, nil
}

// build puts the parts on top of the store together.
func (a *App) build(ctx context.Context, s *backend.Store, registry *prometheus.Registry, build wire.Build) error {
	tracer := a.tracing.provider.Tracer("github.com/lockgate/lockgate")
	engine, err := policy.New(ctx, a.cfg.policies(), policy.Options{
		Logger: a.logger, Tracer: tracer, Registerer: registry, OnReload: a.announcer.reloaded,
	})
	if _, missing := os.Stat(a.cfg.Policy.Dir); err != nil && a.cfg.Policy.Dir != "" && errors.Is(missing, fs.ErrNotExist) {
		return &settings.FaultError{Path: "policy.dir", Message: "there is no folder " + a.cfg.Policy.Dir + ": create it, or leave policy.dir empty for the shipped profile"}
	}
	if err != nil {
		return err
	}
	orch, err := orchestrator.New(a.cfg.Orchestrator, a.cfg.Queue, orchestrator.Options{
		Store: s, Policy: engine, Deadlock: a.cfg.Deadlock, OperationTimeout: a.cfg.Backend.OperationTimeout,
		Logger: a.logger, Tracer: tracer, Registerer: registry,
	})
	if err != nil {
		return err
	}
	a.announce = orch.Announce
	health := &healthView{}
	view := policyView{engine}
	contract, err := policy.ContractDocument()
	if err != nil {
		return err
	}
	a.server, err = gateway.New(a.cfg.door(), gateway.Options{ //nolint:contextcheck // routes take the context of their call
		Orchestrator: orch, Policies: view, PolicyContract: contract, Decisions: view, Health: health, Logger: a.logger,
		TracerProvider: a.tracing.provider, Propagator: a.tracing.propagator,
		Registerer: registry, Gatherer: registry, Build: build, Node: nodeName(),
		Mounts: []func(gateway.Routes){terraform.New(orch, a.logger).Mount},
	})
	if err != nil {
		return err
	}
	a.supervisor, err = component.New(a.cfg.Health, component.Options{
		Components: []component.Component{
			{Name: "store", Run: s.Run, Check: s.Ping, Vital: true},
			{Name: "policy", Run: engine.Run, Check: checkPolicy(engine)},
			{Name: "orchestrator", Run: orch.Run, Check: orch.Check, Recheck: orch.StoreChanged(), Vital: true},
			{Name: "http", Run: a.server.Run, Vital: true},
		},
		Logger: a.logger, Registerer: registry, StopTimeout: a.cfg.HTTP.ShutdownGrace + stopMargin,
		OnChange: a.announcer.changed,
	})
	if err != nil {
		return err
	}
	health.supervisor = a.supervisor
	return a.server.Listen(ctx)
}

// stopMargin is what a component gets on top of the shutdown grace to end.
const stopMargin = 10 * time.Second

// nodeName tells gateways apart as the source of events, also two on one host and
// one before and after a restart.
func nodeName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return url.PathEscape(host) + "/" + ulid.Make().String()
}

// checkPolicy says degraded while the newest policies were refused.
func checkPolicy(engine *policy.Engine) func(context.Context) error {
	return func(context.Context) error {
		if faults := engine.Status().LastError; len(faults) > 0 {
			return &component.DegradedError{Err: fmt.Errorf("older policies are in force, the new ones were refused: %w", &policy.LoadError{Faults: faults})}
		}
		return nil
	}
}

func newRegistry(build wire.Build) *prometheus.Registry {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lockgate_build_info", Help: "Which gateway this is; always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "go_version": build.Go},
	})
	info.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// Run serves until ctx ends and then stops within the shutdown grace. It may be
// called once.
func (a *App) Run(ctx context.Context) error {
	pacing, stopPacing := context.WithCancel(ctx)
	var pacer sync.WaitGroup
	pacer.Go(func() { paceCollector(pacing) })
	running, end := context.WithCancel(ctx)
	var announcing sync.WaitGroup
	announcing.Go(func() { a.announcer.run(running, a.announce) })
	err := a.supervisor.Run(ctx)
	end()
	announcing.Wait()
	stopPacing()
	pacer.Wait()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopMargin)
	defer cancel()
	if flushErr := a.tracing.shutdown(bounded); flushErr != nil {
		a.logger.WarnContext(bounded, "the last spans were lost", slog.String("error", flushErr.Error()))
	}
	return err
}

// Ready is closed when everything has been started; /readyz says whether it is
// well.
func (a *App) Ready() <-chan struct{} { return a.supervisor.Started() }

// Addr is the address that is served.
func (a *App) Addr() string { return a.server.Addr() }

// URL is where callers on this machine reach the gateway.
func (a *App) URL() string { return a.server.URL() }

// Reload puts what can change live in force, the log level, and answers the keys
// that differ from the running configuration and need a restart. Policies and
// tokens follow their files by themselves. It is not safe for concurrent use.
func (a *App) Reload(next Config) []string {
	a.level.Set(slog.Level(next.Log.Level))
	a.cfg.Log.Level = next.Log.Level
	return settings.Differences(&a.cfg, &next)
}
