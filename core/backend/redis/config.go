package redis

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Durability says when a step is answered.
type Durability uint8

// The levels of durability.
const (
	Fast       Durability = iota // the master has done it
	Replicated                   // Config.Replicas replicas have it too
)

func (d Durability) String() string {
	switch d {
	case Fast:
		return "fast"
	case Replicated:
		return "replicated"
	}
	return fmt.Sprintf("Durability(%d)", uint8(d))
}

// MarshalText writes the level as the configuration spells it.
func (d Durability) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "fast" or "replicated"; empty text is fast.
func (d *Durability) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "fast":
		*d = Fast
	case "replicated":
		*d = Replicated
	default:
		return fmt.Errorf("%q is no durability: use fast or replicated", text)
	}
	return nil
}

// Config says where Redis is and what the lock table obeys.
type Config struct {
	// URL names the servers:
	//
	//	redis://user:password@host:6379/0
	//	redis+sentinel://user:password@host1:26379,host2:26379/master-name/0
	//	redis+cluster://user:password@host1:6379,host2:6379
	//
	// rediss:, rediss+sentinel: and rediss+cluster: speak TLS. Parameters: tls_ca,
	// tls_cert, tls_key (PEM files), tls_server_name, sentinel_user,
	// sentinel_password, pool_size (connections a server).
	URL              string
	KeyPrefix        string        // of every key; default "lg"
	Durability       Durability    // default fast
	Replicas         int           // that must have a step, with durability replicated; default 1
	OperationTimeout time.Duration // of one command or batch, connecting included; default 5s
	Rules            lock.Rules    // all of them must be set, see lock.DefaultRules
}

// DefaultConfig is a server on this machine.
func DefaultConfig() Config {
	return Config{
		URL: "redis://localhost:6379/0", KeyPrefix: "lg", Replicas: 1,
		OperationTimeout: 5 * time.Second, Rules: lock.DefaultRules(),
	}
}

// Validate answers all faults joined. No fault tells the password.
func (c *Config) Validate() error {
	var faults []error
	if _, err := parseAddress(c.URL); err != nil {
		faults = append(faults, err)
	}
	if c.KeyPrefix == "" || strings.ContainsAny(c.KeyPrefix, "{}\x00\r\n") {
		faults = append(faults, errors.New("key_prefix must not be empty and has no braces"))
	}
	if c.Durability == Replicated && c.Replicas < 1 {
		faults = append(faults, errors.New("durability replicated needs at least one of replicas"))
	}
	if c.OperationTimeout < 10*time.Millisecond {
		faults = append(faults, errors.New("operation_timeout must be at least 10ms"))
	}
	return errors.Join(append(faults, c.Rules.Validate())...)
}
