package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/core/backend/storetest"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// TestFailover_sentinel kills the master: calls go to the replica that the
// sentinels promote, what it had is there, tokens grow, and events go on.
func TestFailover_sentinel(t *testing.T) {
	set := redistest.StartSentinel(t, 1)
	cfg := testConfig(set.URL(), storetest.Rules())
	cfg.OperationTimeout = time.Second
	s := open(t, cfg)
	failOver(t, s, set.Master)
}

// TestFailover_cluster kills the master of a namespace's slot.
func TestFailover_cluster(t *testing.T) {
	nodes := redistest.StartCluster(t, 3, 1)
	cfg := testConfig(nodes.URL(), storetest.Rules())
	cfg.OperationTimeout = time.Second
	s := open(t, cfg)
	master, err := s.master(t.Context(), "ns")
	require.NoError(t, err)
	for _, n := range nodes.Nodes {
		if n.Addr == master.Options().Addr {
			failOver(t, s, n)
			return
		}
	}
	require.Fail(t, "the master of the slot is no node of the cluster")
}

func failOver(t *testing.T, s *Store, master *redistest.Server) {
	t.Helper()
	tip, err := s.Tip(t.Context())
	require.NoError(t, err)
	kept := held(t, s, "ns", "a", "kept")
	replicated(t, master, s.keys.stem("ns")+"barrier")
	master.Kill()
	next := eventuallyHeld(t, s, "ns", "other")
	require.Greater(t, next.Token, kept.Token)
	require.ErrorIs(t, apply(t, s, wanted("ns", "b", 0, "kept")).Err, lock.ErrLocked)
	done(t, s, &lock.Release{ID: kept.ID, Token: kept.Token})
	require.Equal(t, []events.Type{
		events.LockAcquired, events.LockAcquired, events.LockFailed, events.LockReleased,
	}, eventTypes(t, s, tip, 4))
}

// TestStore_overTLS checks the server's certificate against its own authority
// and shows one of ours.
func TestStore_overTLS(t *testing.T) {
	dir := t.TempDir()
	ca, key := authority(t, dir)
	issue(t, dir, "server", ca, key)
	issue(t, dir, "gateway", ca, key)
	file := func(name string) string { return filepath.Join(dir, name) }
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	secure := listener.Addr().String()
	require.NoError(t, listener.Close())
	redistest.Start(t, "--tls-port", secure[strings.LastIndex(secure, ":")+1:], "--tls-ca-cert-file", file("ca.pem"),
		"--tls-cert-file", file("server.pem"), "--tls-key-file", file("server.key"))

	url := "rediss://" + secure + "?tls_ca=" + file("ca.pem")
	s := open(t, testConfig(url+"&tls_cert="+file("gateway.pem")+"&tls_key="+file("gateway.key"), storetest.Rules()))
	held(t, s, "ns", "a", "x")

	stranger := open(t, testConfig(url, storetest.Rules()))
	require.Error(t, stranger.Ping(t.Context()), "a client without a certificate")
	misled := testConfig("rediss://"+secure, storetest.Rules())
	require.Error(t, open(t, misled).Ping(t.Context()), "a server of an unknown authority")
}

func authority(t *testing.T, dir string) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	writePEM(t, filepath.Join(dir, "ca.pem"), "CERTIFICATE", der)
	return template, key
}

func issue(t *testing.T, dir, name string, ca *x509.Certificate, by *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), by)
	require.NoError(t, err)
	writePEM(t, filepath.Join(dir, name+".pem"), "CERTIFICATE", der)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	writePEM(t, filepath.Join(dir, name+".key"), "PRIVATE KEY", private)
}

func writePEM(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
