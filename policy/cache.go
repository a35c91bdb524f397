package policy

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// cache keeps the files in force on disk, so that a restart decides as before:
// without the bundle's server, and with the last good files of an organisation
// whose newest are refused. A nil cache keeps nothing.
//
// The file is the gateway's own, like its lock table; the signature of what is
// in it was checked before. It belongs to one origin and one key: after a
// change of either it is not found.
type cache struct {
	path string
}

// newCache answers the cache of an origin, or nil without a folder and for what
// is shipped.
func newCache(dir string, from origin) (*cache, error) {
	if _, shipped := from.(*profile); shipped || dir == "" {
		return nil, nil //nolint:nilnil // keeping nothing is a setting
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache_dir: %w", err)
	}
	identity := []byte(from.String())
	if b, ok := from.(*bundleOrigin); ok && b.keyFile != "" {
		key, err := os.ReadFile(b.keyFile)
		if err != nil {
			return nil, fmt.Errorf("bundle.verify_key_file: %w", err)
		}
		identity = append(append(identity, 0), key...)
	}
	sum := sha256.Sum256(identity)
	return &cache{path: filepath.Join(dir, "policy-"+hex.EncodeToString(sum[:8])+".tar.gz")}, nil
}

var errNotKept = errors.New("no policies were kept")

func (c *cache) read() (*sources, error) {
	if c == nil {
		return nil, errNotKept
	}
	text, err := os.ReadFile(c.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNotKept
	}
	if err != nil {
		return nil, err
	}
	files, err := untar(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.path, err)
	}
	return collect(files)
}

// write replaces the file at once: a crash leaves the old one or the new one.
func (c *cache) write(s *sources) error {
	if c == nil {
		return nil
	}
	text, err := s.archive()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(c.path), filepath.Base(c.path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone when all went well
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), c.path)
}

// archive writes the files as a bundle.
func (s *sources) archive() ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	w := tar.NewWriter(zipped)
	for _, list := range [][]file{s.rego, s.data} {
		for _, f := range list {
			if err := w.WriteHeader(&tar.Header{Name: f.path, Mode: 0o600, Size: int64(len(f.text)), Typeflag: tar.TypeReg}); err != nil {
				return nil, err
			}
			if _, err := w.Write(f.text); err != nil {
				return nil, err
			}
		}
	}
	if err := errors.Join(w.Close(), zipped.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
