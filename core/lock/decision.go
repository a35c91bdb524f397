package lock

import (
	"encoding/json"
	"fmt"
	"time"
)

// Action is what a caller wants to do.
type Action uint8

// The actions that policy knows.
const (
	ActAcquire Action = iota + 1
	ActRenew
	ActRelease
	ActForceRelease
	ActReprioritize
	ActRead
	ActAdmin
)

func (a Action) String() string {
	switch a {
	case ActAcquire:
		return "acquire"
	case ActRenew:
		return "renew"
	case ActRelease:
		return "release"
	case ActForceRelease:
		return "force_release"
	case ActReprioritize:
		return "reprioritize"
	case ActRead:
		return "read"
	case ActAdmin:
		return "admin"
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// MarshalText writes the action as policies see it.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads an action.
func (a *Action) UnmarshalText(text []byte) error {
	for c := ActAcquire; c <= ActAdmin; c++ {
		if c.String() == string(text) {
			*a = c
			return nil
		}
	}
	return fmt.Errorf("%q is no action", text)
}

// Stage is the moment of a request at which policy is asked.
type Stage uint8

// The stages.
const (
	AtEnqueue Stage = iota
	AtGrant
)

func (s Stage) String() string {
	switch s {
	case AtEnqueue:
		return "enqueue"
	case AtGrant:
		return "grant"
	}
	return fmt.Sprintf("Stage(%d)", uint8(s))
}

// Want is what the caller asked for; policy may give less.
type Want struct {
	Priority Priority
	TTL      time.Duration // 0: until released
	Wait     time.Duration
	Reason   string
	Incident string
}

// Question is what policy is asked about one call.
type Question struct {
	Action    Action
	Stage     Stage
	DryRun    bool
	Listed    bool   // one of the many reads of a list: decided, not logged
	RequestID string // id of the lock request, or of the call when there is none
	Time      time.Time
	Caller    Caller
	Namespace Namespace
	Resources []Resource // empty: the question is about the whole gateway
	Owner     Owner
	Want      Want
	Labels    map[string]string
	Context   json.RawMessage // a JSON object, or nil
	Facts     []Facts         // one a resource; nil when no loaded policy reads them
}

// Facts is what the lock table knows about one resource and who asks for it.
type Facts struct {
	Holder        *Lock // the first holder or offer; nil when free
	QueueLength   int   // requests that wait for the resource
	Mine          int   // of them, the owner's
	HeldBySubject int   // locks of the subject in the namespace
	HeldByOwner   int   // locks of the owner in the namespace
	Waited        time.Duration
}

// Needs says which facts the loaded policies read; a caller that has not these
// may leave [Question.Facts] nil.
type Needs struct {
	Lock, Queue bool
}

// Any reports whether a read of the lock table is needed at all.
func (n Needs) Any() bool { return n.Lock || n.Queue }

// Reason is one thing that a policy said about a request.
type Reason struct {
	Policy string `json:"policy"`
	Code   string `json:"code"`
	Msg    string `json:"msg"`
}

// Limits bound what a granted request may have. Absent ones are the
// configuration's.
type Limits struct {
	TTL   time.Duration // 0: no limit of policy's
	Wait  *time.Duration
	Queue *int
}

// Preempt says whether a request may take locks from holders that are less
// urgent. The zero value is no.
type Preempt struct {
	Allowed bool
	Below   int           // holders with a smaller priority value
	Grace   time.Duration // what such a holder gets to finish
}

// Decision is what policy answered to one question.
type Decision struct {
	Summary

	Allow          bool
	Priority       Priority
	Value          int // 0 to 1000
	Limits         Limits
	Preempt        Preempt
	Preemptible    bool
	DeadlockAction string
	Obligations    []map[string]any
}

// Summary is what is kept of a decision beside the lock.
type Summary struct {
	ID       string   `json:"id"`
	Revision string   `json:"revision"`
	Reasons  []Reason `json:"reasons,omitempty"`  // why not; empty when allowed
	Warnings []Reason `json:"warnings,omitempty"` // shown to the caller, deny nothing
}
