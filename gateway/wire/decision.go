package wire

import "encoding/json"

// DecisionRequest is the body of POST /v1/decisions: a question to policy about
// a call that is not made. It is the body of an acquire with an action, or has
// that body in Request.
type DecisionRequest struct {
	Action    string            `json:"action,omitempty"`  // default acquire
	Request   *AcquireRequest   `json:"request,omitempty"` // instead of all that follows
	Namespace string            `json:"namespace,omitempty"`
	Resources []Resource        `json:"resources,omitempty"` // none: about the gateway as a whole
	Owner     string            `json:"owner,omitempty"`
	Priority  string            `json:"priority,omitempty"`
	TTL       Duration          `json:"ttl,omitempty"`
	Wait      Duration          `json:"wait,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Context   json.RawMessage   `json:"context,omitempty"`
}

// Decision is what policy answered to one question.
type Decision struct {
	ID             string           `json:"id"`
	Revision       string           `json:"revision"`
	Allow          bool             `json:"allow"`
	Reasons        []Reason         `json:"reasons"` // why not; empty when allowed
	Warnings       []Reason         `json:"warnings"`
	Priority       string           `json:"priority"`
	Value          int              `json:"priority_value"` // 0 to 1000
	Limits         DecisionLimits   `json:"limits"`
	Preemptible    bool             `json:"preemptible"`
	DeadlockAction string           `json:"deadlock_action,omitempty"`
	Obligations    []map[string]any `json:"obligations"`
}

// DecisionLimits bound what a granted request may have; null is no limit of
// policy's.
type DecisionLimits struct {
	TTL   *Duration `json:"ttl"`
	Wait  *Duration `json:"wait"`
	Queue *int      `json:"queue"`
}

// DecisionList is a page of the decision log, newest first. Entries have the
// field names of OPA's decision log.
type DecisionList struct {
	Items []json.RawMessage `json:"items"`
	Next  string            `json:"next"`
}
