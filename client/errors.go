package client

import (
	"errors"
	"net/http"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// What went wrong, for errors.Is. All but ErrUnreachable and ErrLost come with
// the gateway's [*wire.Problem], for errors.As.
var (
	// ErrUnreachable: no gateway answered.
	ErrUnreachable = errors.New("no gateway answers")
	// ErrUnavailable: the gateway cannot serve the call at present, for lack of its
	// store, its policy or room.
	ErrUnavailable = errors.New("the gateway is unavailable")
	// ErrInvalid: the request itself is wrong.
	ErrInvalid = errors.New("invalid request")
	// ErrUnauthenticated: the gateway does not know the caller.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrDenied: policy said no.
	ErrDenied = errors.New("denied by policy")
	// ErrNotFound: there is no such lock, or none that the caller may see.
	ErrNotFound = errors.New("not found")
	// ErrLocked: somebody else holds the resource, or the wait ended without a
	// lock.
	ErrLocked = errors.New("locked")
	// ErrDeadlock: the request was chosen to give way.
	ErrDeadlock = errors.New("deadlock victim")
	// ErrStaleToken: the token is not that of the live lock.
	ErrStaleToken = errors.New("stale token")
	// ErrIdempotencyConflict: the idempotency key was used with another body.
	ErrIdempotencyConflict = errors.New("idempotency conflict")
	// ErrLost: a held lock is held no longer, and its holder did not release it.
	ErrLost = errors.New("the lock is lost")
)

// refusal is a problem that a gateway answered with.
type refusal struct {
	problem *wire.Problem
	after   time.Duration // what Retry-After said; 0: nothing
}

func (r *refusal) Error() string { return r.problem.Error() }

func (r *refusal) Unwrap() error { return r.problem }

// Is finds the sentinel of the problem.
func (r *refusal) Is(target error) bool { return target == sentinel(r.problem) }

func sentinel(p *wire.Problem) error {
	switch p.Code {
	case wire.CodeBadRequest, wire.CodeTooLarge, wire.CodeUnsupportedMediaType, wire.CodeMethodNotAllowed, wire.CodeInvalid:
		return ErrInvalid
	case wire.CodeUnauthenticated:
		return ErrUnauthenticated
	case wire.CodeDenied:
		return ErrDenied
	case wire.CodeNotFound:
		return ErrNotFound
	case wire.CodeLocked:
		return ErrLocked
	case wire.CodeDeadlock:
		return ErrDeadlock
	case wire.CodeStaleToken:
		return ErrStaleToken
	case wire.CodeIdempotencyConflict:
		return ErrIdempotencyConflict
	case wire.CodeRateLimited, wire.CodeQueueFull, wire.CodeUnavailable, wire.CodePolicyError, wire.CodePolicyQuarantined:
		return ErrUnavailable
	}
	if overloaded(p.Status) {
		return ErrUnavailable
	}
	return nil
}

// overloaded reports whether a status speaks of a gateway, or a proxy before it,
// that cannot serve at present.
func overloaded(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// final reports whether an error is the gateway's last word: repeating the call
// would change nothing.
func final(err error) bool {
	var r *refusal
	if !errors.As(err, &r) {
		return !errors.Is(err, ErrUnreachable)
	}
	return !overloaded(r.problem.Status) || r.problem.Code == wire.CodePolicyQuarantined
}
