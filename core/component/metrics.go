package component

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	health   *prometheus.GaugeVec
	restarts *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	labels := []string{"component"}
	return &metrics{
		health: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lockgate_component_health",
			Help: "How a component is: 1 healthy, 0.5 degraded, 0 anything else.",
		}, labels),
		restarts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "lockgate_component_restarts_total",
			Help: "How often a component that failed was run again.",
		}, labels),
	}
}
