package policy

import (
	"context"
	"reflect"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockgate/lockgate/core/lock"
)

// shadowBacklog bounds the decisions that wait to be tried: live traffic does
// not wait for a candidate.
const shadowBacklog = 256

// Change is what a candidate would have decided otherwise.
type Change string

// The changes.
const (
	ChangeNone        Change = "same"
	ChangeAllowToDeny Change = "allow_to_deny"
	ChangeDenyToAllow Change = "deny_to_allow"
	ChangePriority    Change = "priority"
	ChangeTerms       Change = "terms" // limits, obligations and what else comes with an allow
	ChangeError       Change = "error" // the candidate could not decide
)

// shadow asks a candidate what was decided live, after it was answered. What it
// says is counted, and logged where it differs; it is never enforced.
type shadow struct {
	track   *track
	backlog chan trial
	changes *prometheus.CounterVec
	dropped prometheus.Counter
}

// trial is one live decision on its way to the candidate.
type trial struct {
	question lock.Question
	decision lock.Decision
	failed   bool // live
}

// shadowed says which live decision an entry of the candidate belongs to.
type shadowed struct {
	of     string
	change Change
}

func newShadow(ctx context.Context, cfg *Config, o Options, m *metrics) (*shadow, error) {
	candidate := *cfg
	candidate.Dir, candidate.Bundle, candidate.CacheDir = cfg.Shadow.Dir, cfg.Shadow.Bundle, ""
	o.OnReload = nil
	t, err := newTrack(&candidate, o, m.shadowReloads)
	if err != nil {
		return nil, err
	}
	t.mayBeEmpty = true
	if _, err := t.reload(ctx); err != nil {
		o.Logger.WarnContext(ctx, "the shadow policies are refused, nothing is compared until they change", "source", t.origin.String())
	}
	return &shadow{track: t, backlog: make(chan trial, shadowBacklog), changes: m.shadowChanges, dropped: m.shadowDropped}, nil
}

// offer hands a live decision over, or drops it when the candidate is behind.
func (s *shadow) offer(q *lock.Question, d *lock.Decision, err error) {
	if s == nil || s.track.current.Load() == nil || isInvalid(err) {
		return
	}
	select {
	case s.backlog <- trial{question: *q, decision: *d, failed: err != nil}:
	default:
		s.dropped.Inc()
	}
}

// needs says which facts the candidate reads.
func (s *shadow) needs() lock.Needs {
	if s == nil {
		return lock.Needs{}
	}
	if g := s.track.current.Load(); g != nil {
		return g.needs
	}
	return lock.Needs{}
}

// try asks the candidate until ctx ends.
func (e *Engine) try(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-e.shadow.backlog:
			e.tryOne(ctx, &t)
		}
	}
}

func (e *Engine) tryOne(ctx context.Context, t *trial) {
	g := e.shadow.track.current.Load()
	start := time.Now()
	a, err := e.ask(ctx, g, &t.question)
	change := t.changeTo(&a.decision, err)
	e.shadow.changes.WithLabelValues(string(change)).Inc()
	if change == ChangeNone {
		return
	}
	e.log(&entry{
		id: ulid.Make().String(), at: start, took: time.Since(start), question: t.question, generation: g, verdicts: a.verdicts,
		allow: a.decision.Allow && err == nil, err: err, shadow: &shadowed{of: t.decision.ID, change: change},
	})
}

func (t *trial) changeTo(d *lock.Decision, err error) Change {
	live := &t.decision
	allow := live.Allow && !t.failed
	switch {
	case err != nil && t.failed:
		return ChangeNone
	case err != nil:
		return ChangeError
	case allow && !d.Allow:
		return ChangeAllowToDeny
	case !allow && d.Allow:
		return ChangeDenyToAllow
	case !allow:
		return ChangeNone
	case live.Priority != d.Priority, live.Value != d.Value:
		return ChangePriority
	case !reflect.DeepEqual(live.Limits, d.Limits), live.Preempt != d.Preempt, live.Preemptible != d.Preemptible,
		live.DeadlockAction != d.DeadlockAction, !reflect.DeepEqual(live.Obligations, d.Obligations):
		return ChangeTerms
	}
	return ChangeNone
}
