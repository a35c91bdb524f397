package component

import (
	"fmt"
	"time"
)

// State is how a component is.
type State int

// The states, see the package comment.
const (
	Stopped State = iota
	Starting
	Healthy
	Degraded
	Failed
)

// String is the word used in the API and in logs.
func (s State) String() string {
	switch s {
	case Stopped:
		return "stopped"
	case Starting:
		return "starting"
	case Healthy:
		return "healthy"
	case Degraded:
		return "degraded"
	case Failed:
		return "error"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// MarshalText writes the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Up says that the component does its work, perhaps with limits.
func (s State) Up() bool { return s == Healthy || s == Degraded }

// health is the value of the gauge: 1 healthy, 0.5 degraded, 0 anything else.
func (s State) health() float64 {
	switch s {
	case Healthy:
		return 1
	case Degraded:
		return 0.5
	case Stopped, Starting, Failed:
		return 0
	}
	return 0
}

// Status is a component's state, why, and since when.
type Status struct {
	Name    string
	State   State
	Message string // "" when there is nothing to say
	Since   time.Time
}

// DegradedError is what a Check answers when the component works with limits.
type DegradedError struct {
	Err error
}

func (e *DegradedError) Error() string { return e.Err.Error() }

func (e *DegradedError) Unwrap() error { return e.Err }
