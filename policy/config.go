package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config is the `policy:` block of the gateway's configuration.
type Config struct {
	Dir         string          `yaml:"dir"`          // folder with *.rego and data.json files; "": the profile decides
	Profile     string          `yaml:"profile"`      // shipped policies to use while Dir is empty; "open" is the only one
	Budget      time.Duration   `yaml:"budget"`       // wall time of one evaluation; default 50ms
	Enforcement map[string]Mode `yaml:"enforcement"`  // by policy, such as freeze or org/acme; default deny
	MayGrant    []string        `yaml:"may_grant"`    // organisations whose own policies may grant; default none
	DecisionLog DecisionLog     `yaml:"decision_log"` // what is remembered of decisions
}

// DecisionLog is the `policy.decision_log:` block.
type DecisionLog struct {
	Entries int `yaml:"entries"` // decisions kept in memory for /v1/decisions; default 1000
}

// ProfileOpen grants everything within limits.
const ProfileOpen = "open"

// Mode says what becomes of a policy's word.
type Mode string

// The modes of enforcement.
const (
	ModeDeny   Mode = "deny"   // denials deny
	ModeWarn   Mode = "warn"   // denials become warnings, all else counts
	ModeShadow Mode = "shadow" // denials are only logged, and nothing else counts
)

// UnmarshalText reads a mode; anything else is an error.
func (m *Mode) UnmarshalText(text []byte) error {
	if fault := Mode(text).fault(); fault != nil {
		return fault
	}
	*m = Mode(text)
	return nil
}

func (m Mode) fault() error {
	switch m {
	case ModeDeny, ModeWarn, ModeShadow:
		return nil
	}
	return fmt.Errorf("%q is no enforcement mode: use deny, warn or shadow", string(m))
}

// DefaultConfig is the configuration of a gateway without one.
func DefaultConfig() Config {
	return Config{Profile: ProfileOpen, Budget: 50 * time.Millisecond, DecisionLog: DecisionLog{Entries: 1000}}
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	var faults []error
	if c.Dir == "" && c.Profile != ProfileOpen {
		faults = append(faults, fmt.Errorf("profile %q is unknown: use open, or set dir", c.Profile))
	}
	if c.Budget < time.Millisecond || c.Budget > time.Minute {
		faults = append(faults, fmt.Errorf("budget must be between 1ms and 1m, not %s", c.Budget))
	}
	if c.DecisionLog.Entries < 1 || c.DecisionLog.Entries > 1_000_000 {
		faults = append(faults, fmt.Errorf("decision_log.entries must be between 1 and 1000000, not %d", c.DecisionLog.Entries))
	}
	for name, mode := range c.Enforcement {
		if err := mode.fault(); err != nil {
			faults = append(faults, fmt.Errorf("enforcement.%s: %w", name, err))
		}
	}
	for _, org := range c.MayGrant {
		if org == "" || strings.Contains(org, "/") {
			faults = append(faults, fmt.Errorf("may_grant: %q is no organisation (the first segment of a repository)", org))
		}
	}
	return errors.Join(faults...)
}

// mode answers how a policy is enforced. What cannot be understood denies.
func (c *Config) mode(policy string) Mode {
	switch m := c.Enforcement[policy]; m {
	case ModeWarn, ModeShadow:
		return m
	case ModeDeny:
		return ModeDeny
	}
	return ModeDeny
}

func (c *Config) mayGrant(org string) bool { return slices.Contains(c.MayGrant, org) }
