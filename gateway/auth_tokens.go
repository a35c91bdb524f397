package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lockgate/lockgate/core/lock"
)

// tokenEntry is one entry of a tokens file.
type tokenEntry struct {
	SHA256  string   `yaml:"sha256"` // of the token, in hex
	Subject string   `yaml:"subject"`
	Teams   []string `yaml:"teams"`
	Roles   []string `yaml:"roles"`
}

// knownToken is who a token stands for. Tokens are looked up by their digest:
// how long that takes says something about the digest, which nobody can choose,
// and nothing about the token.
type knownToken struct {
	digest  [sha256.Size]byte
	subject lock.Subject
}

type tokenTable map[[sha256.Size]byte]knownToken

// tokenFile is the tokens file as it was last read without fault.
type tokenFile struct {
	path  string
	log   *slog.Logger
	table atomic.Pointer[tokenTable]

	// What the file was when it was last read; owned by follow once that runs.
	modified time.Time
	size     int64
}

// tokensInterval is how often a tokens file is looked at for changes.
const tokensInterval = 2 * time.Second

// maxTokensFile bounds how much of a tokens file is read.
const maxTokensFile = 16 << 20

func openTokenFile(path string, log *slog.Logger) (*tokenFile, error) {
	f := &tokenFile{path: path, log: log}
	if _, err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

// subject answers who a token stands for.
func (f *tokenFile) subject(token string) (lock.Subject, bool) {
	digest := sha256.Sum256([]byte(token))
	known, ok := (*f.table.Load())[digest]
	if !ok || subtle.ConstantTimeCompare(known.digest[:], digest[:]) != 1 {
		return lock.Subject{}, false
	}
	return known.subject, true
}

// follow reads the file again when it changes, until ctx ends. A file with a
// fault changes nothing.
func (f *tokenFile) follow(ctx context.Context) error {
	ticker := time.NewTicker(tokensInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		changed, err := f.load()
		switch {
		case err != nil:
			f.log.ErrorContext(ctx, "tokens file has a fault, the last good one stays", "error", err)
		case changed:
			f.log.InfoContext(ctx, "tokens file read again", "path", f.path, "tokens", len(*f.table.Load()))
		}
	}
}

// load reads the file if it is not the one seen last; a fault is reported once
// a change.
func (f *tokenFile) load() (changed bool, err error) {
	info, err := os.Stat(f.path)
	if err != nil {
		return false, fmt.Errorf("auth.tokens_file: %w", err)
	}
	if info.ModTime().Equal(f.modified) && info.Size() == f.size {
		return false, nil
	}
	data, err := readBounded(f.path, maxTokensFile)
	if err != nil {
		return false, fmt.Errorf("auth.tokens_file: %w", err)
	}
	f.modified, f.size = info.ModTime(), info.Size()
	table, err := parseTokens(data)
	if err != nil {
		return false, fmt.Errorf("auth.tokens_file: %s: %w", f.path, err)
	}
	f.table.Store(&table)
	return true, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %s", path, ByteSize(limit))
	}
	return data, err
}

// parseTokens reads a tokens file. Its errors name lines and subjects and show
// nothing of the file, where somebody may have put a token by mistake.
func parseTokens(data []byte) (tokenTable, error) {
	var entries []tokenEntry
	err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&entries)
	var fault yaml.Error
	switch {
	case errors.As(err, &fault):
		at := fault.GetToken().Position
		return nil, fmt.Errorf("line %d, column %d: no list of {sha256, subject, teams, roles}", at.Line, at.Column)
	case err != nil && !errors.Is(err, io.EOF):
		return nil, errors.New("no YAML list of {sha256, subject, teams, roles}")
	}
	table := make(tokenTable, len(entries))
	for i, e := range entries {
		digest, err := hex.DecodeString(e.SHA256)
		if err != nil || len(digest) != sha256.Size {
			return nil, fmt.Errorf("entry %d (subject %q): sha256 must be 64 hex digits: printf %%s TOKEN | sha256sum", i+1, e.Subject)
		}
		if problem := lock.Owner(e.Subject).Fault(); problem != "" {
			return nil, fmt.Errorf("entry %d: subject %s", i+1, problem)
		}
		known := knownToken{digest: [sha256.Size]byte(digest), subject: lock.Subject{
			ID: e.Subject, Kind: lock.StaticToken, Name: e.Subject, Teams: e.Teams, Roles: e.Roles,
		}}
		if other, twice := table[known.digest]; twice {
			return nil, fmt.Errorf("entry %d: subjects %q and %q have the same token", i+1, other.subject.ID, e.Subject)
		}
		table[known.digest] = known
	}
	return table, nil
}
