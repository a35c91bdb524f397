// Package policies tests the example beside it.
package policies

import (
	"encoding/json"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/app/settings"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/policies"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/author"
)

// gate decides as a gateway with one of the configurations does.
func gate(t *testing.T, config string) *policy.Engine {
	t.Helper()
	loaded, err := settings.Load(app.DefaultConfig(), settings.Sources{File: config})
	require.NoError(t, err)
	loaded.Config.Policy.Budget = time.Minute // a busy machine fails no test
	e, err := policy.New(t.Context(), loaded.Config.Policy, policy.Options{
		Logger: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider().Tracer(""), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	require.Empty(t, e.Status().Warnings)
	return e
}

func apply(key lock.Key, team string) *lock.Question {
	return &lock.Question{
		Action: lock.ActAcquire, Time: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), Namespace: "acme/shop",
		Resources: []lock.Resource{{Key: key}}, Owner: "ci:web-7", Context: json.RawMessage(`{"command": "apply"}`),
		Caller: lock.Caller{Actor: lock.Actor{ID: "ann", Teams: []string{team}}},
	}
}

func TestRollout_fromShadowToDeny(t *testing.T) {
	for config, want := range map[string]struct {
		allow    bool
		warnings int
	}{"shadow.yaml": {true, 0}, "warn.yaml": {true, 1}, "deny.yaml": {false, 0}} {
		e := gate(t, config)
		d, err := e.Decide(t.Context(), apply("acme/shop/web/default/", "shop"))
		require.NoError(t, err)
		require.Equal(t, want.allow, d.Allow, config)
		require.Len(t, d.Warnings, want.warnings, config)
		entry, ok := e.Entry(d.ID)
		require.True(t, ok)
		require.Contains(t, string(entry), "ticket.missing", config)

		q := apply("acme/shop/web/default/", "shop")
		q.Labels = map[string]string{"ticket": "OPS-42"}
		d, err = e.Decide(t.Context(), q)
		require.NoError(t, err)
		require.True(t, d.Allow, config)
		require.Empty(t, d.Warnings, config)
		require.Equal(t, 460, d.Value, "the organisation moves its own requests")
	}
}

func TestRollout_anExceptionWarns(t *testing.T) {
	d, err := gate(t, "deny.yaml").Decide(t.Context(), apply("acme/shop/status/default/", "shop"))
	require.NoError(t, err)
	require.True(t, d.Allow)
	require.Equal(t, "ticket.excepted", d.Warnings[0].Code)
}

func TestOrganisation_narrowsWhatThePlatformGrants(t *testing.T) {
	e := gate(t, "shadow.yaml")
	for team, allow := range map[string]bool{"shop": false, "security": true} {
		d, err := e.Decide(t.Context(), apply("acme/shop/cards/default/", team))
		require.NoError(t, err)
		require.Equal(t, allow, d.Allow, team)
	}
}

func TestPolicies_everyDeletedRuleIsNoticed(t *testing.T) {
	p, err := policy.ParseFolder(os.DirFS("policies"))
	require.NoError(t, err)
	alive, tried, err := author.Mutate(t.Context(), p)
	require.NoError(t, err)
	require.Greater(t, tried, 10)
	require.Empty(t, alive)
	unformatted, err := author.Format(os.DirFS("policies"))
	require.NoError(t, err)
	require.Empty(t, unformatted)
}

func TestRegistry_isTheShippedOne(t *testing.T) {
	const name = "lockgate/lib/registry.rego"
	ours, err := os.ReadFile("policies/" + name)
	require.NoError(t, err)
	file, err := policies.Files().Open(name)
	require.NoError(t, err)
	defer file.Close()
	shipped := make([]byte, len(ours)+1)
	n, err := file.Read(shipped)
	require.NoError(t, err)
	require.Equal(t, string(ours), string(shipped[:n]))
}
