// Package bundle packs a policy folder into an OPA bundle, signs bundles and
// verifies them.
//
// A bundle is OPA's: `opa inspect` reads it, and whatever serves files serves it.
// It holds the rego files under their names and all facts as one data.json. It
// is not checked here whether a gateway would load it; `gateway policy bundle
// build` asks policy.NewCandidate first.
//
// # Guarantees
//
// The same folder and revision give the same bytes. The algorithm of a signature
// follows from the key, never from the bundle: RS256 for RSA, ES256 for P-256.
//
// # Failure
//
// [Build] answers a *policy.LoadError for what cannot be parsed. [Sign] and
// [Verify] answer what is wrong with the bundle or with the key.
//
// # Testing
//
// Every byte of a signed bundle that is changed must be noticed.
package bundle

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/lockgate/lockgate/policies"
	"github.com/lockgate/lockgate/policy"
)

// KeyID is how signatures name their key: there is one key.
const KeyID = "lockgate"

// maxBytes bounds a bundle as policy bounds a folder.
const maxBytes = 64 << 20

// Build packs a folder.
func Build(folder fs.FS, revision string) ([]byte, error) {
	p, err := policy.ParseFolder(folder)
	if err != nil {
		return nil, err
	}
	regoV1 := 1
	b := bundle.Bundle{
		Manifest: bundle.Manifest{Revision: revision, Roots: &[]string{"facts", "lockgate"}, RegoVersion: &regoV1},
		Data:     map[string]any{"facts": p.Facts},
	}
	for name, m := range p.Modules {
		if name == policies.AggregatorPath {
			continue // every gateway has it
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, fmt.Errorf("pack: %w", err)
		}
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: name, Path: "/" + name, Raw: text, Parsed: m})
	}
	slices.SortFunc(b.Modules, func(a, b bundle.ModuleFile) int { return strings.Compare(a.Path, b.Path) })
	return pack(&b)
}

func pack(b *bundle.Bundle) ([]byte, error) {
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).UseModulePath(true).DisableFormat(true).Write(*b); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return out.Bytes(), nil
}

// Sign answers the bundle with a signature of a private key in PEM. An earlier
// signature goes.
func Sign(text, key []byte) ([]byte, error) {
	algorithm, err := privateAlgorithm(key)
	if err != nil {
		return nil, err
	}
	b, err := reader(text).WithSkipBundleVerification(true).Read()
	if err != nil {
		return nil, fmt.Errorf("read the bundle: %w", err)
	}
	if err := b.GenerateSignature(bundle.NewSigningConfig(string(key), algorithm, ""), KeyID, true); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return pack(&b)
}

// Info is what a bundle says of itself.
type Info struct {
	Revision string   `json:"revision"`
	Files    []string `json:"files"` // the rego
}

// Verify checks the signature of a bundle, and every file against it, with a
// public key in PEM.
func Verify(text, key []byte) (*Info, error) {
	algorithm, err := publicAlgorithm(key)
	if err != nil {
		return nil, err
	}
	keys := map[string]*bundle.KeyConfig{KeyID: {Key: string(key), Algorithm: algorithm}}
	b, err := reader(text).WithBundleVerificationConfig(bundle.NewVerificationConfig(keys, KeyID, "", nil)).Read()
	if err != nil {
		return nil, fmt.Errorf("verify: %w", err)
	}
	info := &Info{Revision: b.Manifest.Revision}
	for i := range b.Modules {
		info.Files = append(info.Files, strings.TrimPrefix(b.Modules[i].Path, "/"))
	}
	return info, nil
}

func reader(text []byte) *bundle.Reader {
	return bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(text), "")).
		WithSizeLimitBytes(maxBytes).WithProcessAnnotations(true)
}

func errKey() error { return errors.New("the key must be RSA, or an elliptic one on P-256") }

func privateAlgorithm(text []byte) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("the key holds no PEM block")
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		switch k := key.(type) {
		case *rsa.PrivateKey:
			return "RS256", nil
		case *ecdsa.PrivateKey:
			return curve(k.Curve)
		}
		return "", errKey()
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return "RS256", nil
	}
	k, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		return "", errors.New("the key is no private key in PKCS 8, PKCS 1 or SEC 1")
	}
	return curve(k.Curve)
}

func publicAlgorithm(text []byte) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("the key holds no PEM block")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", errors.New("the key is no public key (PUBLIC KEY in PEM)")
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RS256", nil
	case *ecdsa.PublicKey:
		return curve(k.Curve)
	}
	return "", errKey()
}

func curve(c elliptic.Curve) (string, error) {
	if c != elliptic.P256() {
		return "", errKey()
	}
	return "ES256", nil
}
