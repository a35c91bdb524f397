package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/gateway"
)

func TestConfig_defaultIsValidAndSafe(t *testing.T) {
	cfg := gateway.DefaultConfig()
	require.NoError(t, cfg.Validate())
	require.False(t, cfg.Authenticated())
	require.Equal(t, "127.0.0.1:7480", cfg.HTTP.Listen)
}

func TestConfig_readsWhatTheManualShows(t *testing.T) {
	cfg := gateway.DefaultConfig()
	err := yaml.UnmarshalWithOptions([]byte(`
http:       {listen: "127.0.0.1:7480", tls: {cert_file: a, key_file: b, client_ca_file: c}, max_body: 2MiB, read_timeout: 10s, shutdown_grace: 20s}
auth:       {tokens_file: t, jwt: {issuer: i, audience: a, jwks_url: "https://x/y", claims: {roles: realm.roles}}, insecure: false}
rate_limit: {per_subject: 600/m, burst: 2000}
`), &cfg, yaml.Strict())
	require.NoError(t, err)
	require.Equal(t, gateway.ByteSize(2<<20), cfg.HTTP.MaxBody)
	require.Equal(t, 20*time.Second, cfg.HTTP.ShutdownGrace)
	require.InDelta(t, 10, float64(cfg.RateLimit.PerSubject), 0)
	require.Equal(t, "sub", cfg.Auth.JWT.Claims.Subject, "what is not named keeps its default")
	require.NoError(t, cfg.Validate())
}

func TestConfig_strangersAreNotServedByAccident(t *testing.T) {
	for listen, loopback := range map[string]bool{
		"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.9.9.9:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.7:1": false, "gateway.acme.test:1": false,
	} {
		cfg := gateway.DefaultConfig()
		cfg.HTTP.Listen = listen
		if loopback {
			require.NoError(t, cfg.Validate(), listen)
			continue
		}
		require.ErrorContains(t, cfg.Validate(), "auth.insecure", listen)
		cfg.Auth.Insecure = true
		require.NoError(t, cfg.Validate(), listen)
		cfg.Auth = gateway.AuthConfig{TokensFile: "tokens.yaml"}
		require.NoError(t, cfg.Validate(), listen)
	}
}

func TestConfig_allFaultsAtOnce(t *testing.T) {
	cfg := gateway.Config{
		HTTP:      gateway.HTTPConfig{Listen: "nowhere", TLS: gateway.TLSConfig{CertFile: "x", ClientCAFile: "y"}, ShutdownGrace: -1},
		Auth:      gateway.AuthConfig{JWT: gateway.JWTConfig{JWKSURL: "ftp://x"}},
		RateLimit: gateway.RateConfig{PerSubject: 1},
	}
	err := cfg.Validate()
	for _, path := range []string{
		"http.listen", "http.tls", "http.max_body", "http.read_timeout", "http.shutdown_grace",
		"auth.jwt.issuer", "auth.jwt.audience", "auth.jwt.jwks_url", "auth.jwt.claims.subject", "rate_limit.burst",
	} {
		require.ErrorContains(t, err, path+":")
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		require.Regexp(t, `^(http|auth|rate_limit)\.[a-z_.]+: `, line)
	}
}

func TestByteSize_text(t *testing.T) {
	for text, want := range map[string]gateway.ByteSize{"1MiB": 1 << 20, "512 KiB": 512 << 10, "7": 7, "7B": 7, "2MB": 2e6, "0": 0} {
		var b gateway.ByteSize
		require.NoError(t, b.UnmarshalText([]byte(text)))
		require.Equal(t, want, b, text)
	}
	for _, bad := range []string{"", "MiB", "-1MiB", "1.5MiB", "1TiB", "9223372036854775807GiB", "1mib", "x"} {
		require.Error(t, new(gateway.ByteSize).UnmarshalText([]byte(bad)), bad)
	}
	rapid.Check(t, func(t *rapid.T) {
		b := gateway.ByteSize(rapid.Int64Range(0, 1<<62).Draw(t, "b"))
		var again gateway.ByteSize
		require.NoError(t, again.UnmarshalText([]byte(b.String())))
		require.Equal(t, b, again)
	})
}

func TestRate_text(t *testing.T) {
	for text, want := range map[string]float64{"1000/s": 1000, "600/m": 10, "36/h": 0.01, "0.5/s": 0.5, "off": 0} {
		var r gateway.Rate
		require.NoError(t, r.UnmarshalText([]byte(text)))
		require.InDelta(t, want, float64(r), 1e-12, text)
		written, err := r.MarshalText()
		require.NoError(t, err)
		var again gateway.Rate
		require.NoError(t, again.UnmarshalText(written))
		require.InDelta(t, want, float64(again), 1e-12, text)
	}
	for _, bad := range []string{"", "1000", "/s", "1/d", "-1/s", "inf/s", "nan/s", "fast"} {
		require.Error(t, new(gateway.Rate).UnmarshalText([]byte(bad)), bad)
	}
}
