package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/stretchr/testify/require"
)

// packed is an unsigned bundle of files.
func packed(tb testing.TB, files map[string]string) []byte {
	tb.Helper()
	s := &sources{}
	for _, name := range sortedKeys(files) {
		s.rego = append(s.rego, file{path: name, text: []byte(files[name])})
	}
	text, err := s.archive()
	require.NoError(tb, err)
	return text
}

// signed is a bundle with OPA's signature.
func signed(t *testing.T, files map[string]string, algorithm, private string) []byte {
	t.Helper()
	b, err := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(packed(t, files)), "")).Read()
	require.NoError(t, err)
	require.NoError(t, b.GenerateSignature(bundle.NewSigningConfig(private, algorithm, ""), "any", false))
	var out bytes.Buffer
	require.NoError(t, bundle.NewWriter(&out).UseModulePath(true).Write(b))
	return out.Bytes()
}

// keys answers a private key as text and the file of its public one.
func keys(t *testing.T, algorithm string) (private, publicFile string) {
	t.Helper()
	var key, public any
	if algorithm == "RS256" {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		key, public = k, &k.PublicKey
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		key, public = k, &k.PublicKey
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	pub, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	publicFile = filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(publicFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}), 0o600))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), publicFile
}

// bundleServer serves one bundle by its ETag.
type bundleServer struct {
	*httptest.Server
	text        atomic.Pointer[[]byte]
	unchanged   atomic.Int32
	unreachable atomic.Bool
}

func (s *bundleServer) put(text []byte) { s.text.Store(&text) }

func serve(t *testing.T, text []byte) *bundleServer {
	t.Helper()
	s := &bundleServer{}
	s.put(text)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.unreachable.Load() {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		now := *s.text.Load()
		tag := fmt.Sprintf("%q", string(now[len(now)-8:]))
		if r.Header.Get("If-None-Match") == tag {
			s.unchanged.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", tag)
		_, _ = w.Write(now)
	}))
	t.Cleanup(s.Close)
	return s
}

func fromBundle(url string) Config {
	cfg := DefaultConfig()
	cfg.Bundle.URL, cfg.Budget = url, time.Minute
	return cfg
}

const warnPlatform = "package lockgate.policy.p\n\ngrant contains \"w\"\n\nwarn contains {\"code\": \"c\", \"msg\": \"m\"}\n"

func TestBundle_isFetchedOnceUntilItChanges(t *testing.T) {
	s := serve(t, packed(t, map[string]string{"lockgate/p.rego": grantAll, "facts/data.json": `{"bots": []}`}))
	e, err := New(t.Context(), fromBundle(s.URL), options())
	require.NoError(t, err)
	require.True(t, decide(t, e, question()).Allow)
	changed, err := e.Reload(t.Context())
	require.NoError(t, err)
	require.False(t, changed)
	require.EqualValues(t, 1, s.unchanged.Load())

	s.put(packed(t, map[string]string{"lockgate/p.rego": warnPlatform}))
	changed, err = e.Reload(t.Context())
	require.NoError(t, err)
	require.True(t, changed)
	require.Len(t, decide(t, e, question()).Warnings, 1)

	s.unreachable.Store(true)
	_, err = e.Reload(t.Context())
	require.ErrorContains(t, err, "502 Bad Gateway")
	require.Len(t, decide(t, e, question()).Warnings, 1, "the last good bundle stays")
	require.Contains(t, e.Status().LastError[0].Msg, "502")
	s.unreachable.Store(false)
	_, err = e.Reload(t.Context())
	require.NoError(t, err)
	require.Empty(t, e.Status().LastError)
}

func TestBundle_restartWithoutTheServerDecidesAsBefore(t *testing.T) {
	s := serve(t, packed(t, map[string]string{"p.rego": warnPlatform, "acme/a.rego": acmeWarns}))
	cfg := fromBundle(s.URL)
	cfg.CacheDir = filepath.Join(t.TempDir(), "kept")
	first, err := New(t.Context(), cfg, options())
	require.NoError(t, err)
	s.put(packed(t, map[string]string{"p.rego": warnPlatform, "acme/a.rego": acmeWrong}))
	_, err = first.Reload(t.Context())
	require.NoError(t, err)
	require.Len(t, decide(t, first, about("acme")).Warnings, 2)

	again, err := New(t.Context(), cfg, options())
	require.NoError(t, err, "an organisation's last good files are kept too")
	require.Len(t, decide(t, again, about("acme")).Warnings, 2)
	require.Equal(t, OrgLastGood, again.Status().Orgs[0].State)

	s.unreachable.Store(true)
	alone, err := New(t.Context(), cfg, options())
	require.NoError(t, err)
	require.Equal(t, first.Status().Revision, alone.Status().Revision)
	require.Len(t, decide(t, alone, about("acme")).Warnings, 2)
	require.Contains(t, alone.Status().LastError[0].Msg, "502")

	elsewhere := cfg
	elsewhere.Bundle.URL += "/other"
	_, err = New(t.Context(), elsewhere, options())
	require.ErrorContains(t, err, "502", "what was kept of another origin does not count")
	cfg.CacheDir = ""
	_, err = New(t.Context(), cfg, options())
	require.ErrorContains(t, err, "502")
}

