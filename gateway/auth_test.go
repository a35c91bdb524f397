package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/wire"
)

func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// withTokens gives ann, bob, root (admin) and atlantis (delegate) a token each:
// their name with "-secret".
func withTokens(t *testing.T) func(*setup) {
	t.Helper()
	path := write(t, "tokens.yaml", fmt.Sprintf(`
- {sha256: %s, subject: ann, teams: [net, ops]}
- {sha256: %s, subject: bob}
- {sha256: %s, subject: root, roles: [admin]}
- {sha256: %s, subject: atlantis, roles: [delegate]}
`, digest("ann-secret"), digest("bob-secret"), digest("root-secret"), digest("atlantis-secret")))
	return func(s *setup) { s.config.Auth.TokensFile = path }
}

func (r *rig) bearer(token string) *rig { return r.as("Authorization", "Bearer "+token) }

func TestAuth_staticTokens(t *testing.T) {
	r := start(t, withTokens(t))
	r.policy.set(nil)
	l := r.bearer("ann-secret").as("X-Forwarded-For", "10.0.0.7", "X-Real-Ip", "10.0.0.7").held("one", vpc)
	require.Equal(t, "ann", l.Subject)
	asked := r.policy.asked()
	require.Equal(t, lock.Subject{ID: "ann", Kind: lock.StaticToken, Name: "ann", Teams: []string{"net", "ops"}}, asked.Caller.Subject)
	require.Equal(t, lock.Actor{ID: "ann", Teams: []string{"net", "ops"}}, asked.Caller.Actor)
	require.Equal(t, "127.0.0.1", asked.Caller.IP)
	require.NotEmpty(t, asked.Caller.RequestID)

	basic := r.as()
	req, err := basic.request(t.Context(), "GET", "/", nil)
	require.NoError(t, err)
	req.SetBasicAuth("terraform", "bob-secret")
	r.as("Authorization", req.Header.Get("Authorization")).do("GET", "/v1/locks/"+l.ID, nil).lock(http.StatusOK)

	for _, header := range []string{"", "Bearer", "Bearer ", "Bearer wrong", "Basic !!", "Digest x", "Bearer a.b.c", "Bearer " + digest("ann-secret")} {
		bad := r
		if header != "" {
			bad = r.as("Authorization", header)
		}
		a := bad.do("GET", "/v1/locks", nil)
		a.problem(http.StatusUnauthorized, wire.CodeUnauthenticated)
		require.Len(t, a.header.Values("WWW-Authenticate"), 2)
	}
	require.NotContains(t, r.logs.String(), "secret")
}

func TestAuth_publicRoutesNeedNone(t *testing.T) {
	r := start(t, withTokens(t))
	for _, path := range []string{"/", "/livez", "/readyz", "/healthz", "/openapi.json", "/docs", "/docs/docs.js"} {
		require.Equal(t, http.StatusOK, r.do("GET", path, nil).status, path)
	}
	for _, path := range []string{"/metrics", "/v1/status", "/v1/policies", "/v1/queues", "/v1/events", "/v1/decisions"} {
		r.do("GET", path, nil).problem(http.StatusUnauthorized, wire.CodeUnauthenticated)
	}
}

func TestToken_isShownToItsSubjectAndAdminsOnly(t *testing.T) {
	r := start(t, withTokens(t))
	ann, bob, root := r.bearer("ann-secret"), r.bearer("bob-secret"), r.bearer("root-secret")
	l := ann.held("one", vpc)
	require.Positive(t, l.Token)
	show := func(who *rig) int64 {
		var page wire.LockList
		who.do("GET", "/v1/locks", nil).into(&page)
		var queues wire.QueueList
		who.do("GET", "/v1/queues", nil).into(&queues)
		single := who.do("GET", "/v1/locks/"+l.ID, nil).lock(http.StatusOK)
		require.Equal(t, single.Token, page.Items[0].Token)
		require.Equal(t, single.Token, queues.Items[0].Holders[0].Token)
		return single.Token
	}
	require.Equal(t, l.Token, show(ann))
	require.Equal(t, l.Token, show(root))
	require.Zero(t, show(bob))
}

