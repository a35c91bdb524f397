package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// problemError is an error that the gateway itself answers with.
type problemError struct {
	code       string
	detail     string
	retryAfter time.Duration
}

func (e *problemError) Error() string { return e.code + ": " + e.detail }

// kindOf is the table of codes: the status and title of each.
func kindOf(code string) (status int, title string) {
	switch code {
	case wire.CodeBadRequest:
		return http.StatusBadRequest, "The request cannot be read"
	case wire.CodeUnauthenticated:
		return http.StatusUnauthorized, "Authentication is needed"
	case wire.CodeDenied:
		return http.StatusForbidden, "Denied"
	case wire.CodeNotFound:
		return http.StatusNotFound, "Not found"
	case wire.CodeMethodNotAllowed:
		return http.StatusMethodNotAllowed, "The route has no such method"
	case wire.CodeDeadlock:
		return http.StatusConflict, "Chosen as victim of a deadlock"
	case wire.CodeStaleToken:
		return http.StatusConflict, "The token is not the live one"
	case wire.CodeTooLarge:
		return http.StatusRequestEntityTooLarge, "The body is too large"
	case wire.CodeUnsupportedMediaType:
		return http.StatusUnsupportedMediaType, "The body is not JSON"
	case wire.CodeInvalid:
		return http.StatusUnprocessableEntity, "The request is not valid"
	case wire.CodeIdempotencyConflict:
		return http.StatusUnprocessableEntity, "The idempotency key was used with another body"
	case wire.CodeLocked:
		return http.StatusLocked, "Locked"
	case wire.CodeRateLimited:
		return http.StatusTooManyRequests, "Too many calls"
	case wire.CodeQueueFull:
		return http.StatusTooManyRequests, "The queue is full"
	case wire.CodeNotImplemented:
		return http.StatusNotImplemented, "Not served by this gateway"
	case wire.CodeUnavailable:
		return http.StatusServiceUnavailable, "Unavailable"
	case wire.CodePolicyError:
		return http.StatusServiceUnavailable, "Policy could not decide"
	case wire.CodePolicyQuarantined:
		return http.StatusServiceUnavailable, "The policy is quarantined"
	}
	return http.StatusInternalServerError, "Internal error"
}

// problemOf is the table of errors: the code of each and what it says. An error
// that is not in it is internal and says nothing.
func problemOf(err error) *wire.Problem {
	p := carried(err)
	if p == nil {
		p = named(err)
	}
	p.Type = wire.ProblemType + p.Code
	p.Status, p.Title = kindOf(p.Code)
	return p
}

// carried makes problems of the error types, which carry what a caller can do.
func carried(err error) *wire.Problem {
	var (
		own         *problemError
		conflict    *lock.ConflictError
		ended       *lock.EndedError
		stale       *lock.StaleTokenError
		denied      *lock.DeniedError
		undecided   *lock.PolicyError
		full        *lock.QueueFullError
		busy        *lock.BusyError
		unavailable *lock.UnavailableError
		invalid     *lock.InvalidError
		deadlock    *lock.DeadlockError
		flood       *lock.FloodError
		routing     *echo.HTTPError
		tooLarge    *http.MaxBytesError
	)
	switch {
	case errors.As(err, &own):
		return &wire.Problem{Code: own.code, Detail: own.detail, RetryAfter: seconds(own.retryAfter)}
	case errors.As(err, &conflict):
		return lockedProblem(&conflict.Lock, conflict.Error())
	case errors.As(err, &deadlock):
		return deadlockProblem(deadlock)
	case errors.As(err, &flood):
		return &wire.Problem{Code: wire.CodeRateLimited, Detail: flood.Error(), RetryAfter: max(1, seconds(flood.RetryAfter))}
	case errors.As(err, &ended):
		return endedProblem(ended)
	case errors.As(err, &stale):
		return about(&wire.Problem{Code: wire.CodeStaleToken, Detail: staleToken}, &stale.Lock)
	case errors.As(err, &denied):
		return &wire.Problem{
			Code: wire.CodeDenied, Detail: denied.Error(), LockID: string(denied.LockID),
			Reasons: reasons(denied.Decision.Reasons), DecisionID: denied.Decision.ID,
		}
	case errors.As(err, &undecided):
		return policyProblem(undecided)
	case errors.As(err, &full):
		return &wire.Problem{Code: wire.CodeQueueFull, Detail: full.Error(), RetryAfter: 10}
	case errors.As(err, &busy):
		return &wire.Problem{Code: wire.CodeQueueFull, Detail: busy.Error(), RetryAfter: seconds(busy.RetryAfter)}
	case errors.As(err, &unavailable):
		return unavailableProblem(unavailable)
	case errors.As(err, &invalid):
		return &wire.Problem{Code: wire.CodeInvalid, Detail: invalid.Error(), Errors: faults(invalid)}
	case errors.As(err, &tooLarge):
		return &wire.Problem{
			Code:   wire.CodeTooLarge,
			Detail: "a body may have at most " + strconv.FormatInt(tooLarge.Limit, 10) + " bytes",
		}
	case errors.As(err, &routing):
		return routingProblem(routing)
	}
	return nil
}

const staleToken = "the lock was lost, or the token was never the lock's: do not touch what it guards"

