package wire

import (
	"encoding/json"
)

// AcquireRequest is the body of POST /v1/locks.
type AcquireRequest struct {
	Namespace string            `json:"namespace,omitempty"` // default "default"
	Resources []Resource        `json:"resources"`           // 1 to 256, no duplicates
	Owner     string            `json:"owner"`
	Priority  string            `json:"priority,omitempty"` // a wish: critical, high, normal, low
	TTL       Duration          `json:"ttl,omitempty"`      // 0s: until released
	Wait      Duration          `json:"wait,omitempty"`     // 0s: a try-lock, never queues
	RetryOf   string            `json:"retry_of,omitempty"` // id of a request of the same owner that gave way in a deadlock
	Labels    map[string]string `json:"labels,omitempty"`
	Context   json.RawMessage   `json:"context,omitempty"` // a JSON object
}

// Resource is a key and how it is wanted. A plain JSON string is a key in
// exclusive mode.
type Resource struct {
	Key  string `json:"key"`
	Mode string `json:"mode,omitempty"` // exclusive (default) or shared
}

// UnmarshalJSON reads an object or a plain string. Members that it does not know
// are passed over, as everywhere in what a gateway answers: a newer one may say
// more.
func (r *Resource) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*r = Resource{}
		return json.Unmarshal(data, &r.Key)
	}
	type plain Resource
	return json.Unmarshal(data, (*plain)(r))
}

// Lock is a request through its whole life.
type Lock struct {
	ID         string     `json:"id"`
	State      string     `json:"state"`
	Namespace  string     `json:"namespace"`
	Resources  []Resource `json:"resources"`
	Owner      string     `json:"owner"`
	Subject    string     `json:"subject"`
	Actor      string     `json:"actor,omitempty"` // whom the subject acts for, when that is somebody else
	Priority   string     `json:"priority"`
	Value      int        `json:"priority_value"`  // 0 to 1000, as policy decided
	Token      int64      `json:"token,omitempty"` // only to the subject that made the request
	TTL        Duration   `json:"ttl"`
	Wait       Duration   `json:"wait"`
	Requested  Time       `json:"requested_at"`
	Acquired   Time       `json:"acquired_at"`
	Expires    Time       `json:"expires_at"`           // end of the lease
	Until      Time       `json:"wait_until,omitzero"`  // end of the wait
	OfferUntil Time       `json:"offer_until,omitzero"` // end of the offer
	Ended      Time       `json:"ended_at,omitzero"`
	Reason     string     `json:"reason,omitempty"` // why it ended
	RetryOf    string     `json:"retry_of,omitempty"`
	Losses     int        `json:"losses,omitempty"` // how often it gave way in a deadlock before, along the chain of retry_of

	Position       int       `json:"position"` // 0 unless waiting; 1 is next
	BlockedBy      []Blocker `json:"blocked_by"`
	BlockedByTotal int       `json:"blocked_by_total,omitempty"`

	Decision DecisionSummary   `json:"decision"`
	Labels   map[string]string `json:"labels"`
	Context  json.RawMessage   `json:"context"`
	TraceID  string            `json:"trace_id,omitempty"`
}

// Blocker is one lock or request that another waits for.
type Blocker struct {
	ID       string `json:"id"`
	Owner    string `json:"owner"`
	Resource string `json:"resource"`
	State    string `json:"state"`
	Priority string `json:"priority"`
	Since    Time   `json:"since"`
}

// DecisionSummary is what is kept of a decision beside a lock.
type DecisionSummary struct {
	ID       string   `json:"id"`
	Revision string   `json:"revision"`
	Reasons  []Reason `json:"reasons"`
	Warnings []Reason `json:"warnings,omitempty"`
}

// Reason is one thing that a policy said.
type Reason struct {
	Policy string `json:"policy"`
	Code   string `json:"code"`
	Msg    string `json:"msg"`
}

// TokenRequest is the body of renew and verify.
type TokenRequest struct {
	Token int64     `json:"token"`
	TTL   *Duration `json:"ttl,omitempty"` // renew only; absent keeps the lease's length
}

// PatchRequest is the body of PATCH /v1/locks/{id}.
type PatchRequest struct {
	Priority string `json:"priority"`
}

// LockList is a page of locks.
type LockList struct {
	Items []Lock `json:"items"`
	Next  string `json:"next"` // cursor of the next page; empty at the end
}

// Queue is one resource with everybody who holds it or waits for it.
type Queue struct {
	Namespace string   `json:"namespace"`
	Resource  string   `json:"resource"`
	Holders   []Lock   `json:"holders"`
	Waiters   []Waiter `json:"waiters"` // in order of their grants
	Length    int      `json:"length"`  // all waiters, also those not listed
}

// Waiter is a waiting request with an estimate.
type Waiter struct {
	Lock
	Estimate *Duration `json:"estimate"` // of the wait that is left; null while nothing was observed
}

// QueueList is a page of queues.
type QueueList struct {
	Items []Queue `json:"items"`
	Next  string  `json:"next"`
}
