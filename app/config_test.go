package app_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/app/settings"
	"github.com/lockgate/lockgate/policy"
)

func TestDefaultConfig_isValid(t *testing.T) {
	cfg := app.DefaultConfig()
	require.NoError(t, cfg.Validate())
}

// Every block words its faults in its own way; each must come out with the path
// of a key, so that its place in the file can be shown.
func TestValidate_answersEveryFaultWithItsKey(t *testing.T) {
	cfg := app.Config{}
	cfg.Policy.Enforcement = map[string]policy.Mode{"freeze": "off"}
	cfg.Policy.MayGrant = []string{"a/b"}
	cfg.Tracing.SampleRatio = 2
	cfg.RateLimit.PerSubject = 1
	cfg.Auth.JWT.Issuer = "https://issuer"
	cfg.HTTP.TLS.CertFile = "cert.pem"
	err := cfg.Validate()
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok)
	var paths []string
	for _, e := range joined.Unwrap() {
		var f *settings.FaultError
		require.True(t, errors.As(e, &f), "%v", e)
		require.NotEmpty(t, f.Message)
		paths = append(paths, f.Path)
	}
	require.Subset(t, paths, []string{
		"http.listen", "http.tls", "http.max_body", "http.read_timeout", "auth.jwt.audience", "auth.jwt.jwks_url", "rate_limit.burst",
		"backend.url", "backend.operation_timeout",
		"orchestrator.worker_count", "orchestrator.request_buffer_size", "orchestrator.batch_size",
		"queue.max_queue_size", "queue.offer_timeout", "queue.poll_offer_timeout", "queue.waiter_grace", "queue.max_wait",
		"policy.profile", "policy.budget", "policy.decision_log.entries", "policy.enforcement.freeze", "policy.may_grant",
		"events.retention", "health.check_interval", "health.component_timeout", "tracing.sample_ratio",
	})
	for _, path := range paths {
		require.Contains(t, path, ".", "no key was found for a fault: %v", err)
	}
}

func TestHelp_isOfEveryKeyAndNoOther(t *testing.T) {
	var described []string
	for path, line := range app.Help() {
		require.NotEmpty(t, line)
		described = append(described, path)
	}
	require.ElementsMatch(t, settings.Paths(new(app.Config)), described)
}

func TestUnsecured_endsWhenEverythingIsSet(t *testing.T) {
	cfg := app.DefaultConfig()
	require.Len(t, cfg.Unsecured(), 3)
	cfg.Auth.TokensFile, cfg.HTTP.TLS.CertFile, cfg.Policy.Dir = "tokens.yaml", "cert.pem", "policies"
	require.Empty(t, cfg.Unsecured())
}