// named makes problems of the sentinels.
func named(err error) *wire.Problem {
	switch {
	case errors.Is(err, lock.ErrNotFound):
		return &wire.Problem{Code: wire.CodeNotFound, Detail: "no lock or request has this id, or it ended too long ago"}
	case errors.Is(err, lock.ErrStaleToken):
		return &wire.Problem{Code: wire.CodeStaleToken, Detail: staleToken}
	case errors.Is(err, lock.ErrIdempotencyConflict):
		return &wire.Problem{Code: wire.CodeIdempotencyConflict, Detail: "use a new key for another request"}
	case errors.Is(err, lock.ErrForgotten):
		return &wire.Problem{Code: wire.CodeIdempotencyConflict, Detail: lock.ErrForgotten.Error()}
	case errors.Is(err, lock.ErrNotQueued), errors.Is(err, lock.ErrNotOffered):
		return &wire.Problem{Code: wire.CodeInvalid, Detail: err.Error()}
	case errors.Is(err, lock.ErrNotYours):
		return &wire.Problem{Code: wire.CodeDenied, Detail: lock.ErrNotYours.Error()}
	case errors.Is(err, lock.ErrLocked):
		return &wire.Problem{Code: wire.CodeLocked}
	case errors.Is(err, errors.ErrUnsupported):
		return &wire.Problem{Code: wire.CodeNotImplemented, Detail: "the store of this gateway does not look for deadlocks: a file or memory does"}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailableProblem(&lock.UnavailableError{RetryAfter: time.Second})
	}
	return &wire.Problem{Code: wire.CodeInternal}
}

func lockedProblem(l *lock.Lock, detail string) *wire.Problem {
	p := &wire.Problem{
		Code: wire.CodeLocked, Detail: detail,
		BlockedBy: blockers(l.BlockedBy), BlockedByTotal: l.BlockedByTotal,
	}
	return about(p, l)
}

// about names the request that a problem is about. A try-lock that was refused
// never entered the table, so it has no state.
func about(p *wire.Problem, l *lock.Lock) *wire.Problem {
	p.LockID = string(l.ID)
	if l.State != 0 {
		p.State = l.State.String()
	}
	return p
}

// deadlockProblem says who waits for whom, and what to do.
func deadlockProblem(e *lock.DeadlockError) *wire.Problem {
	p := &wire.Problem{
		Code: wire.CodeDeadlock, Cycle: cycle(e.Cycle), VictimPolicy: e.Policy, LockID: string(e.LockID),
		Detail: "the declared wait would close a ring that nobody can leave (" + e.Cycle.String() + "); declare it when the other one is over",
	}
	if e.LockID != "" {
		p.State = lock.Victim.String()
		p.Detail = e.Cycle.String() + "; release what you hold, then ask again with retry_of " + p.LockID
	}
	return p
}

func endedProblem(e *lock.EndedError) *wire.Problem {
	l := &e.Lock
	switch l.State {
	case lock.Denied:
		return about(&wire.Problem{
			Code: wire.CodeDenied, Detail: e.Error(),
			Reasons: reasons(l.Decision.Reasons), DecisionID: l.Decision.ID,
		}, l)
	case lock.Victim:
		return deadlockProblem(&lock.DeadlockError{LockID: l.ID})
	case lock.TimedOut, lock.Cancelled, lock.Released, lock.Expired, lock.Revoked:
		return lockedProblem(l, e.Error())
	case lock.Queued, lock.Offered, lock.Held:
	}
	return &wire.Problem{Code: wire.CodeInternal}
}

func policyProblem(e *lock.PolicyError) *wire.Problem {
	code, detail := wire.CodePolicyError, "policy could not decide, so the call is refused; the decision log has the error"
	if e.Quarantined {
		code, detail = wire.CodePolicyQuarantined, "the policy of this organisation is switched off until it changes"
	}
	return &wire.Problem{Code: code, Detail: detail, DecisionID: e.DecisionID}
}

func unavailableProblem(e *lock.UnavailableError) *wire.Problem {
	detail := "the call may or may not have taken effect: repeat it with the same Idempotency-Key"
	if e.Untried {
		detail = "the call was not tried and has changed nothing: repeat it later"
	}
	return &wire.Problem{Code: wire.CodeUnavailable, RetryAfter: max(1, seconds(e.RetryAfter)), Detail: detail}
}

func routingProblem(e *echo.HTTPError) *wire.Problem {
	switch e.Code {
	case http.StatusNotFound:
		return &wire.Problem{Code: wire.CodeNotFound, Detail: "there is no such route; /openapi.json lists them"}
	case http.StatusMethodNotAllowed:
		return &wire.Problem{Code: wire.CodeMethodNotAllowed, Detail: "the header Allow lists the methods of this route"}
	}
	return &wire.Problem{Code: wire.CodeInternal}
}

// WriteError answers a call with the problem that err is. It writes nothing
// when the answer has begun.
func WriteError(c echo.Context, err error) error {
	if c.Response().Committed {
		return nil
	}
	p := problemOf(err)
	r := c.Request()
	p.Instance = r.URL.EscapedPath()
	if sc := trace.SpanContextFromContext(r.Context()); sc.IsValid() {
		p.TraceID = sc.TraceID().String()
	}
	h := c.Response().Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized {
		h["Www-Authenticate"] = []string{`Bearer realm="lockgate"`, `Basic realm="lockgate"`}
	}
	return writeJSONAs(c, p.Status, "application/problem+json", p)
}

// seconds rounds up: a caller that waits for them is not too early.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

func faults(e *lock.InvalidError) []wire.FieldError {
	out := make([]wire.FieldError, len(e.Faults))
	for i, f := range e.Faults {
		out[i] = wire.FieldError(f)
	}
	return out
}