func TestWait_isForTheSubjectThatAsked(t *testing.T) {
	r := start(t, withTokens(t))
	r.bearer("ann-secret").held("one", vpc)
	l := r.bearer("ann-secret").queued("two", vpc)
	r.bearer("bob-secret").do("POST", "/v1/locks/"+l.ID+"/wait?timeout=0s", nil).problem(http.StatusForbidden, wire.CodeDenied)
	r.bearer("ann-secret").do("POST", "/v1/locks/"+l.ID+"/wait?timeout=0s", nil).lock(http.StatusAccepted)
}

func TestIdempotencyKey_belongsToItsSubject(t *testing.T) {
	r := start(t, withTokens(t))
	ann := r.bearer("ann-secret").as("Idempotency-Key", "k").held("one", "a")
	bob := r.bearer("bob-secret").as("Idempotency-Key", "k").held("two", "b")
	require.NotEqual(t, ann.ID, bob.ID)
}

func TestDelegate_namesTheActor(t *testing.T) {
	r := start(t, withTokens(t))
	atlantis := r.bearer("atlantis-secret").as(wire.HeaderOnBehalfOf, `"ann \"the\" ops";teams="net,ops"`)
	l := atlantis.held("one", vpc)
	require.Equal(t, "atlantis", l.Subject)
	require.Equal(t, `ann "the" ops`, l.Actor)
	require.Equal(t, lock.Actor{ID: `ann "the" ops`, Teams: []string{"net", "ops"}, VouchedBy: "atlantis"}, r.policy.asked().Caller.Actor)

	r.bearer("ann-secret").as(wire.HeaderOnBehalfOf, `"root"`).do("GET", "/v1/locks", nil).problem(http.StatusForbidden, wire.CodeDenied)
	for _, bad := range []string{`ann`, `"ann`, `"ann"x`, `"ann";team="x"`, `""`, `"a\b"`, `"ann";teams=x`, `"a", "b"`} {
		r.bearer("atlantis-secret").as(wire.HeaderOnBehalfOf, bad).do("GET", "/v1/locks", nil).problem(http.StatusBadRequest, wire.CodeBadRequest)
	}
}

func TestDelegate_anotherActorIsAnotherRequest(t *testing.T) {
	r := start(t, withTokens(t))
	keyed := r.bearer("atlantis-secret").as("Idempotency-Key", "k")
	keyed.as(wire.HeaderOnBehalfOf, `"ann"`).held("one", vpc)
	keyed.as(wire.HeaderOnBehalfOf, `"bob"`).do("POST", "/v1/locks", body("one", vpc)).
		problem(http.StatusUnprocessableEntity, wire.CodeIdempotencyConflict)
}

