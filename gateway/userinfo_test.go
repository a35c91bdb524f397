package gateway_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/gateway"
)

func TestStripUserInfo(t *testing.T) {
	for text, want := range map[string]string{
		"https://bob:s3cr3t@git.test/acme/infra.git":  "https://git.test/acme/infra.git",
		"https://x-access-token:ghs_1@git.test":       "https://git.test",
		"https://bob:p@ss@git.test/x":                 "https://git.test/x",
		"https://bob@git.test:8443/x?y=z":             "https://git.test:8443/x?y=z",
		"//bob:s3cr3t@git.test/x":                     "//git.test/x",
		"git::https://bob:s3cr3t@git.test//vpc@v1":    "git::https://git.test//vpc@v1",
		"https://a:b@one.test, https://c:d@two.test":  "https://one.test, https://two.test",
		"postgres://u:p@db/lockgate":                  "postgres://db/lockgate",
		"https://git.test/acme/infra@v1":              "https://git.test/acme/infra@v1",
		"https://git.test/?to=ann@acme.test":          "https://git.test/?to=ann@acme.test",
		"git::https://git.test/mods.git//vpc@v1":      "git::https://git.test/mods.git//vpc@v1",
		"git@git.test:acme/infra.git":                 "git@git.test:acme/infra.git",
		"ann@acme.test":                               "ann@acme.test",
		"see https://git.test or write ann@acme.test": "see https://git.test or write ann@acme.test",
	} {
		require.Equal(t, want, gateway.StripUserInfo(text))
	}
}

func TestStripJSON_changesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.MapOf(rapid.StringMatching(`[a-z"\\]{0,4}`), rapid.StringMatching(`[a-z:/"\\é]{0,12}`)).Draw(t, "texts")
		raw, err := json.Marshal(map[string]any{"n": json.Number("12345678901234567890.50"), "list": []any{texts, true, nil}, "mark": "ann@acme"})
		require.NoError(t, err)
		require.Equal(t, string(raw), string(gateway.StripJSON(raw)))
	})
}

func TestAcquire_dropsCredentialsInURLs(t *testing.T) {
	r := start(t)
	const text = `{"resources":["a"],"owner":"one","labels":{"repo":"https://bob:s3cr3t@git.test/x"},` +
		`"context":{"n":1.50,"pull":{"url":"https:\/\/bob:s3cr3t@git.test/x","more":["https://bob:s3cr3t\u0040git.test",{"https://bob:s3cr3t@git.test":1}]}}}`
	a := r.as("Idempotency-Key", "k").do("POST", "/v1/locks", text)
	l := a.lock(http.StatusCreated)
	require.NotContains(t, string(a.body), "s3cr3t")
	require.Equal(t, "https://git.test/x", l.Labels["repo"])
	require.JSONEq(t, `{"n":1.5,"pull":{"url":"https://git.test/x","more":["https://git.test",{"https://git.test":1}]}}`, string(l.Context))
	require.Contains(t, string(l.Context), "1.50")
	asked := r.policy.asked()
	require.NotContains(t, string(asked.Context), "s3cr3t")
	require.Equal(t, "https://git.test/x", asked.Labels["repo"])

	require.Equal(t, http.StatusOK, r.do("POST", "/v1/decisions", text).status)
	asked = r.policy.asked()
	require.True(t, asked.DryRun)
	require.NotContains(t, string(asked.Context)+asked.Labels["repo"], "s3cr3t")
}

func TestAcquire_aFreshCredentialIsTheSameRequest(t *testing.T) {
	r := start(t).as("Idempotency-Key", "k")
	first := body("one", vpc)
	first.Context = json.RawMessage(`{"url":"https://bob:monday@git.test"}`)
	l := r.do("POST", "/v1/locks", first).lock(http.StatusCreated)
	first.Context = json.RawMessage(`{"url":"https://bob:tuesday@git.test"}`)
	require.Equal(t, l.ID, r.do("POST", "/v1/locks", first).lock(http.StatusOK).ID)
}
