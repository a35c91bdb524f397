package bundle_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/policies"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/bundle"
)

func pair(t *testing.T, key crypto.Signer) (private, public []byte) {
	t.Helper()
	text, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	private = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text})
	text, err = x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: text})
}

func elliptical(t *testing.T, c elliptic.Curve) (private, public []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(c, rand.Reader)
	require.NoError(t, err)
	return pair(t, key)
}

func built(t *testing.T) []byte {
	t.Helper()
	folder, err := fs.Sub(policies.Files(), ".")
	require.NoError(t, err)
	shipped := fstest.MapFS{}
	for _, dir := range []string{"lockgate", "facts"} {
		require.NoError(t, fs.WalkDir(folder, dir, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := fs.ReadFile(folder, name)
			shipped[name] = &fstest.MapFile{Data: text}
			return err
		}))
	}
	text, err := bundle.Build(shipped, "r1")
	require.NoError(t, err)
	return text
}

func TestBuild_givesTheSameBytes(t *testing.T) {
	require.Equal(t, built(t), built(t))
}

func TestBuild_refusesWhatIsNoPolicy(t *testing.T) {
	_, err := bundle.Build(fstest.MapFS{"x.rego": {Data: []byte("package x\n")}}, "r1")
	var load *policy.LoadError
	require.ErrorAs(t, err, &load)
}

func TestSign_isVerifiedWithItsKeyOnly(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	rsaPrivate, rsaPublic := pair(t, rsaKey)
	private, public := elliptical(t, elliptic.P256())
	_, other := elliptical(t, elliptic.P256())
	for _, keys := range [][2][]byte{{private, public}, {rsaPrivate, rsaPublic}} {
		signed, err := bundle.Sign(built(t), keys[0])
		require.NoError(t, err)
		info, err := bundle.Verify(signed, keys[1])
		require.NoError(t, err)
		require.Equal(t, "r1", info.Revision)
		require.Contains(t, info.Files, "lockgate/policy/rbac.rego")
		require.NotContains(t, info.Files, policies.AggregatorPath)
		_, err = bundle.Verify(signed, other)
		require.Error(t, err)
	}
	_, err = bundle.Verify(built(t), public)
	require.ErrorContains(t, err, "signature")

	twice, err := bundle.Sign(built(t), rsaPrivate)
	require.NoError(t, err)
	twice, err = bundle.Sign(twice, private)
	require.NoError(t, err)
	_, err = bundle.Verify(twice, public)
	require.NoError(t, err, "the newer signature counts")
	_, err = bundle.Verify(twice, rsaPublic)
	require.Error(t, err)
}

// One letter of a rule, and the signature does not hold.
func TestVerify_noticesAChangedRule(t *testing.T) {
	private, public := elliptical(t, elliptic.P256())
	signed, err := bundle.Sign(built(t), private)
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(signed))
	require.NoError(t, err)
	tar, err := io.ReadAll(z)
	require.NoError(t, err)
	changed := bytes.Replace(tar, []byte("freeze.active"), []byte("freeze.actife"), 1)
	require.NotEqual(t, tar, changed)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err = w.Write(changed)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = bundle.Verify(out.Bytes(), public)
	require.ErrorContains(t, err, "freeze.rego")
}

func TestKeys_mustBeOfAKindWeTake(t *testing.T) {
	private, public := elliptical(t, elliptic.P384())
	_, err := bundle.Sign(built(t), private)
	require.ErrorContains(t, err, "P-256")
	_, err = bundle.Verify(built(t), public)
	require.ErrorContains(t, err, "P-256")
	_, err = bundle.Sign(built(t), public)
	require.ErrorContains(t, err, "no private key")
	_, err = bundle.Verify(built(t), private)
	require.ErrorContains(t, err, "no public key")
	_, err = bundle.Sign(built(t), []byte("key"))
	require.ErrorContains(t, err, "no PEM block")
	private, _ = elliptical(t, elliptic.P256())
	_, err = bundle.Sign([]byte("no bundle"), private)
	require.ErrorContains(t, err, "read the bundle")
}
