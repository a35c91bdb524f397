package lock

import "fmt"

// Mode says how a resource is locked.
type Mode uint8

// The modes. Shared holders exclude exclusive ones.
const (
	Exclusive Mode = iota
	Shared
)

// Conflicts reports whether two different owners cannot hold the same resource
// in these modes at once.
func (m Mode) Conflicts(other Mode) bool { return m == Exclusive || other == Exclusive }

// Covers reports whether whoever holds m has at least what other gives.
func (m Mode) Covers(other Mode) bool { return m == Exclusive || other == Shared }

func (m Mode) String() string {
	switch m {
	case Exclusive:
		return "exclusive"
	case Shared:
		return "shared"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// MarshalText writes the mode as the API spells it.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads "exclusive" or "shared"; empty text is exclusive.
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "exclusive":
		*m = Exclusive
	case "shared":
		*m = Shared
	default:
		return fmt.Errorf("%q is no mode: use exclusive or shared", text)
	}
	return nil
}

// Resource is one key in one mode.
type Resource struct {
	Key  Key  `json:"key"`
	Mode Mode `json:"mode"`
}
