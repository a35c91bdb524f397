package lock

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels: which error it is. Types below carry what a caller can do about it.
var (
	ErrNotFound            = errors.New("no such lock")
	ErrStaleToken          = errors.New("the token is not the live one")
	ErrIdempotencyConflict = errors.New("the idempotency key was used with another body")
	ErrNotQueued           = errors.New("the request is not queued")
	ErrNotOffered          = errors.New("the request is not offered")
	ErrLocked              = errors.New("locked")
	ErrNotYours            = errors.New("the request belongs to another subject")
	ErrBroken              = errors.New("the deadlock does not stand any more")
	ErrForgotten           = errors.New("the request made with this idempotency key ended too long ago to be shown: use a new key")
)

// StaleTokenError is a token that is not the live one. It is [ErrStaleToken].
type StaleTokenError struct {
	Lock Lock // as it stands
}

func (e *StaleTokenError) Error() string {
	return fmt.Sprintf("%s: lock %s is %s", ErrStaleToken, e.Lock.ID, e.Lock.State)
}

// Is makes errors.Is(err, ErrStaleToken) true.
func (e *StaleTokenError) Is(target error) bool { return target == ErrStaleToken }

// ConflictError is a try-lock that met somebody, or a wait that ran out. It is
// [ErrLocked].
type ConflictError struct {
	Lock Lock // the request, with BlockedBy
}

func (e *ConflictError) Error() string {
	if len(e.Lock.BlockedBy) == 0 {
		return "locked"
	}
	b := e.Lock.BlockedBy[0]
	return fmt.Sprintf("%q is locked by %s since %s", b.Resource, b.Owner, b.Since.UTC().Format(time.RFC3339))
}

// Is makes errors.Is(err, ErrLocked) true.
func (e *ConflictError) Is(target error) bool { return target == ErrLocked }

// EndedError answers a call about a request that has ended without becoming
// held.
type EndedError struct {
	Lock Lock
}

func (e *EndedError) Error() string {
	if e.Lock.Reason == "" {
		return fmt.Sprintf("request %s has ended: %s", e.Lock.ID, e.Lock.State)
	}
	return fmt.Sprintf("request %s has ended: %s (%s)", e.Lock.ID, e.Lock.State, e.Lock.Reason)
}

// DeniedError is a decision that says no.
type DeniedError struct {
	LockID   ID // "" when there was no request
	Action   Action
	Decision Summary
}

func (e *DeniedError) Error() string {
	if len(e.Decision.Reasons) == 0 {
		return fmt.Sprintf("%s is denied: no policy grants it", e.Action)
	}
	msgs := make([]string, len(e.Decision.Reasons))
	for i, r := range e.Decision.Reasons {
		msgs[i] = r.Msg
	}
	return fmt.Sprintf("%s is denied: %s", e.Action, strings.Join(msgs, "; "))
}

// PolicyError is a question that policy could not answer: the call is refused.
type PolicyError struct {
	Quarantined bool // the package of this organisation is switched off until it changes
	DecisionID  string
	Err         error
}

func (e *PolicyError) Error() string { return "policy could not decide: " + e.Err.Error() }

func (e *PolicyError) Unwrap() error { return e.Err }

// QueueFullError is a request that would have made a queue too long.
type QueueFullError struct {
	Resource Key
	Limit    int
}

func (e *QueueFullError) Error() string {
	return fmt.Sprintf("the queue of %q is full (%d requests)", e.Resource, e.Limit)
}

// BusyError is a call that found the admission queue full. Nothing was tried.
type BusyError struct {
	RetryAfter time.Duration
}

func (e *BusyError) Error() string { return "the gateway has too many requests under way" }

// UnavailableError is a store that cannot be reached, or a gateway that stops.
// What was asked for may have happened unless Untried; a repeat with the same
// idempotency key finds out.
type UnavailableError struct {
	RetryAfter time.Duration
	Untried    bool // nothing was handed to the store
	Err        error
}

func (e *UnavailableError) Error() string { return "unavailable: " + e.Err.Error() }

func (e *UnavailableError) Unwrap() error { return e.Err }

// Fault is one thing wrong with a request.
type Fault struct {
	Pointer string `json:"pointer"` // JSON pointer into the body, or the parameter's name
	Detail  string `json:"detail"`
}

// InvalidError lists everything wrong with a request.
type InvalidError struct {
	Faults []Fault
}

func (e *InvalidError) Error() string {
	parts := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		parts[i] = strings.TrimSpace(f.Pointer + " " + f.Detail)
	}
	return strings.Join(parts, "; ")
}

// Invalid is an InvalidError with one fault.
func Invalid(pointer, detail string) error {
	return &InvalidError{Faults: []Fault{{Pointer: pointer, Detail: detail}}}
}
