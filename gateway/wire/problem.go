package wire

import "strings"

// ProblemType is the prefix of every problem's type.
const ProblemType = "https://lockgate.dev/problems/"

// Problem is an RFC 9457 error, sent as application/problem+json.
type Problem struct { //nolint:errname // RFC 9457 calls it a problem
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
	Code     string `json:"code"`
	TraceID  string `json:"trace_id,omitempty"`

	LockID         string       `json:"lock_id,omitempty"`
	State          string       `json:"state,omitempty"`   // of the request the problem is about
	Reasons        []Reason     `json:"reasons,omitempty"` // denied
	DecisionID     string       `json:"decision_id,omitempty"`
	BlockedBy      []Blocker    `json:"blocked_by,omitempty"` // locked
	BlockedByTotal int          `json:"blocked_by_total,omitempty"`
	Cycle          []CycleEdge  `json:"cycle,omitempty"`         // deadlock
	VictimPolicy   string       `json:"victim_policy,omitempty"` // deadlock: who chose
	Errors         []FieldError `json:"errors,omitempty"`        // invalid
	RetryAfter     int          `json:"retry_after,omitempty"`   // seconds, as the Retry-After header
}

// FieldError is one fault of a request.
type FieldError struct {
	Pointer string `json:"pointer"` // JSON pointer into the body, or the name of a parameter
	Detail  string `json:"detail"`
}

// Error makes a problem an error for clients: one sentence.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Title)
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	for _, f := range p.Errors {
		b.WriteString("; " + strings.TrimSpace(f.Pointer+" "+f.Detail))
	}
	return b.String()
}
