package policy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/lockgate/lockgate/core/lock"
)

// Outcomes of a decision, as metrics and spans spell them.
const (
	outcomeAllow = "allow"
	outcomeDeny  = "deny"
	outcomeError = "error"
	outcomeOK    = "ok"
)

// Kinds of policy errors.
const (
	errorTimeout = "timeout"
	errorEval    = "evaluation"
	errorFacts   = "facts"
	errorInput   = "input"
	errorCaller  = "caller_gone"
)

type metrics struct {
	hit, miss prometheus.Observer
	decisions map[lock.Action]outcomes
	reloads   *prometheus.CounterVec
	errors    *prometheus.CounterVec
}

type outcomes struct {
	allow, deny, failed prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, memoSize func() float64) *metrics {
	f := promauto.With(reg)
	seconds := f.NewHistogramVec(prometheus.HistogramOpts{
		Name:                            "lockgate_policy_decision_seconds",
		Help:                            "Time to decide one question, by whether every resource was answered from the memo.",
		Buckets:                         []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 5e-3, 1e-2, 5e-2},
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: 0,
	}, []string{"memo"})
	decisions := f.NewCounterVec(prometheus.CounterOpts{
		Name: "lockgate_policy_decisions_total", Help: "Decisions, by action and outcome.",
	}, []string{"action", "outcome"})
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "lockgate_policy_memo_entries", Help: "Remembered verdicts of the policies in force.",
	}, memoSize)
	m := &metrics{
		hit: seconds.WithLabelValues("hit"), miss: seconds.WithLabelValues("miss"),
		decisions: make(map[lock.Action]outcomes, lock.ActAdmin),
		reloads: f.NewCounterVec(prometheus.CounterOpts{
			Name: "lockgate_policy_reloads_total", Help: "Loads of policies and facts, by outcome.",
		}, []string{"outcome"}),
		errors: f.NewCounterVec(prometheus.CounterOpts{
			Name: "lockgate_policy_errors_total", Help: "Questions that policy could not answer, by kind.",
		}, []string{"kind"}),
	}
	for a := lock.ActAcquire; a <= lock.ActAdmin; a++ {
		m.decisions[a] = outcomes{
			allow:  decisions.WithLabelValues(a.String(), outcomeAllow),
			deny:   decisions.WithLabelValues(a.String(), outcomeDeny),
			failed: decisions.WithLabelValues(a.String(), outcomeError),
		}
	}
	return m
}

// observe counts one answered or refused question.
func (m *metrics) observe(action lock.Action, a *answer, err error, took time.Duration) {
	histogram := m.miss
	if a.hit && err == nil {
		histogram = m.hit
	}
	histogram.Observe(took.Seconds())
	o := m.decisions[action]
	if o.allow == nil {
		return // no action that policy knows
	}
	switch {
	case err != nil:
		o.failed.Inc()
		m.errors.WithLabelValues(kindOf(err)).Inc()
	case a.decision.Allow:
		o.allow.Inc()
	default:
		o.deny.Inc()
	}
}
