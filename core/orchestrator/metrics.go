package orchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/lockgate/lockgate/core/lock"
)

// metrics are moved by the orchestrator; labels are bounded by their types.
type metrics struct {
	requests *prometheus.CounterVec   // by action, outcome, priority
	wait     *prometheus.HistogramVec // by priority: enqueue to grant
	hold     prometheus.Histogram     // grant to end
	steps    *prometheus.HistogramVec // by step: admission and store
	admitted prometheus.Histogram
	rejected prometheus.Counter
	retries  prometheus.Counter
	breaker  prometheus.Gauge
	parked   prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	histogram := func(name, help string, start float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{
			Name: name, Help: help,
			Buckets:                     prometheus.ExponentialBuckets(start, 4, 10),
			NativeHistogramBucketFactor: 1.1,
		}
	}
	return &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "lockgate_requests_total", Help: "Calls by action, outcome and priority.",
		}, []string{"action", "outcome", "priority"}),
		wait: f.NewHistogramVec(histogram("lockgate_wait_seconds",
			"Time from entering the queue to the grant.", 0.001), []string{"priority"}),
		hold: f.NewHistogram(histogram("lockgate_hold_seconds",
			"Time from the grant to the end of a lock.", 0.01)),
		steps: f.NewHistogramVec(histogram("lockgate_step_seconds",
			"Time of one transition from admission to its durable outcome.", 0.0001), []string{"step", "outcome"}),
		admitted: f.NewHistogram(histogram("lockgate_admission_wait_seconds",
			"Time a step waited for a worker.", 0.00001)),
		rejected: f.NewCounter(prometheus.CounterOpts{
			Name: "lockgate_admission_rejected_total", Help: "Calls refused because the admission queue was full.",
		}),
		retries: f.NewCounter(prometheus.CounterOpts{
			Name: "lockgate_store_retries_total", Help: "Batches handed to the store again after it failed.",
		}),
		breaker: f.NewGauge(prometheus.GaugeOpts{
			Name: "lockgate_store_breaker_state", Help: "Circuit breaker of the store: 0 closed, 1 half open, 2 open.",
		}),
		parked: f.NewGauge(prometheus.GaugeOpts{
			Name: "lockgate_parked_calls", Help: "Calls that are held open while their request is queued.",
		}),
	}
}

func (m *metrics) step(name string, a answer, took time.Duration) {
	m.steps.WithLabelValues(name, outcomeLabel(a)).Observe(took.Seconds())
}

func outcomeLabel(a answer) string {
	switch {
	case a.err != nil:
		return "error"
	case a.outcome.Err != nil:
		return "refused"
	}
	return "done"
}

// call counts one call of a door.
func (m *metrics) call(a lock.Action, p lock.Priority, l *lock.Lock, err error) {
	m.requests.WithLabelValues(a.String(), callLabel(l, err), p.String()).Inc()
}

func callLabel(l *lock.Lock, err error) string {
	if err == nil {
		return l.State.String()
	}
	var (
		denied  *lock.DeniedError
		policy  *lock.PolicyError
		full    *lock.QueueFullError
		busy    *lock.BusyError
		away    *lock.UnavailableError
		invalid *lock.InvalidError
		victim  *lock.DeadlockError
		flood   *lock.FloodError
	)
	switch {
	case errors.As(err, &denied):
		return "denied"
	case errors.As(err, &policy):
		return "policy_error"
	case errors.Is(err, lock.ErrLocked):
		return "locked"
	case errors.As(err, &victim):
		return "deadlock"
	case errors.As(err, &flood):
		return "flood"
	case errors.As(err, &full), errors.As(err, &busy):
		return "queue_full"
	case errors.As(err, &away):
		return "unavailable"
	case errors.As(err, &invalid):
		return "invalid"
	case errors.Is(err, lock.ErrStaleToken):
		return "stale_token"
	case errors.Is(err, lock.ErrNotFound):
		return "not_found"
	case errors.Is(err, context.Canceled):
		return "abandoned"
	}
	return "refused"
}

// tableCollector reads the lock table's counts when it is scraped.
type tableCollector struct {
	table     Table
	admission *admission

	locks, depth, oldest, namespaces, admitted *prometheus.Desc
}

func newTableCollector(t Table, a *admission) *tableCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &tableCollector{
		table: t, admission: a,
		locks:      desc("lockgate_locks", "Locks that are held or offered.", "state"),
		depth:      desc("lockgate_queue_depth", "Requests that wait.", "priority"),
		oldest:     desc("lockgate_queue_oldest_seconds", "Age of the oldest waiting request.", "priority"),
		namespaces: desc("lockgate_namespaces", "Namespaces with a live lock or request."),
		admitted:   desc("lockgate_admission_queue_length", "Steps that wait for a worker."),
	}
}

// Describe implements prometheus.Collector.
func (c *tableCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.locks, c.depth, c.oldest, c.namespaces, c.admitted} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A store that does not answer leaves
// its families out: no number is better than an old one.
func (c *tableCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(c.admitted, float64(c.admission.length()))
	s, err := c.table.Stats(context.Background()) //nolint:forbidigo // a scrape hands over no context; the read has a deadline of its own
	if err != nil {
		return
	}
	gauge(c.locks, float64(s.Held), lock.Held.String())
	gauge(c.locks, float64(s.Offered), lock.Offered.String())
	gauge(c.namespaces, float64(s.Namespaces))
	for _, p := range lock.Priorities() {
		gauge(c.depth, float64(s.Queued[p]), p.String())
		gauge(c.oldest, s.OldestWait[p].Seconds(), p.String())
	}
}
