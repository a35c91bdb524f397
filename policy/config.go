package policy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is the `policy:` block of the gateway's configuration.
type Config struct {
	Dir         string          `yaml:"dir"`          // folder with *.rego and data.json files; "": the profile decides
	Bundle      BundleConfig    `yaml:"bundle"`       // OPA bundle instead of Dir
	Shadow      ShadowConfig    `yaml:"shadow"`       // candidate policies that are asked too and never obeyed
	CacheDir    string          `yaml:"cache_dir"`    // where the policies in force are kept for a restart; "": beside the lock table's file, or nowhere
	Profile     string          `yaml:"profile"`      // shipped policies to use without Dir and Bundle; "open" is the only one
	Budget      time.Duration   `yaml:"budget"`       // wall time of one evaluation; default 50ms
	Enforcement map[string]Mode `yaml:"enforcement"`  // by policy, such as freeze or org/acme; default deny
	MayGrant    []string        `yaml:"may_grant"`    // organisations whose own policies may grant; default none
	DecisionLog DecisionLog     `yaml:"decision_log"` // what is remembered of decisions
}

// BundleConfig is a `bundle:` block.
type BundleConfig struct {
	URL           string        `yaml:"url"`             // http:, https: or file:///path of a bundle.tar.gz; "": none
	Interval      time.Duration `yaml:"interval"`        // between two looks; default 30s
	VerifyKeyFile string        `yaml:"verify_key_file"` // PEM public key, RSA or P-256, that bundles must be signed with; "": signatures are not asked for
}

func (c *BundleConfig) faults() []error {
	if c.URL == "" {
		if c.VerifyKeyFile != "" {
			return []error{errors.New("bundle.verify_key_file needs bundle.url")}
		}
		return nil
	}
	var faults []error
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		faults = append(faults, errors.New("bundle.url is no URL"))
	case u.Scheme == "file" && u.Host == "" && u.Path != "", (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
	default:
		faults = append(faults, errors.New("bundle.url must be https://…, http://… or file:///path"))
	}
	if c.Interval < time.Second || c.Interval > 24*time.Hour {
		faults = append(faults, fmt.Errorf("bundle.interval must be between 1s and 24h, not %s", c.Interval))
	}
	return faults
}

// ShadowConfig is the `policy.shadow:` block. With neither there is no shadow.
type ShadowConfig struct {
	Dir    string       `yaml:"dir"`    // folder of the candidate
	Bundle BundleConfig `yaml:"bundle"` // bundle of the candidate
}

func (c *ShadowConfig) on() bool { return c.Dir != "" || c.Bundle.URL != "" }

func (c *ShadowConfig) faults() []error {
	var faults []error
	for _, err := range c.Bundle.faults() {
		faults = append(faults, fmt.Errorf("shadow.%w", err))
	}
	if c.Dir != "" && c.Bundle.URL != "" {
		faults = append(faults, errors.New("shadow.dir and shadow.bundle.url are both set: a candidate comes from one place"))
	}
	return faults
}

// DecisionLog is the `policy.decision_log:` block.
type DecisionLog struct {
	Entries int       `yaml:"entries"` // decisions kept in memory for /v1/decisions; default 1000
	Mask    []string  `yaml:"mask"`    // JSON pointers into the events of what nobody may read; default /input/subject/claims
	File    LogFile   `yaml:"file"`    // JSON lines on disk
	Upload  LogUpload `yaml:"upload"`  // a server that takes OPA's decision logs
}

// LogFile is the `policy.decision_log.file:` block.
type LogFile struct {
	Path  string `yaml:"path"`   // "": none
	MaxMB int    `yaml:"max_mb"` // size at which a new file begins; default 100
	Keep  int    `yaml:"keep"`   // full files that stay beside it, as PATH.1 and so on; default 5
}

// LogUpload is the `policy.decision_log.upload:` block.
type LogUpload struct {
	URL      string        `yaml:"url"`      // where gzipped JSON arrays are posted; "": nowhere
	Interval time.Duration `yaml:"interval"` // between two uploads, if there are few; default 5s
}

func (c *DecisionLog) faults() []error {
	var faults []error
	if c.Entries < 1 || c.Entries > 1_000_000 {
		faults = append(faults, fmt.Errorf("decision_log.entries must be between 1 and 1000000, not %d", c.Entries))
	}
	if _, err := readMasks(c.Mask); err != nil {
		faults = append(faults, err)
	}
	if c.File.Path != "" && (c.File.MaxMB < 1 || c.File.MaxMB > 1<<20) {
		faults = append(faults, fmt.Errorf("decision_log.file.max_mb must be between 1 and 1048576, not %d", c.File.MaxMB))
	}
	if c.File.Path != "" && (c.File.Keep < 1 || c.File.Keep > 1000) {
		faults = append(faults, fmt.Errorf("decision_log.file.keep must be between 1 and 1000, not %d", c.File.Keep))
	}
	if c.Upload.URL == "" {
		return faults
	}
	if u, err := url.Parse(c.Upload.URL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		faults = append(faults, errors.New("decision_log.upload.url must be https://… or http://…"))
	}
	if c.Upload.Interval < 100*time.Millisecond || c.Upload.Interval > time.Hour {
		faults = append(faults, fmt.Errorf("decision_log.upload.interval must be between 100ms and 1h, not %s", c.Upload.Interval))
	}
	return faults
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
	return Config{
		Profile: ProfileOpen, Budget: 50 * time.Millisecond, Bundle: BundleConfig{Interval: 30 * time.Second},
		Shadow: ShadowConfig{Bundle: BundleConfig{Interval: 30 * time.Second}},
		DecisionLog: DecisionLog{
			Entries: 1000, Mask: []string{"/input/subject/claims"},
			File: LogFile{MaxMB: 100, Keep: 5}, Upload: LogUpload{Interval: 5 * time.Second},
		},
	}
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	var faults []error
	faults = append(append(faults, c.Bundle.faults()...), c.Shadow.faults()...)
	if c.Dir != "" && c.Bundle.URL != "" {
		faults = append(faults, errors.New("dir and bundle.url are both set: policies come from one place"))
	}
	if c.Dir == "" && c.Bundle.URL == "" && c.Profile != ProfileOpen {
		faults = append(faults, fmt.Errorf("profile %q is unknown: use open, or set dir or bundle.url", c.Profile))
	}
	if c.Budget < time.Millisecond || c.Budget > time.Minute {
		faults = append(faults, fmt.Errorf("budget must be between 1ms and 1m, not %s", c.Budget))
	}
	faults = append(faults, c.DecisionLog.faults()...)
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
