package lock

import (
	"fmt"
	"slices"
)

// SubjectKind says how a subject was authenticated.
type SubjectKind uint8

// The kinds of subjects.
const (
	Anonymous SubjectKind = iota
	StaticToken
	JWT
	MTLS
)

func (k SubjectKind) String() string {
	switch k {
	case Anonymous:
		return "anonymous"
	case StaticToken:
		return "token"
	case JWT:
		return "jwt"
	case MTLS:
		return "mtls"
	}
	return fmt.Sprintf("SubjectKind(%d)", uint8(k))
}

// MarshalText writes the kind as policies see it.
func (k SubjectKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Subject is who makes a call, as authenticated.
type Subject struct {
	ID     string
	Kind   SubjectKind
	Name   string
	Teams  []string
	Roles  []string
	Claims map[string]any // as JSON decodes them, numbers as json.Number
}

// Roles that the gateway itself knows; all others are for policies.
const (
	RoleDelegate = "delegate" // may act for somebody else
	RoleAdmin    = "admin"    // sees every token
)

// Has reports whether the subject carries a role.
func (s *Subject) Has(role string) bool { return slices.Contains(s.Roles, role) }

// Actor is the person or job that a call is for: the subject itself, unless a
// subject with [RoleDelegate] said whom it acts for.
type Actor struct {
	ID        string
	Teams     []string
	VouchedBy string // id of the subject that named the actor
}

// Source is the door that a call came through.
type Source uint8

// The sources.
const (
	FromAPI Source = iota
	FromAtlantis
	FromTerraform
	FromCLI
	FromUI
)

func (s Source) String() string {
	switch s {
	case FromAPI:
		return "api"
	case FromAtlantis:
		return "atlantis"
	case FromTerraform:
		return "terraform"
	case FromCLI:
		return "cli"
	case FromUI:
		return "ui"
	}
	return fmt.Sprintf("Source(%d)", uint8(s))
}

// Caller is everything known about who makes one call.
type Caller struct {
	Subject   Subject
	Actor     Actor
	Source    Source
	IP        string
	RequestID string
}

// Acts reports whom the call is for when that is not the subject, else "".
func (c *Caller) Acts() string {
	if c.Actor.ID == c.Subject.ID {
		return ""
	}
	return c.Actor.ID
}
