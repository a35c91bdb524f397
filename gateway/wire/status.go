package wire

// PolicySet is what GET /v1/policies answers: the policies that decide.
type PolicySet struct {
	Revision   string         `json:"revision"`
	CompiledAt Time           `json:"compiled_at"`
	Source     string         `json:"source"` // the profile or folder they come from
	Items      []PolicyModule `json:"items"`
	Warnings   []PolicyFault  `json:"warnings"`   // what should be mended in them
	LastError  *PolicyFault   `json:"last_error"` // of the last reload; null when it went well
	Reloads    []PolicyReload `json:"reloads"`    // newest first
}

// PolicyModule is one loaded rego file.
type PolicyModule struct {
	Path    string `json:"path"`
	Package string `json:"package"`
	SHA256  string `json:"sha256,omitempty"`
}

// PolicyFault is what a reload failed with, or what it warned of.
type PolicyFault struct {
	Message string `json:"message"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	At      Time   `json:"at"`
}

// PolicyReload is one attempt to load policies.
type PolicyReload struct {
	At       Time   `json:"at"`
	Revision string `json:"revision,omitempty"`
	Error    string `json:"error,omitempty"`
}

// Status is what GET /v1/status answers.
type Status struct {
	State      string      `json:"state"` // the worst of its components: healthy, starting, degraded, stopped, error
	Components []Component `json:"components"`
	Locks      *LockCounts `json:"locks"` // null while the lock table does not answer
	Build      Build       `json:"build"`
	StartedAt  Time        `json:"started_at"`
}

// Component is one part of a gateway.
type Component struct {
	Name    string `json:"name"`
	State   string `json:"state"` // starting, healthy, degraded, error or stopped
	Message string `json:"message,omitempty"`
	Since   Time   `json:"since"`
}

// States of a [Component].
const (
	StateStarting = "starting"
	StateHealthy  = "healthy"
	StateDegraded = "degraded"
	StateError    = "error"
	StateStopped  = "stopped"
)

// LockCounts counts the lock table.
type LockCounts struct {
	Held       int                 `json:"held"`
	Offered    int                 `json:"offered"`
	Queued     map[string]int      `json:"queued"`      // by priority
	OldestWait map[string]Duration `json:"oldest_wait"` // by priority
	Namespaces int                 `json:"namespaces"`
}

// Build says which gateway this is.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source
	Go       string `json:"go"`
}
