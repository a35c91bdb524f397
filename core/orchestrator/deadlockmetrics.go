package orchestrator

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/lockgate/lockgate/core/lock"
)

// deadlockMetrics are moved by the resolver.
type deadlockMetrics struct {
	deadlocks  *prometheus.CounterVec // by kind and resolution
	search     prometheus.Histogram
	resolution prometheus.Histogram
	swept      prometheus.Counter
	unresolved prometheus.Counter
	fallbacks  prometheus.Counter
	flooded    prometheus.Counter
}

func newDeadlockMetrics(reg prometheus.Registerer) *deadlockMetrics {
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	histogram := func(name, help string) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help,
			Buckets:                     prometheus.ExponentialBuckets(0.0001, 4, 8),
			NativeHistogramBucketFactor: 1.1,
		})
	}
	m := &deadlockMetrics{
		deadlocks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "lockgate_deadlocks_total", Help: "Deadlocks resolved by this gateway, by the kind of their cycle and what was done.",
		}, []string{"kind", "resolution"}),
		search:     histogram("lockgate_deadlock_search_seconds", "Time of one search: the read of the graph and the look for cycles."),
		resolution: histogram("lockgate_deadlock_resolution_seconds", "Time from the step that closed a cycle to its resolution."),
		swept: counter("lockgate_deadlocks_swept_total",
			"Deadlocks that only the background sweep found; 0 unless gateways die in the middle of a search."),
		unresolved: counter("lockgate_deadlock_searches_failed_total", "Searches that could not be ended in time; the sweep goes on."),
		fallbacks:  counter("lockgate_deadlock_policy_fallbacks_total", "Deadlocks for which the configured victim policy did not decide."),
		flooded:    counter("lockgate_deadlock_flood_refusals_total", "Requests refused because their owner closed too many deadlocks."),
	}
	for _, r := range []lock.Resolution{lock.Reordered, lock.GaveWay, lock.Refused, lock.Withdrawn} {
		m.deadlocks.WithLabelValues(kindOf(r), string(r)) // a rate needs the zero that comes before the first
	}
	return m
}

func (m *deadlockMetrics) count(d *lock.Deadlock) {
	m.deadlocks.WithLabelValues(kindOf(d.Resolution), string(d.Resolution)).Inc()
}

// kindOf is soft when queue order alone made the cycle, declared when no lock is
// in it, else hard.
func kindOf(r lock.Resolution) string {
	switch r {
	case lock.Reordered:
		return lock.Soft.String()
	case lock.Withdrawn:
		return lock.Declared.String()
	case lock.GaveWay, lock.Refused:
	}
	return lock.Hard.String()
}
