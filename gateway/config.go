package gateway

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Config is everything that can be set about the HTTP door.
type Config struct {
	HTTP      HTTPConfig `yaml:"http"`
	Auth      AuthConfig `yaml:"auth"`
	RateLimit RateConfig `yaml:"rate_limit"`
}

// HTTPConfig says where and how to listen.
type HTTPConfig struct {
	// Listen is host:port. Default 127.0.0.1:7480; port 0 picks a free one.
	Listen string    `yaml:"listen"`
	TLS    TLSConfig `yaml:"tls"`
	// MaxBody bounds a request's body, such as 1MiB. Default 1MiB.
	MaxBody ByteSize `yaml:"max_body"`
	// ReadTimeout bounds reading one request, headers and body. Default 10s.
	ReadTimeout time.Duration `yaml:"read_timeout"`
	// ShutdownGrace is how long calls under way may take to finish once the
	// gateway stops. Default 20s.
	ShutdownGrace time.Duration `yaml:"shutdown_grace"`
}

// TLSConfig switches TLS on when CertFile is set.
type TLSConfig struct {
	// CertFile and KeyFile are PEM files of the server's certificate chain and key.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// ClientCAFile is a PEM file of authorities whose client certificates
	// authenticate a subject. Default: none does.
	ClientCAFile string `yaml:"client_ca_file"`
}

// AuthConfig says who may call. Without any of it callers are anonymous, and
// the gateway listens on loopback only.
type AuthConfig struct {
	// TokensFile is a YAML list of {sha256, subject, teams, roles}; it is read
	// again when it changes. Default: no static tokens.
	TokensFile string    `yaml:"tokens_file"`
	JWT        JWTConfig `yaml:"jwt"`
	// Insecure allows anonymous callers on an address that is not loopback.
	// It is also the flag --insecure. Default false.
	Insecure bool `yaml:"insecure"`
}

// JWTConfig accepts JWTs of one issuer when JWKSURL is set.
type JWTConfig struct {
	// Issuer must equal the claim iss.
	Issuer string `yaml:"issuer"`
	// Audience must be among the claim aud.
	Audience string `yaml:"audience"`
	// JWKSURL is where the issuer's keys are fetched, and fetched again when a
	// token names an unknown key.
	JWKSURL string       `yaml:"jwks_url"`
	Claims  ClaimsConfig `yaml:"claims"`
}

// ClaimsConfig names the claims that make a subject. A name with dots that is
// no claim itself is a path into nested objects, such as realm_access.roles.
type ClaimsConfig struct {
	// Subject is the claim that is the subject's id. Default sub.
	Subject string `yaml:"subject"`
	// Name is the claim that names the subject to people. Default name.
	Name string `yaml:"name"`
	// Teams is a list of strings, or one string with spaces. Default groups.
	Teams string `yaml:"teams"`
	// Roles is a list of strings, or one string with spaces. Default roles.
	Roles string `yaml:"roles"`
}

// RateConfig bounds how often one subject may call.
type RateConfig struct {
	// PerSubject is how many calls a subject may make in a second or minute,
	// such as 1000/s or 600/m; off switches the limit off. Anonymous callers on
	// loopback are not limited. Default 1000/s.
	PerSubject Rate `yaml:"per_subject"`
	// Burst is how many calls may come at once. Default 2000.
	Burst int `yaml:"burst"`
}

// DefaultConfig listens on loopback for anonymous callers.
func DefaultConfig() Config {
	return Config{
		HTTP: HTTPConfig{
			Listen:        "127.0.0.1:7480",
			MaxBody:       1 << 20,
			ReadTimeout:   10 * time.Second,
			ShutdownGrace: 20 * time.Second,
		},
		Auth: AuthConfig{JWT: JWTConfig{Claims: ClaimsConfig{
			Subject: "sub", Name: "name", Teams: "groups", Roles: "roles",
		}}},
		RateLimit: RateConfig{PerSubject: 1000, Burst: 2000},
	}
}

// Validate answers all faults joined; each begins with the field's path.
func (c *Config) Validate() error {
	return errors.Join(c.HTTP.Validate(), c.Auth.Validate(), c.RateLimit.Validate(), c.exposure())
}

// Validate answers all faults joined; each begins with the field's path.
func (c *HTTPConfig) Validate() error {
	var faults []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		faults = append(faults, fmt.Errorf("http.listen: %q is no host:port such as 127.0.0.1:7480", c.Listen))
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		faults = append(faults, errors.New("http.tls: cert_file and key_file go together"))
	}
	if c.TLS.ClientCAFile != "" && c.TLS.CertFile == "" {
		faults = append(faults, errors.New("http.tls.client_ca_file: client certificates need TLS: set cert_file and key_file"))
	}
	if c.MaxBody < minBody || c.MaxBody > maxBody {
		faults = append(faults, fmt.Errorf("http.max_body: must be between %s and %s", minBody, maxBody))
	}
	if c.ReadTimeout <= 0 {
		faults = append(faults, errors.New("http.read_timeout: must be more than 0s"))
	}
	if c.ShutdownGrace < 0 {
		faults = append(faults, errors.New("http.shutdown_grace: must not be negative"))
	}
	return errors.Join(faults...)
}

// minBody leaves room for 256 keys; maxBody keeps one call from filling the
// memory.
const (
	minBody ByteSize = 256 << 10
	maxBody ByteSize = 64 << 20
)

// Validate answers all faults joined; each begins with the field's path.
func (c *AuthConfig) Validate() error {
	j := &c.JWT
	if j.Issuer == "" && j.Audience == "" && j.JWKSURL == "" {
		return nil
	}
	var faults []error
	for _, f := range []struct{ name, value string }{
		{"issuer", j.Issuer},
		{"audience", j.Audience},
		{"jwks_url", j.JWKSURL},
		{"claims.subject", j.Claims.Subject},
	} {
		if f.value == "" {
			faults = append(faults, fmt.Errorf("auth.jwt.%s: must be set when JWTs are accepted", f.name))
		}
	}
	if u, err := url.Parse(j.JWKSURL); j.JWKSURL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		faults = append(faults, errors.New("auth.jwt.jwks_url: must be an http or https URL"))
	}
	return errors.Join(faults...)
}

// Validate answers all faults joined; each begins with the field's path.
func (c *RateConfig) Validate() error {
	var faults []error
	if c.PerSubject < 0 {
		faults = append(faults, errors.New("rate_limit.per_subject: must not be negative"))
	}
	if c.PerSubject > 0 && c.Burst < 1 {
		faults = append(faults, errors.New("rate_limit.burst: must be at least 1"))
	}
	return errors.Join(faults...)
}

// Authenticated reports whether callers must prove who they are.
func (c *Config) Authenticated() bool {
	return c.Auth.TokensFile != "" || c.Auth.JWT.JWKSURL != "" || c.HTTP.TLS.ClientCAFile != ""
}

// exposure refuses to serve strangers by accident.
func (c *Config) exposure() error {
	if c.Authenticated() || c.Auth.Insecure || loopback(c.HTTP.Listen) {
		return nil
	}
	return fmt.Errorf("http.listen: %s can be reached from other machines and nobody would have to authenticate: "+
		"set auth.tokens_file, auth.jwt or http.tls.client_ca_file, listen on 127.0.0.1, or allow it with --insecure (auth.insecure)", c.HTTP.Listen)
}

// loopback reports whether an address of the form host:port cannot be reached
// from other machines. Names other than localhost are not resolved and count as
// reachable.
func loopback(address string) bool {
	_, _, err := net.SplitHostPort(address)
	return err == nil && local(address)
}