func FuzzParseActor(f *testing.F) {
	for _, s := range []string{`"ann"`, `"ann";teams="net,ops"`, `"a\"b"; teams=""`, `"`, `"\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		actor, err := gateway.ParseActor(header)
		if err == nil {
			require.Empty(t, lock.Owner(actor.ID).Fault())
		}
	})
}

func TestTokensFile_faultsShowNoSecret(t *testing.T) {
	good := digest("x")
	for name, content := range map[string]string{
		"plain token":    "- {token: hunter2, subject: ann}",
		"not hex":        "- {sha256: hunter2, subject: ann}",
		"no subject":     "- {sha256: " + good + "}",
		"same token":     "- {sha256: " + good + ", subject: ann}\n- {sha256: " + good + ", subject: bob}",
		"no list":        "subject: hunter2",
		"not even YAML":  "- {hunter2",
		"unknown member": "- {sha256: " + good + ", subject: ann, role: [hunter2]}",
	} {
		t.Run(name, func(t *testing.T) {
			cfg := gateway.DefaultConfig()
			cfg.Auth.TokensFile = write(t, "tokens.yaml", content)
			_, err := gateway.New(cfg, complete(t))
			require.ErrorContains(t, err, cfg.Auth.TokensFile)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestTokensFile_isReadAgain(t *testing.T) {
	path := write(t, "tokens.yaml", "- {sha256: "+digest("old")+", subject: ann}")
	r := start(t, func(s *setup) { s.config.Auth.TokensFile = path })
	r.bearer("old").do("GET", "/v1/locks", nil)
	require.NoError(t, os.WriteFile(path, []byte("- {sha256: "+digest("new")+", subject: ann}\n\n"), 0o600))
	status := func(token string) func() bool {
		return func() bool { return r.bearer(token).do("GET", "/v1/locks", nil).status == http.StatusOK }
	}
	require.Eventually(t, status("new"), 20*time.Second, 50*time.Millisecond)
	require.False(t, status("old")())
	require.NoError(t, os.WriteFile(path, []byte("nonsense"), 0o600))
	require.Eventually(t, func() bool { return strings.Contains(r.logs.String(), "tokens file has a fault") }, 20*time.Second, 50*time.Millisecond)
	require.True(t, status("new")(), "the last good file stays")
}

// issuer is an OIDC issuer's keys, served over HTTP.
type issuer struct {
	server *httptest.Server
	key    *ecdsa.PrivateKey
	down   atomic.Bool
	asked  atomic.Int32 // how often the keys were fetched
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	i := &issuer{key: key}
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}}
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.asked.Add(1)
		if i.down.Load() {
			http.Error(w, "down", http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(keys)
	}))
	t.Cleanup(i.server.Close)
	return i
}

func sign(t *testing.T, key *ecdsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil)
	require.NoError(t, err)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	signed, err := s.Sign(payload)
	require.NoError(t, err)
	token, err := signed.CompactSerialize()
	require.NoError(t, err)
	return token
}

// claims are those of a valid token, changed by pairs of name and value; nil
// takes one away.
func claims(pairs ...any) map[string]any {
	c := map[string]any{
		"iss": "https://issuer.test", "aud": []string{"lockgate"}, "sub": "repo:acme/infra", "name": "CI",
		"exp": time.Now().Add(time.Hour).Unix(), "iat": time.Now().Unix(), "run": 12345678901234567,
		"groups": []string{"net"}, "realm_access": map[string]any{"roles": []any{"delegate", 7}},
	}
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if c[name] = pairs[i+1]; pairs[i+1] == nil {
			delete(c, name)
		}
	}
	return c
}

func (i *issuer) configure(s *setup) {
	j := &s.config.Auth.JWT
	j.Issuer, j.Audience, j.JWKSURL = "https://issuer.test", "lockgate", i.server.URL
	j.Claims.Roles = "realm_access.roles"
}

func TestAuth_jwt(t *testing.T) {
	i := newIssuer(t)
	r := start(t, i.configure)
	l := r.bearer(sign(t, i.key, claims())).held("one", vpc)
	require.Equal(t, "repo:acme/infra", l.Subject)
	s := r.policy.asked().Caller.Subject
	require.Equal(t, lock.JWT, s.Kind)
	require.Equal(t, "CI", s.Name)
	require.Equal(t, []string{"net"}, s.Teams)
	require.Equal(t, []string{"delegate"}, s.Roles)
	require.Equal(t, json.Number("12345678901234567"), s.Claims["run"])

	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	unsigned := strings.Join([]string{"eyJhbGciOiJub25lIn0", strings.Split(sign(t, i.key, claims()), ".")[1], ""}, ".")
	for name, token := range map[string]string{
		"expired":        sign(t, i.key, claims("exp", time.Now().Add(-time.Hour).Unix())),
		"other issuer":   sign(t, i.key, claims("iss", "https://evil.test")),
		"other audience": sign(t, i.key, claims("aud", "vault")),
		"no subject":     sign(t, i.key, claims("sub", nil)),
		"empty subject":  sign(t, i.key, claims("sub", "")),
		"another key":    sign(t, stranger, claims()),
		"no signature":   unsigned,
		"no JWT":         "a.b.c",
	} {
		t.Run(name, func(t *testing.T) {
			r.within(t).bearer(token).do("GET", "/v1/locks", nil).problem(http.StatusUnauthorized, wire.CodeUnauthenticated)
		})
	}
}

func TestAuth_jwtWhileTheKeysCannotBeFetched(t *testing.T) {
	i := newIssuer(t)
	i.down.Store(true)
	r := start(t, i.configure)
	token := sign(t, i.key, claims())
	a := r.bearer(token).do("GET", "/v1/locks", nil)
	a.problem(http.StatusServiceUnavailable, wire.CodeUnavailable)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	i.down.Store(false)
	require.Eventually(t, func() bool { return r.bearer(token).do("GET", "/v1/locks", nil).status == http.StatusOK }, 10*time.Second, 50*time.Millisecond)
}

func TestAuth_unknownKeysDoNotFetchForEveryCall(t *testing.T) {
	i := newIssuer(t)
	r := start(t, i.configure)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	for range 10 {
		r.bearer(sign(t, stranger, claims())).do("GET", "/v1/locks", nil).problem(http.StatusUnauthorized, wire.CodeUnauthenticated)
	}
	require.Equal(t, http.StatusOK, r.bearer(sign(t, i.key, claims())).do("GET", "/v1/locks", nil).status)
	require.Equal(t, int32(1), i.asked.Load())
}

func TestAuth_refusalsAreLimitedByAddress(t *testing.T) {
	r := start(t, withTokens(t))
	refused := func() bool {
		return r.bearer("guess").do("GET", "/v1/locks", nil).status == http.StatusTooManyRequests
	}
	require.Eventually(t, refused, 20*time.Second, time.Microsecond)
	a := r.bearer("guess").do("GET", "/v1/locks", nil)
	a.problem(http.StatusTooManyRequests, wire.CodeRateLimited)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, r.do("GET", "/livez", nil).status)
}

func TestAuth_acceptedCallsAreNoRefusals(t *testing.T) {
	r := start(t, withTokens(t))
	for range 100 {
		require.Equal(t, http.StatusOK, r.bearer("ann-secret").do("GET", "/v1/queues", nil).status)
	}
}

// authority signs certificates.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	dir  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &authority{t: t, key: key, cert: cert, dir: t.TempDir()}
}

func (a *authority) file(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// issue writes a certificate and its key and answers their paths.
func (a *authority) issue(name string, template *x509.Certificate) (cert, key string) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber = big.NewInt(2)
	template.NotBefore, template.NotAfter = a.cert.NotBefore, a.cert.NotAfter
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	require.NoError(a.t, err)
	raw, err := x509.MarshalECPrivateKey(private)
	require.NoError(a.t, err)
	return a.file(name+".crt", "CERTIFICATE", der), a.file(name+".key", "EC PRIVATE KEY", raw)
}

func (a *authority) transport(pairs ...tls.Certificate) *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: pairs, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
}

func (a *authority) client(template *x509.Certificate) tls.Certificate {
	cert, key := a.issue("client", template)
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(a.t, err)
	return pair
}

func TestAuth_clientCertificates(t *testing.T) {
	ca := newAuthority(t)
	cert, key := ca.issue("server", &x509.Certificate{DNSNames: []string{"localhost"}})
	configure := func(s *setup) {
		s.config.HTTP.TLS = gateway.TLSConfig{CertFile: cert, KeyFile: key, ClientCAFile: ca.file("ca.crt", "CERTIFICATE", ca.cert.Raw)}
		s.tls = ca.transport()
	}
	r := start(t, configure)
	r.do("GET", "/v1/locks", nil).problem(http.StatusUnauthorized, wire.CodeUnauthenticated)
	require.Equal(t, http.StatusOK, r.do("GET", "/livez", nil).status, "probes need no certificate")

	spiffe, err := url.Parse("spiffe://acme/ci")
	require.NoError(t, err)
	for id, template := range map[string]*x509.Certificate{
		"ci-runner":        {Subject: pkix.Name{CommonName: "ci-runner", OrganizationalUnit: []string{"net"}}, DNSNames: []string{"x"}},
		"spiffe://acme/ci": {URIs: []*url.URL{spiffe}, DNSNames: []string{"x"}},
		"runner.acme.test": {DNSNames: []string{"runner.acme.test"}},
		"ci@acme.test":     {EmailAddresses: []string{"ci@acme.test"}},
	} {
		known := *r
		transport := ca.transport(ca.client(template))
		known.client = &http.Client{Transport: transport}
		l := known.held("owner of "+id, "key of "+id)
		require.Equal(t, id, l.Subject)
		require.Equal(t, lock.MTLS, r.policy.asked().Caller.Subject.Kind)
		require.Equal(t, template.Subject.OrganizationalUnit, r.policy.asked().Caller.Subject.Teams)
		transport.CloseIdleConnections()
	}

	stranger := *r
	stranger.client = &http.Client{Transport: ca.transport(newAuthority(t).client(&x509.Certificate{Subject: pkix.Name{CommonName: "evil"}}))}
	_, err = stranger.try(t.Context(), "GET", "/v1/locks", nil)
	require.Error(t, err, "a certificate of another authority ends the handshake")
}
