package redis

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	events     prometheus.Counter
	gaps       prometheus.Counter
	faults     prometheus.Counter
	reloads    prometheus.Counter
	undone     prometheus.Counter
	namespaces prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	return &metrics{
		events: f.NewCounter(prometheus.CounterOpts{
			Name: "lockgate_redis_events_total", Help: "Events read from the streams of Redis.",
		}),
		gaps: f.NewCounter(prometheus.CounterOpts{
			Name: "lockgate_redis_event_gaps_total", Help: "Times that a reader of the event log may have missed events.",
		}),
		faults: f.NewCounter(prometheus.CounterOpts{
			Name: "lockgate_redis_follow_faults_total", Help: "Reads of the streams or the index of Redis that failed and were tried again.",
		}),
		reloads: f.NewCounter(prometheus.CounterOpts{
			Name: "lockgate_redis_script_reloads_total", Help: "Times that a server of Redis did not know a script.",
		}),
		undone: f.NewCounter(prometheus.CounterOpts{
			Name: "lockgate_redis_undone_total", Help: "Grants taken back because too few replicas had them.",
		}),
		namespaces: f.NewGauge(prometheus.GaugeOpts{
			Name: "lockgate_redis_namespaces", Help: "Namespaces in the index of Redis.",
		}),
	}
}
