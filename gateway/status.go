package gateway

import (
	_ "embed"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// showStatus is GET /v1/status. It answers also while the lock table does not:
// that is when people ask.
func (s *Server) showStatus(c echo.Context) error {
	if err := query(c).err(); err != nil {
		return err
	}
	if err := s.may(c, lock.ActRead); err != nil {
		return err
	}
	components := s.parts.Health.Components()
	status := &wire.Status{
		State:      worst(components),
		Components: list(components),
		Build:      s.parts.Build,
		StartedAt:  wire.Time{Time: s.started},
	}
	ctx := c.Request().Context()
	if stats, err := s.parts.Orchestrator.Stats(ctx); err != nil {
		s.parts.Logger.WarnContext(ctx, "the lock table cannot be counted", "error", err)
	} else {
		status.Locks = counts(&stats)
	}
	return writeJSON(c, http.StatusOK, status)
}

func counts(stats *lock.Stats) *wire.LockCounts {
	out := &wire.LockCounts{
		Held: stats.Held, Offered: stats.Offered, Namespaces: stats.Namespaces,
		Queued: map[string]int{}, OldestWait: map[string]wire.Duration{},
	}
	for p, n := range stats.Queued {
		out.Queued[p.String()] = n
	}
	for p, age := range stats.OldestWait {
		out.OldestWait[p.String()] = wire.Duration(age)
	}
	return out
}

// worst is the state of the gateway: that of its worst component.
func worst(components []wire.Component) string {
	state := wire.StateHealthy
	for _, c := range components {
		if severity(c.State) > severity(state) {
			state = c.State
		}
	}
	return state
}

func severity(state string) int {
	switch state {
	case wire.StateHealthy:
		return 0
	case wire.StateDegraded:
		return 1
	case wire.StateStarting:
		return 2
	case wire.StateStopped:
		return 3
	}
	return 4 // error, and what nobody knows
}

// live is GET /livez: the process answers.
func (s *Server) live(c echo.Context) error { return c.String(http.StatusOK, "ok\n") }

// ready is GET /readyz: calls may be sent here.
func (s *Server) ready(c echo.Context) error {
	components := s.parts.Health.Components()
	if s.stopping.Load() {
		components = append(slices.Clip(components), wire.Component{Name: "gateway", State: wire.StateStopped})
	}
	return probe(c, components, severity(wire.StateDegraded))
}

// healthy is GET /healthz: nothing is broken. Starting and stopping are not.
func (s *Server) healthy(c echo.Context) error {
	return probe(c, s.parts.Health.Components(), severity(wire.StateStarting))
}

// probe answers 200 when no component is worse than tolerated. Anybody may
// probe, so components are named and what ails them is left to /v1/status.
func probe(c echo.Context, components []wire.Component, tolerated int) error {
	status, verdict := http.StatusOK, "ok\n"
	if severity(worst(components)) > tolerated {
		status, verdict = http.StatusServiceUnavailable, "not ok\n"
	}
	if !c.QueryParams().Has("verbose") {
		return c.String(status, verdict)
	}
	var b strings.Builder
	for _, part := range components {
		sign := '+'
		if severity(part.State) > tolerated {
			sign = '-'
		}
		fmt.Fprintf(&b, "[%c] %s: %s\n", sign, part.Name, part.State)
	}
	return c.String(status, b.String()+verdict)
}

// scrape is GET /metrics.
func (s *Server) scrape() echo.HandlerFunc {
	exposition := promhttp.HandlerFor(s.parts.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true})
	return func(c echo.Context) error {
		if err := s.may(c, lock.ActRead); err != nil {
			return err
		}
		exposition.ServeHTTP(c.Response(), c.Request())
		return nil
	}
}

//go:embed welcome.html
var welcomePage []byte

// welcome is GET /.
func (s *Server) welcome(c echo.Context) error {
	return page(c, welcomePage, "default-src 'none'; style-src 'unsafe-inline'")
}

// document is GET /openapi.json.
func (s *Server) document(c echo.Context) error { return c.JSONBlob(http.StatusOK, s.openAPI) }
