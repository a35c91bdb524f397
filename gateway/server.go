package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/sync/errgroup"

	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway/wire"
)

// Options are the parts a Server is built from. Orchestrator, Policies,
// Decisions, Health, Logger, Registerer and Gatherer are required.
type Options struct {
	Orchestrator   *orchestrator.Orchestrator
	Policies       Policies
	Decisions      Decisions
	Health         Health
	Logger         *slog.Logger
	TracerProvider trace.TracerProvider          // default: no spans
	Propagator     propagation.TextMapPropagator // default: W3C trace context
	Registerer     prometheus.Registerer
	Gatherer       prometheus.Gatherer
	Build          wire.Build
	Node           string // source of events; default "lockgate"
	// Mounts add the routes of other doors.
	Mounts []func(Routes)
}

func (o *Options) check() error {
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"Orchestrator", o.Orchestrator == nil},
		{"Policies", o.Policies == nil},
		{"Decisions", o.Decisions == nil},
		{"Health", o.Health == nil},
		{"Logger", o.Logger == nil},
		{"Registerer", o.Registerer == nil},
		{"Gatherer", o.Gatherer == nil},
	} {
		if part.missing {
			return fmt.Errorf("gateway options: %s is missing", part.name)
		}
	}
	if o.TracerProvider == nil {
		o.TracerProvider = noop.NewTracerProvider()
	}
	if o.Propagator == nil {
		o.Propagator = propagation.TraceContext{}
	}
	if o.Node == "" {
		o.Node = "lockgate"
	}
	return nil
}

// Server serves the HTTP API.
type Server struct {
	parts    Options
	cfg      Config
	tls      *tls.Config // nil: plain HTTP
	echo     *echo.Echo
	routes   map[string]string // Echo's path to the document's, such as /v1/locks/{id}
	tracer   trace.Tracer
	metrics  *metrics
	auth     *authenticator
	limits   *limits // of subjects
	refusals *limits // of addresses whose credentials were not accepted
	streams  *streams
	decoders decoders
	openAPI  []byte
	started  time.Time
	listener net.Listener
	stopping atomic.Bool
}

// New checks and builds; it reads the tokens file and the certificates, and
// starts nothing.
func New(cfg Config, o Options) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		parts:    o,
		routes:   map[string]string{},
		tracer:   o.TracerProvider.Tracer("github.com/lockgate/lockgate/gateway"),
		metrics:  newMetrics(o.Registerer),
		limits:   newLimits(cfg.RateLimit, "this subject calls more often than rate_limit.per_subject allows"),
		refusals: newLimits(refusalRate(), "too many credentials from this address were not accepted: mend the credential, then try again"),
		streams:  newStreams(),
		decoders: newDecoders(),
		started:  time.Now(),
	}
	var err error
	if s.tls, err = serverTLS(cfg.HTTP.TLS); err != nil {
		return nil, err
	}
	if s.auth, err = newAuthenticator(&cfg, o.Logger); err != nil {
		return nil, err
	}
	if s.openAPI, err = openAPIJSON(); err != nil {
		return nil, err
	}
	s.echo = s.newEcho()
	return s, nil
}

func (s *Server) newEcho() *echo.Echo {
	e := echo.New()
	e.HideBanner = true
	e.HidePort = true
	e.IPExtractor = echo.ExtractIPDirect() // forwarded headers are a caller's word
	e.HTTPErrorHandler = s.answer
	e.Use(s.edge)
	s.echo = e
	s.addRoutes()
	return e
}

// Handler serves without a socket, for tests.
func (s *Server) Handler() http.Handler { return s.echo }

// Listen binds the configured address.
func (s *Server) Listen(ctx context.Context) error {
	address := s.cfg.HTTP.Listen
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("http.listen: %s is in use: stop what listens there, or choose another address with --http.listen", address)
	}
	if err != nil {
		return fmt.Errorf("http.listen: cannot listen on %s: %w", address, err)
	}
	s.listener = l
	return nil
}

// Addr is the address bound by Listen, or "" before.
func (s *Server) Addr() string {
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// URL is where callers on this machine reach the gateway, or "" before Listen.
func (s *Server) URL() string {
	if s.listener == nil {
		return ""
	}
	if s.tls != nil {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Bounds of one connection that no setting changes.
const (
	maxHeader   = 64 << 10
	idleTimeout = 2 * time.Minute
	// writeTimeout outlives the longest waiting call.
	writeTimeout = maxWait + 30*time.Second
)

// Run serves until ctx ends and then drains: calls that only wait are answered
// 503, calls under way finish within the shutdown grace. Listen comes first.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		return errors.New("gateway: Run before Listen")
	}
	server := &http.Server{
		Handler:           s.echo,
		TLSConfig:         s.tls,
		ReadHeaderTimeout: s.cfg.HTTP.ReadTimeout, // bodies: see readBody
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.parts.Logger.Handler(), slog.LevelDebug),
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := s.serve(server); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serve %s: %w", s.Addr(), err)
		}
		return nil
	})
	g.Go(func() error { return s.auth.run(ctx) })
	g.Go(func() error {
		<-ctx.Done()
		return s.drain(ctx, server)
	})
	return g.Wait()
}

func (s *Server) serve(server *http.Server) error {
	if s.tls != nil {
		return server.ServeTLS(s.listener, "", "")
	}
	return server.Serve(s.listener)
}

// drain begins when ctx has ended, so its own deadline does not inherit it.
func (s *Server) drain(ctx context.Context, server *http.Server) error {
	s.stopping.Store(true)
	s.parts.Orchestrator.Drain()
	s.streams.stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.HTTP.ShutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		s.parts.Logger.WarnContext(grace, "calls were cut off: the shutdown grace is over", "grace", s.cfg.HTTP.ShutdownGrace)
		return server.Close()
	}
	return nil
}