func TestBundle_signatures(t *testing.T) {
	files := map[string]string{"p.rego": grantAll}
	for _, algorithm := range []string{"ES256", "RS256"} {
		private, public := keys(t, algorithm)
		_, foreign := keys(t, algorithm)
		text := signed(t, files, algorithm, private)
		for name, c := range map[string]struct {
			text []byte
			key  string
			want string
		}{
			"signed":        {text, public, ""},
			"no key wanted": {text, "", ""},
			"unsigned":      {packed(t, files), public, "signature"},
			"another key":   {text, foreign, "verif"},
		} {
			t.Run(algorithm+" "+name, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "b.tar.gz")
				require.NoError(t, os.WriteFile(file, c.text, 0o600))
				cfg := fromBundle("file://" + file)
				cfg.Bundle.VerifyKeyFile = c.key
				e, err := New(t.Context(), cfg, options())
				if c.want != "" {
					require.ErrorContains(t, err, c.want)
					return
				}
				require.NoError(t, err)
				require.True(t, decide(t, e, question()).Allow)
			})
		}
	}
}

func TestBundle_refusesWhatIsNoBundleOfItsFiles(t *testing.T) {
	pack := func(headers ...tar.Header) []byte {
		var out bytes.Buffer
		zipped := gzip.NewWriter(&out)
		w := tar.NewWriter(zipped)
		for i := range headers {
			headers[i].Size, headers[i].Mode = int64(len(grantAll)), 0o600
			if headers[i].Typeflag == tar.TypeSymlink {
				headers[i].Size = 0
			}
			require.NoError(t, w.WriteHeader(&headers[i]))
			if headers[i].Size > 0 {
				_, err := w.Write([]byte(grantAll))
				require.NoError(t, err)
			}
		}
		require.NoError(t, errors.Join(w.Close(), zipped.Close()))
		return out.Bytes()
	}
	for want, text := range map[string][]byte{
		"p.rego is there twice": pack(tar.Header{Name: "p.rego"}, tar.Header{Name: "/p.rego"}),
		"no regular file":       pack(tar.Header{Name: "p.rego", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}),
		"read failed":           []byte("<html>"),
		"OPA would ignore it":   pack(tar.Header{Name: "p.reg"}),
	} {
		_, err := readBundle(text, nil)
		require.ErrorContains(t, err, want)
	}
}

func TestBundleOrigin_asksLaterAndLaterAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bundleOrigin{interval: time.Minute}
		ctx, cancel := context.WithCancel(t.Context())
		var pauses []time.Duration
		last := time.Now()
		calls := 0
		require.NoError(t, b.follow(ctx, func(context.Context) error {
			pauses = append(pauses, time.Since(last))
			last = time.Now()
			if calls++; calls == 14 {
				cancel()
			}
			if calls > 1 && calls < 12 {
				return errors.New("down")
			}
			return nil
		}))
		near := func(want, got time.Duration) {
			require.InDelta(t, want.Seconds(), got.Seconds(), want.Seconds()/10+0.01)
		}
		near(time.Minute, pauses[0])
		near(time.Minute, pauses[1])
		near(time.Second, pauses[2])
		near(2*time.Second, pauses[3])
		near(4*time.Second, pauses[4])
		near(retryMost, pauses[11])
		near(time.Minute, pauses[12])
	})
}

func TestConfig_bundleFaults(t *testing.T) {
	c := DefaultConfig()
	c.Dir = "x"
	c.Bundle = BundleConfig{URL: "ftp://x", Interval: time.Millisecond}
	c.Shadow = ShadowConfig{Dir: "x", Bundle: BundleConfig{URL: "https://x", Interval: 0}}
	err := c.Validate()
	for _, part := range []string{
		"bundle.url must be", "bundle.interval must be", "dir and bundle.url", "shadow.bundle.interval must be", "shadow.dir and shadow.bundle.url",
	} {
		require.ErrorContains(t, err, part)
	}
	_, weak := keys(t, "RS256")
	require.NoError(t, os.WriteFile(weak, []byte("no key"), 0o600))
	bad := fromBundle("https://example.org/b.tar.gz")
	bad.Bundle.VerifyKeyFile = weak
	_, err = New(t.Context(), bad, options())
	require.ErrorContains(t, err, "holds no PEM block")
}

func TestBundle_passwordsOfTheURLAreNotTold(t *testing.T) {
	cfg := fromBundle("http://user:secret@127.0.0.1:1/b.tar.gz")
	_, err := New(t.Context(), cfg, options())
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}
