// Package backend chooses the store of a gateway from a URL.
//
// A caller hands [Open] the configuration and gets a store that it must Run. The
// stores themselves, and what they guarantee, are in the packages below.
//
// # Life
//
// Open checks, opens and reads what is there; it starts nothing. Its Run
// works until its context ends and may be called once.
//
// # Failure
//
// A URL that names no known store is one error that lists the known ones. What
// is wrong with a file is said by the store that reads it.
//
// # Testing
//
// The contract of every store is core/backend/storetest; `memory:` is the store
// for tests of other packages.
package backend

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/lock"
)

// Config says where the lock table lives.
type Config struct {
	URL              string        `yaml:"url"`               // file:PATH, or memory: to keep nothing; default file:lockgate.db
	OperationTimeout time.Duration `yaml:"operation_timeout"` // what one call of the store usually gets; default 5s
}

// DefaultConfig keeps the table in a file of the working directory.
func DefaultConfig() Config {
	return Config{URL: "file:lockgate.db", OperationTimeout: 5 * time.Second}
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	var faults []error
	if _, err := c.path(); err != nil {
		faults = append(faults, err)
	}
	if c.OperationTimeout < time.Millisecond {
		faults = append(faults, errors.New("operation_timeout must be at least 1ms"))
	}
	return errors.Join(faults...)
}

// path is the file of the embedded store; "" for memory:.
func (c *Config) path() (string, error) {
	scheme, rest, found := strings.Cut(c.URL, ":")
	switch {
	case found && scheme == "memory" && rest == "":
		return "", nil
	case found && scheme == "file" && strings.TrimPrefix(rest, "//") != "":
		return strings.TrimPrefix(rest, "//"), nil
	}
	return "", fmt.Errorf("url %q names no known store: use memory: or file:PATH", redacted(c.URL))
}

// redacted hides the password of a URL.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	return u.Redacted()
}

// Open answers the store of the configuration.
func Open(cfg Config, rules lock.Rules, logger *slog.Logger) (*embedded.Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	path, err := cfg.path()
	if err != nil {
		return nil, err
	}
	return embedded.Open(embedded.Config{Path: path, Rules: rules}, logger)
}
