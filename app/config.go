package app

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lockgate/lockgate/app/settings"
	"github.com/lockgate/lockgate/core/backend"
	"github.com/lockgate/lockgate/core/component"
	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/policy"
)

// Config is the configuration of a gateway. It only nests: each block belongs to
// the package that obeys it.
type Config struct {
	HTTP         gateway.HTTPConfig       `yaml:"http"`
	Auth         gateway.AuthConfig       `yaml:"auth"`
	RateLimit    gateway.RateConfig       `yaml:"rate_limit"`
	Backend      backend.Config           `yaml:"backend"`
	Orchestrator orchestrator.Config      `yaml:"orchestrator"`
	Queue        orchestrator.QueueConfig `yaml:"queue"`
	Deadlock     deadlock.Config          `yaml:"deadlock"`
	Policy       policy.Config            `yaml:"policy"`
	Events       EventsConfig             `yaml:"events"`
	Health       component.Config         `yaml:"health"`
	Tracing      TracingConfig            `yaml:"tracing"`
	Log          LogConfig                `yaml:"log"`
}

// EventsConfig is about the log of events.
type EventsConfig struct {
	Retention time.Duration `yaml:"retention"` // how long events can be read again; default 168h
}

// Validate answers all faults joined.
func (c *EventsConfig) Validate() error {
	if c.Retention < time.Minute {
		return errors.New("retention must be at least 1m")
	}
	return nil
}

// TracingConfig is about traces; where they go is said by OTEL_* variables.
type TracingConfig struct {
	SampleRatio float64 `yaml:"sample_ratio"` // share of traces begun here that are kept, 0 to 1; default 1
}

// Validate answers all faults joined.
func (c *TracingConfig) Validate() error {
	if !(c.SampleRatio >= 0 && c.SampleRatio <= 1) {
		return errors.New("sample_ratio must be between 0 and 1")
	}
	return nil
}

// LogConfig is about the log on standard error.
type LogConfig struct {
	Level  LogLevel  `yaml:"level"`  // debug, info, warn or error; default info
	Format LogFormat `yaml:"format"` // text, json, or auto: text on a terminal; default auto
}

// LogLevel is the least severe kind of line that is written.
type LogLevel slog.Level

// UnmarshalText reads debug, info, warn or error; anything else is an error.
func (l *LogLevel) UnmarshalText(text []byte) error {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.EqualFold(string(text), level.String()) {
			*l = LogLevel(level)
			return nil
		}
	}
	return fmt.Errorf("%q is no log level: use debug, info, warn or error", text)
}

// MarshalText writes what UnmarshalText reads.
func (l LogLevel) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(slog.Level(l).String())), nil
}

// LogFormat is how log lines are written.
type LogFormat string

// The formats.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// MarshalText writes what UnmarshalText reads.
func (f LogFormat) MarshalText() ([]byte, error) { return []byte(f), nil }

// UnmarshalText reads a format; anything else is an error.
func (f *LogFormat) UnmarshalText(text []byte) error {
	switch v := LogFormat(text); v {
	case LogAuto, LogText, LogJSON:
		*f = v
		return nil
	}
	return fmt.Errorf("%q is no log format: use auto, text or json", text)
}

// DefaultConfig is a gateway on loopback with its table in a file.
func DefaultConfig() Config {
	door := gateway.DefaultConfig()
	return Config{
		HTTP:         door.HTTP,
		Auth:         door.Auth,
		RateLimit:    door.RateLimit,
		Backend:      backend.DefaultConfig(),
		Orchestrator: orchestrator.DefaultConfig(),
		Queue:        orchestrator.DefaultQueueConfig(),
		Deadlock:     deadlock.DefaultConfig(),
		Policy:       policy.DefaultConfig(),
		Events:       EventsConfig{Retention: lock.DefaultRules().Events},
		Health:       component.DefaultConfig(),
		Tracing:      TracingConfig{SampleRatio: 1},
		Log:          LogConfig{Level: LogLevel(slog.LevelInfo), Format: LogAuto},
	}
}

// door is the part of the configuration that the HTTP door obeys.
func (c *Config) door() gateway.Config {
	return gateway.Config{HTTP: c.HTTP, Auth: c.Auth, RateLimit: c.RateLimit}
}

// policies is the policy block with a place for the last good bundle: beside the
// lock table's file, where there is one.
func (c *Config) policies() policy.Config {
	out := c.Policy
	file, found := strings.CutPrefix(c.Backend.URL, "file:")
	if found && out.CacheDir == "" && out.Bundle.URL != "" {
		out.CacheDir = filepath.Dir(strings.TrimPrefix(file, "//"))
	}
	return out
}

// rules are the settings that every store obeys.
func (c *Config) rules() lock.Rules {
	r := c.Queue.Rules()
	r.Events = c.Events.Retention
	return r
}

// Validate answers all faults joined, each a *settings.FaultError with the path
// of its key.
func (c *Config) Validate() error {
	door := c.door()
	var faults []error
	for _, block := range []struct {
		name string
		err  error
	}{
		{"http", door.Validate()},
		{"backend", c.Backend.Validate()},
		{"orchestrator", c.Orchestrator.Validate()},
		{"queue", c.Queue.Validate()},
		{"deadlock", c.Deadlock.Validate()},
		{"policy", c.Policy.Validate()},
		{"events", c.Events.Validate()},
		{"health", c.Health.Validate()},
		{"tracing", c.Tracing.Validate()},
	} {
		for _, message := range messages(block.err) {
			faults = append(faults, fault(block.name, message))
		}
	}
	return errors.Join(faults...)
}

// messages answers the texts of joined errors.
func messages(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

// subject is the key that a fault begins with, as every Validate writes it:
// "burst must be …" or "http.listen: …".
var subject = regexp.MustCompile(`^([a-z0-9_]+(?:\.[a-z0-9_]+)*):? (.*)$`)

func fault(block, message string) error {
	m := subject.FindStringSubmatch(message)
	if m == nil {
		return &settings.FaultError{Path: block, Message: message}
	}
	known := settings.Paths(new(Config))
	for _, path := range []string{m[1], block + "." + m[1]} {
		if slices.ContainsFunc(known, func(k string) bool {
			return k == path || strings.HasPrefix(k, path+".") || strings.HasPrefix(path, k+".")
		}) {
			return &settings.FaultError{Path: path, Message: m[2]}
		}
	}
	return &settings.FaultError{Path: block, Message: message}
}
