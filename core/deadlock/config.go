package deadlock

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Mode says what is done about deadlocks.
type Mode uint8

// The modes.
const (
	Detect  Mode = iota // find them when they form and resolve them
	Prevent             // refuse the request that would close one
	Off                 // waits time out
)

func (m Mode) String() string {
	switch m {
	case Detect:
		return "detect"
	case Prevent:
		return "prevent"
	case Off:
		return "off"
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// MarshalText writes the mode as the configuration spells it.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads a mode; empty text is detect.
func (m *Mode) UnmarshalText(text []byte) error {
	switch string(text) {
	case "", "detect":
		*m = Detect
	case "prevent":
		*m = Prevent
	case "off":
		*m = Off
	default:
		return fmt.Errorf("%q is no deadlock mode: use detect, prevent or off", text)
	}
	return nil
}

// Policy names a victim policy.
type Policy string

// The built-in policies. "wasm:" and the name of an extension is a policy too.
const (
	LowestPriority Policy = "lowest_priority" // the lowest priority; ties: least work, then youngest
	Youngest       Policy = "youngest"        // the latest to start
	FIFO           Policy = "fifo"            // the first that came to wait
	LIFO           Policy = "lifo"            // the last that came to wait
	Random         Policy = "random"          // any, the same at every gateway
	LeastWork      Policy = "least_work"      // the fewest locks held, then the shortest time
	MostBlocking   Policy = "most_blocking"   // whose end frees the most owners, by cost
	Adaptive       Policy = "adaptive"        // one of the above, by what resolved such deadlocks best
)

const extensionPrefix = "wasm:"

// Extension is the name of the extension that decides, if one does.
func (p Policy) Extension() (string, bool) { return strings.CutPrefix(string(p), extensionPrefix) }

// Config says how deadlocks are searched and resolved.
type Config struct {
	Mode                 Mode          `yaml:"mode"`                     // detect, prevent or off; default detect
	VictimPolicy         Policy        `yaml:"victim_policy"`            // who gives way; default lowest_priority
	MaxVictimizations    int           `yaml:"max_victimizations"`       // losses after which an owner is immune unless all are; default 3
	SweepInterval        time.Duration `yaml:"sweep_interval"`           // between two looks at everybody who waits, the safety net; default 5s
	MaxPerOwnerPerMinute int           `yaml:"max_per_owner_per_minute"` // deadlocks an owner may close before it is refused for a while; 0: no limit; default 10
}

// DefaultConfig is what a gateway without configuration uses.
func DefaultConfig() Config {
	return Config{VictimPolicy: LowestPriority, MaxVictimizations: 3, SweepInterval: 5 * time.Second, MaxPerOwnerPerMinute: 10}
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	var faults []error
	if c.Mode > Off {
		faults = append(faults, fmt.Errorf("mode %s is unknown: use detect, prevent or off", c.Mode))
	}
	faults = append(faults, c.VictimPolicy.fault())
	if c.MaxVictimizations < 1 {
		faults = append(faults, errors.New("max_victimizations must be at least 1"))
	}
	if c.SweepInterval < time.Millisecond {
		faults = append(faults, errors.New("sweep_interval must be at least 1ms"))
	}
	if c.MaxPerOwnerPerMinute < 0 {
		faults = append(faults, errors.New("max_per_owner_per_minute must not be negative"))
	}
	return errors.Join(faults...)
}

func (p Policy) fault() error {
	switch p {
	case LowestPriority, Youngest, FIFO, LIFO, Random, LeastWork, MostBlocking, Adaptive:
		return nil
	}
	if name, ok := p.Extension(); ok && name != "" {
		return nil
	}
	return fmt.Errorf("victim_policy %q is unknown: use %s, %s, %s, %s, %s, %s, %s, %s or wasm:<extension>", string(p),
		LowestPriority, Youngest, FIFO, LIFO, Random, LeastWork, MostBlocking, Adaptive)
}
