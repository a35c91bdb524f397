package main

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway"
)

func TestLocalURL_reachesEveryListener(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:7480": "http://127.0.0.1:7480",
		":80":            "http://localhost:80",
		"0.0.0.0:80":     "http://localhost:80",
		"[::]:80":        "http://localhost:80",
		"[::1]:80":       "http://[::1]:80",
		"gate:80":        "http://gate:80",
	} {
		got, err := localURL(&gateway.HTTPConfig{Listen: listen})
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	got, err := localURL(&gateway.HTTPConfig{Listen: ":443", TLS: gateway.TLSConfig{CertFile: "cert.pem"}})
	require.NoError(t, err)
	require.Equal(t, "https://localhost:443", got)
}

func TestAsk_trustsTheConfiguredCertificate(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "[+] store: healthy\n")
	}))
	defer server.Close()
	file := filepath.Join(t.TempDir(), "cert.pem")
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	require.NoError(t, os.WriteFile(file, chain, 0o600))

	client, err := probeClient(&gateway.TLSConfig{CertFile: file})
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, ask(t.Context(), client, server.URL, &out))
	require.Equal(t, "[+] store: healthy\n", out.String())

	status = http.StatusServiceUnavailable
	require.EqualError(t, ask(t.Context(), client, server.URL, io.Discard), "the gateway is not ready: 503 Service Unavailable")

	stranger, err := probeClient(&gateway.TLSConfig{})
	require.NoError(t, err)
	require.ErrorContains(t, ask(t.Context(), stranger, server.URL, io.Discard), "certificate")
}

func TestProbeClient_namesTheFile(t *testing.T) {
	_, err := probeClient(&gateway.TLSConfig{CertFile: "nowhere.pem"})
	require.ErrorContains(t, err, "http.tls.cert_file: open nowhere.pem")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = probeClient(&gateway.TLSConfig{CertFile: empty})
	require.ErrorContains(t, err, "holds no certificate")
}
