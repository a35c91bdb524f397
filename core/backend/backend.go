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
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/backend/redis"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

// Config says where the lock table lives.
type Config struct {
	URL              string           `yaml:"url"`               // file:PATH, memory: to keep nothing, or Redis, see redis.Config; default file:lockgate.db
	OperationTimeout time.Duration    `yaml:"operation_timeout"` // what one call of the store usually gets; default 5s
	KeyPrefix        string           `yaml:"key_prefix"`        // of every key in Redis; default lg
	Durability       redis.Durability `yaml:"durability"`        // in Redis: fast answers when the master has a step, replicated when Replicas have it too; default fast
	Replicas         int              `yaml:"replicas"`          // that must have a step, with durability replicated; default 1
}

// DefaultConfig keeps the table in a file of the working directory.
func DefaultConfig() Config {
	r := redis.DefaultConfig()
	return Config{
		URL: "file:lockgate.db", OperationTimeout: 5 * time.Second,
		KeyPrefix: r.KeyPrefix, Durability: r.Durability, Replicas: r.Replicas,
	}
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	if strings.HasPrefix(c.URL, "redis") {
		r := c.redis(lock.DefaultRules())
		return r.Validate()
	}
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
	return "", fmt.Errorf("url %q names no known store: use file:PATH, memory:, or redis:, redis+sentinel: or redis+cluster:, rediss… for TLS", redacted(c.URL))
}

func (c *Config) redis(rules lock.Rules) redis.Config {
	return redis.Config{
		URL: c.URL, KeyPrefix: c.KeyPrefix, Durability: c.Durability, Replicas: c.Replicas,
		OperationTimeout: c.OperationTimeout, Rules: rules,
	}
}

// redacted hides the password of a URL.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	return u.Redacted()
}

// Store is a lock table that must be Run.
type Store struct {
	orchestrator.Store

	run func(context.Context) error
}

// Run works until ctx ends. It may be called once.
func (s *Store) Run(ctx context.Context) error { return s.run(ctx) }

// Open answers the store of the configuration.
func Open(cfg Config, rules lock.Rules, logger *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(cfg.URL, "redis") {
		s, err := redis.New(cfg.redis(rules), logger, reg)
		if err != nil {
			return nil, err
		}
		return &Store{Store: s, run: s.Run}, nil
	}
	path, err := cfg.path()
	if err != nil {
		return nil, err
	}
	s, err := embedded.Open(embedded.Config{Path: path, Rules: rules}, logger)
	if err != nil {
		return nil, err
	}
	return &Store{Store: s, run: s.Run}, nil
}
