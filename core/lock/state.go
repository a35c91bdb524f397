package lock

import "fmt"

// State is where a request is in its life.
type State uint8

// The states; the picture is in the package comment. Everything after Held is
// an end.
const (
	Queued State = iota + 1
	Offered
	Held
	Released
	Expired
	Revoked
	Cancelled
	TimedOut
	Victim
	Denied
)

// Live reports whether the request still stands in the lock table.
func (s State) Live() bool { return s >= Queued && s <= Held }

// Waiting reports whether the request has no lock yet and may still get one.
func (s State) Waiting() bool { return s == Queued || s == Offered }

func (s State) String() string {
	switch s {
	case Queued:
		return "queued"
	case Offered:
		return "offered"
	case Held:
		return "held"
	case Released:
		return "released"
	case Expired:
		return "expired"
	case Revoked:
		return "revoked"
	case Cancelled:
		return "cancelled"
	case TimedOut:
		return "timed_out"
	case Victim:
		return "victim"
	case Denied:
		return "denied"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText writes the state as the API spells it; the zero state is empty.
func (s State) MarshalText() ([]byte, error) {
	if s == 0 {
		return nil, nil
	}
	return []byte(s.String()), nil
}

// UnmarshalText reads a state; empty text is the zero state.
func (s *State) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*s = 0
		return nil
	}
	for c := Queued; c <= Denied; c++ {
		if c.String() == string(text) {
			*s = c
			return nil
		}
	}
	return fmt.Errorf("%q is no state of a request", text)
}
