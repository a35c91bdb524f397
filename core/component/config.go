package component

import (
	"errors"
	"time"
)

// Config says how parts are watched.
type Config struct {
	CheckInterval    time.Duration `yaml:"check_interval"`    // between two checks of a healthy component; default 30s
	ComponentTimeout time.Duration `yaml:"component_timeout"` // how long one check, and becoming healthy at start, may take; default 5s
	AutoRestart      bool          `yaml:"auto_restart"`      // run a failed component again; default true
}

// DefaultConfig is what a gateway without configuration uses.
func DefaultConfig() Config {
	return Config{CheckInterval: 30 * time.Second, ComponentTimeout: 5 * time.Second, AutoRestart: true}
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	var faults []error
	if c.CheckInterval < minInterval {
		faults = append(faults, errors.New("check_interval must be at least 100ms"))
	}
	if c.ComponentTimeout < minInterval {
		faults = append(faults, errors.New("component_timeout must be at least 100ms"))
	}
	return errors.Join(faults...)
}

// minInterval is also the first pause after a failed check; it doubles until it
// reaches the check interval.
const minInterval = 100 * time.Millisecond
