package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/thejerf/suture/v4"
)

// Component is one long-lived part.
type Component struct {
	Name string
	// Run does the work until ctx ends and then answers nil. Unless the component
	// is Vital it must be possible to call it again after it has ended.
	Run func(ctx context.Context) error
	// Check answers nil when the component can do its work and a *DegradedError
	// when it can with limits. It is called only while Run runs. Nil means that
	// the component is healthy whenever Run runs.
	Check func(ctx context.Context) error
	// Recheck asks for a check at once, whenever it has a value; may be nil.
	Recheck <-chan struct{}
	// Vital components are run once: when Run ends, everything is stopped.
	Vital bool
}

// Options are what a Supervisor is built from.
type Options struct {
	Components []Component // in start order
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	// StopTimeout is how long each component may take to end before the next one
	// is told to, with a margin over the longest drain.
	StopTimeout time.Duration
	// OnChange is called on every change, one call at a time. It must return soon
	// and must not call the Supervisor; nil is allowed.
	OnChange func(Status)
}

// Supervisor runs components. Its methods are safe for concurrent use.
type Supervisor struct {
	cfg         Config
	logger      *slog.Logger
	metrics     *metrics
	board       *board
	members     []*member
	stopTimeout time.Duration
	started     chan struct{}
	failure     chan error // of a vital component; holds the first one
}

// New checks the settings and the components; Run starts them.
func New(cfg Config, o Options) (*Supervisor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	if o.StopTimeout <= 0 {
		return nil, errors.New("components need a stop timeout above zero")
	}
	s := &Supervisor{
		cfg: cfg, logger: o.Logger, metrics: newMetrics(o.Registerer), stopTimeout: o.StopTimeout,
		started: make(chan struct{}), failure: make(chan error, 1),
	}
	names := make([]string, len(o.Components))
	seen := map[string]bool{}
	for i, c := range o.Components {
		if c.Name == "" || c.Run == nil || seen[c.Name] {
			return nil, fmt.Errorf("component %d (%q) needs a name of its own and a Run function", i, c.Name)
		}
		names[i], seen[c.Name] = c.Name, true
		s.members = append(s.members, newMember(s, i, c))
	}
	s.board = newBoard(names, s.metrics, func(st Status) {
		s.log(st)
		if o.OnChange != nil {
			o.OnChange(st)
		}
	})
	return s, nil
}

// Run starts the components, keeps them running until ctx ends, and stops them.
// It answers nil, or what made a vital component end, joined with what
// components answered when they were stopped. It may be called once.
func (s *Supervisor) Run(ctx context.Context) error {
	tree := suture.New("components", suture.Spec{EventHook: s.sutureEvent, Timeout: s.stopTimeout})
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	served := tree.ServeBackground(base)

	tokens, err := s.start(ctx, tree)
	if err == nil && ctx.Err() == nil {
		close(s.started)
		select {
		case <-ctx.Done():
		case err = <-s.failure:
		}
	}
	err = errors.Join(err, s.stop(tree, tokens))
	end()
	if treeErr := <-served; !errors.Is(treeErr, context.Canceled) {
		err = errors.Join(err, treeErr)
	}
	return err
}

// start answers the tokens of the components that it started.
func (s *Supervisor) start(ctx context.Context, tree *suture.Supervisor) ([]suture.ServiceToken, error) {
	var tokens []suture.ServiceToken
	for _, m := range s.members {
		tokens = append(tokens, tree.Add(m))
		select {
		case <-ctx.Done():
			return tokens, nil
		case <-m.settled:
		}
		select {
		case err := <-s.failure:
			return tokens, err
		default:
		}
	}
	return tokens, nil
}

// stop ends the started components, the last one first.
func (s *Supervisor) stop(tree *suture.Supervisor, tokens []suture.ServiceToken) error {
	var faults []error
	for i, token := range slices.Backward(tokens) {
		m := s.members[i]
		err := tree.Remove(token)
		if err == nil {
			err = m.awaitEnd(s.stopTimeout)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", m.Name, err))
		}
	}
	return errors.Join(faults...)
}

// Started is closed when every component has been started and was found healthy
// or has used up its time to become so.
func (s *Supervisor) Started() <-chan struct{} { return s.started }

// Status answers a snapshot in start order.
func (s *Supervisor) Status() []Status { return s.board.all() }

func (s *Supervisor) fail(err error) {
	select {
	case s.failure <- err:
	default: // the first failure is the cause
	}
}

func (s *Supervisor) log(st Status) {
	write := s.logger.Debug
	switch st.State {
	case Failed, Degraded:
		write = s.logger.Warn
	case Healthy:
		write = s.logger.Info
	case Starting, Stopped:
	}
	attrs := []any{slog.String("component", st.Name), slog.String("state", st.State.String())}
	if st.Message != "" {
		attrs = append(attrs, slog.String("message", st.Message))
	}
	write("component changed", attrs...)
}

// sutureEvent logs what the states do not show already.
func (s *Supervisor) sutureEvent(e suture.Event) {
	switch e.Type() {
	case suture.EventTypeBackoff:
		s.logger.Warn("components fail often, restarts are paused")
	case suture.EventTypeResume:
		s.logger.Info("restarts go on")
	case suture.EventTypeStopTimeout, suture.EventTypeServicePanic, suture.EventTypeServiceTerminate:
	}
}
