package component

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/thejerf/suture/v4"
)

var errEnded = errors.New("it ended by itself")

// member is one component as suture sees it.
type member struct {
	Component

	sup     *Supervisor
	index   int
	settled chan struct{} // closed when the component was up, or failed, for the first time
	settle  func()
	alive   chan struct{} // holds one value while Run runs, and for good once the component was stopped
	stopErr error         // what Run answered when it was told to stop; whoever fills alive may touch it
}

func newMember(s *Supervisor, i int, c Component) *member {
	m := &member{Component: c, sup: s, index: i, settled: make(chan struct{}), alive: make(chan struct{}, 1)}
	m.settle = sync.OnceFunc(func() { close(m.settled) })
	return m
}

// String names the component in suture's events.
func (m *member) String() string { return m.Name }

// Serve is one life of the component: Run, with its checks beside it.
func (m *member) Serve(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return suture.ErrDoNotRestart
	case m.alive <- struct{}{}:
	}
	defer func() { <-m.alive }()
	m.set(Starting, "")
	checks, stopChecks := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { m.watch(checks) })
	err := m.guard(func() error { return m.Run(ctx) })
	stopChecks()
	wg.Wait()
	defer m.settle()
	if ctx.Err() != nil {
		if !errors.Is(err, context.Canceled) {
			m.stopErr = err
		}
		return suture.ErrDoNotRestart
	}
	return m.failed(err)
}

// awaitEnd waits for the end of a component that suture was told to remove, and
// answers what Run answered.
//
// Suture's own RemoveAndWait would leave a goroutine behind when it gives up.
func (m *member) awaitEnd(timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-timer.C:
		err := fmt.Errorf("it did not end within %s", timeout)
		m.set(Failed, err.Error())
		return err
	case m.alive <- struct{}{}:
	}
	if m.stopErr != nil {
		m.set(Stopped, m.stopErr.Error())
		return m.stopErr
	}
	m.set(Stopped, "")
	return nil
}

// failed says what happens after a Run that nobody stopped.
func (m *member) failed(err error) error {
	if err == nil {
		err = errEnded
	}
	m.set(Failed, err.Error())
	if m.Vital {
		m.sup.fail(fmt.Errorf("%s: %w", m.Name, err))
		return suture.ErrDoNotRestart
	}
	if !m.sup.cfg.AutoRestart {
		return suture.ErrDoNotRestart
	}
	m.sup.metrics.restarts.WithLabelValues(m.Name).Inc()
	return err
}

// watch checks until ctx ends: soon again while the component is not up, at the
// check interval while it is.
func (m *member) watch(ctx context.Context) {
	if m.Check == nil {
		m.set(Healthy, "")
		m.settle()
		return
	}
	pause := minInterval
	for {
		wait := m.sup.cfg.CheckInterval
		if m.checkOnce(ctx) {
			pause = minInterval
		} else {
			wait, pause = pause, min(2*pause, wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-m.Recheck:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// checkOnce answers whether the component is up. A component that has never
// been up stays in state starting for the component timeout.
func (m *member) checkOnce(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, m.sup.cfg.ComponentTimeout)
	defer cancel()
	err := m.guard(func() error { return m.Check(bounded) })
	if ctx.Err() != nil {
		return false
	}
	if err == nil {
		m.set(Healthy, "")
		m.settle()
		return true
	}
	if degraded := (*DegradedError)(nil); errors.As(err, &degraded) {
		m.set(Degraded, err.Error())
		m.settle()
		return true
	}
	if bounded.Err() != nil {
		err = fmt.Errorf("no answer within %s: %w", m.sup.cfg.ComponentTimeout, err)
	}
	m.checkFailed(err)
	return false
}

func (m *member) checkFailed(err error) {
	now := m.sup.board.get(m.index)
	if now.State == Starting && time.Since(now.Since) < m.sup.cfg.ComponentTimeout {
		m.set(Starting, err.Error())
		return
	}
	m.set(Failed, err.Error())
	m.settle()
}

// guard makes a panic of the component its error.
func (m *member) guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			m.sup.logger.Error("component panicked", slog.String("component", m.Name), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

func (m *member) set(state State, message string) { m.sup.board.set(m.index, state, message) }
