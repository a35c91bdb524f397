package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/bundle"
)

const (
	fetchTimeout = 30 * time.Second
	retryFirst   = time.Second // after a failed read, doubled each time
	retryMost    = 5 * time.Minute
)

// bundleOrigin is an OPA bundle: a file, or a URL that is asked again with its
// ETag.
type bundleOrigin struct {
	url      *url.URL
	interval time.Duration
	keyFile  string
	client   *http.Client
	etag     string // of the bundle that was read last; the track's load lock guards it
}

func newBundleOrigin(c BundleConfig) (*bundleOrigin, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("bundle.url: %w", err)
	}
	b := &bundleOrigin{url: u, interval: c.Interval, keyFile: c.VerifyKeyFile, client: &http.Client{Timeout: fetchTimeout}}
	_, err = b.key()
	return b, err
}

func (b *bundleOrigin) String() string { return b.url.Redacted() }

func (b *bundleOrigin) read(ctx context.Context) (*sources, error) {
	text, etag, err := b.fetch(ctx)
	if err != nil {
		b.etag = "" // the next answer is loaded even if it is the same, and clears the error
		return nil, fmt.Errorf("read bundle %s: %w", b, err)
	}
	if text == nil {
		return nil, nil //nolint:nilnil // the port's word for "nothing has changed"
	}
	key, err := b.key()
	if err != nil {
		return nil, err
	}
	s, err := readBundle(text, key)
	if err != nil {
		return nil, fmt.Errorf("bundle %s: %w", b, err)
	}
	b.etag = etag
	return s, nil
}

// fetch answers the bytes of the bundle, or nil when it is the one that was read
// last.
func (b *bundleOrigin) fetch(ctx context.Context) (text []byte, etag string, err error) {
	if b.url.Scheme == "file" {
		text, err = os.ReadFile(b.url.Path)
		return text, "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url.String(), http.NoBody)
	if err != nil {
		return nil, "", err
	}
	if b.etag != "" {
		req.Header.Set("If-None-Match", b.etag)
	}
	res, err := b.client.Do(req)
	if err != nil {
		if plain, ok := errors.AsType[*url.Error](err); ok {
			err = plain.Err // its URL may hold a password
		}
		return nil, "", err
	}
	defer func() { _ = res.Body.Close() }() // it was read, or is of no use
	switch res.StatusCode {
	case http.StatusNotModified:
		return nil, "", nil
	case http.StatusOK:
		text, err = io.ReadAll(io.LimitReader(res.Body, maxSourceBytes+1))
		if len(text) > maxSourceBytes {
			return nil, "", fmt.Errorf("it has more than %d bytes", maxSourceBytes)
		}
		return text, res.Header.Get("ETag"), err
	}
	return nil, "", fmt.Errorf("the server answered %s", res.Status)
}

// follow asks every interval, a little more or less so that many gateways do
// not ask at once, and after a failure sooner at first and later then.
func (b *bundleOrigin) follow(ctx context.Context, reload func(context.Context) error) error {
	failures := 0
	timer := time.NewTimer(b.pause(failures))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := reload(ctx); err != nil {
			failures++
		} else {
			failures = 0
		}
		timer.Reset(b.pause(failures))
	}
}

func (b *bundleOrigin) pause(failures int) time.Duration {
	pause := b.interval
	if failures > 0 {
		pause = min(retryFirst<<min(failures-1, 16), max(b.interval, retryMost))
	}
	return pause*9/10 + rand.N(pause/5+1) //nolint:gosec // spreads load, guards nothing
}

// key reads the public key that bundles must be signed with; nil when they need
// not be.
func (b *bundleOrigin) key() (*bundle.KeyConfig, error) {
	if b.keyFile == "" {
		return nil, nil //nolint:nilnil // no key is a setting
	}
	text, err := os.ReadFile(b.keyFile)
	if err != nil {
		return nil, fmt.Errorf("bundle.verify_key_file: %w", err)
	}
	algorithm, err := algorithmOf(text)
	if err != nil {
		return nil, fmt.Errorf("bundle.verify_key_file: %s %w", b.keyFile, err)
	}
	return &bundle.KeyConfig{Key: string(text), Algorithm: algorithm}, nil
}

// algorithmOf answers the signature that goes with a public key in PEM. The
// bundle does not choose it: whoever signs would.
func algorithmOf(text []byte) (string, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("holds no PEM block")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("holds no public key: %w", err)
	}
	switch k := key.(type) {
	case *rsa.PublicKey:
		return "RS256", nil
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return "ES256", nil
		}
	}
	return "", errors.New("must hold an RSA key, or an elliptic one on P-256")
}

const keyID = "lockgate"

// readBundle answers the files of a bundle: its manifest holds, and its
// signature where a key is given. A file that is there twice is refused: which
// of the two was signed is nobody's guess.
func readBundle(text []byte, key *bundle.KeyConfig) (*sources, error) {
	r := bundle.NewCustomReader(bundle.NewTarballLoaderWithBaseURL(bytes.NewReader(text), "")).
		WithSizeLimitBytes(maxSourceBytes).WithProcessAnnotations(true).WithCapabilities(capabilities()).
		WithSkipBundleVerification(key == nil).WithLazyLoadingMode(true)
	if key != nil {
		r = r.WithBundleVerificationConfig(bundle.NewVerificationConfig(map[string]*bundle.KeyConfig{keyID: key}, keyID, "", nil))
	}
	if _, err := r.Read(); err != nil {
		return nil, err
	}
	files, err := untar(text)
	if err != nil {
		return nil, err
	}
	return collect(files)
}

// untar answers the regular files of a gzipped archive.
func untar(text []byte) ([]file, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	left := int64(maxSourceBytes)
	var files []file
	archive := tar.NewReader(unzipped)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		name := strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		switch {
		case h.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%s is no regular file", name)
		case seen[name]:
			return nil, fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		content, err := io.ReadAll(io.LimitReader(archive, left+1))
		if err != nil {
			return nil, err
		}
		if left -= int64(len(content)); left < 0 {
			return nil, fmt.Errorf("it holds more than %d bytes", maxSourceBytes)
		}
		files = append(files, newFile(name, content))
	}
}

// collect sorts files that are already read as readSources does.
func collect(files []file) (*sources, error) {
	s := &sources{}
	for _, f := range files {
		if isHidden(f.path) {
			continue
		}
		kind, err := kindOfFile(f.path)
		if err != nil {
			return nil, err
		}
		s.put(kind, f)
	}
	return s, nil
}

func isHidden(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") {
			return true
		}
	}
	return false
}
