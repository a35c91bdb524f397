package lock

import "fmt"

// Priority is the level of a request. Policy decides it; a caller may ask.
type Priority uint8

// The levels, in rising order. The zero value is Normal's wish: none was
// stated.
const (
	Unstated Priority = iota
	Low
	Normal
	High
	Critical
)

// MaxValue is the largest priority value; 0 is the least.
const MaxValue = 1000

// Priorities lists the levels from the most to the least urgent.
func Priorities() []Priority { return []Priority{Critical, High, Normal, Low} }

// Base is the value of a level before policy adds points: 200, 400, 600, 900.
func (p Priority) Base() int {
	switch p {
	case Low:
		return 200
	case Unstated, Normal:
		return 400
	case High:
		return 600
	case Critical:
		return 900
	}
	return 0
}

func (p Priority) String() string {
	switch p {
	case Low:
		return "low"
	case Unstated, Normal:
		return "normal"
	case High:
		return "high"
	case Critical:
		return "critical"
	}
	return fmt.Sprintf("Priority(%d)", uint8(p))
}

// MarshalText writes the level as the API spells it.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a level; empty text is Unstated.
func (p *Priority) UnmarshalText(text []byte) error {
	switch string(text) {
	case "":
		*p = Unstated
	case "low":
		*p = Low
	case "normal":
		*p = Normal
	case "high":
		*p = High
	case "critical":
		*p = Critical
	default:
		return fmt.Errorf("%q is no priority: use critical, high, normal or low", text)
	}
	return nil
}
