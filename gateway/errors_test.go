package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestProblemOf_isTheTableOfErrors(t *testing.T) {
	ended := func(s lock.State) error { return &lock.EndedError{Lock: lock.Lock{ID: "01J", State: s}} }
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{lock.ErrNotFound, 404, wire.CodeNotFound},
		{lock.ErrStaleToken, 409, wire.CodeStaleToken},
		{&lock.StaleTokenError{}, 409, wire.CodeStaleToken},
		{lock.ErrIdempotencyConflict, 422, wire.CodeIdempotencyConflict},
		{lock.ErrForgotten, 422, wire.CodeIdempotencyConflict},
		{lock.ErrNotQueued, 422, wire.CodeInvalid},
		{lock.ErrNotOffered, 422, wire.CodeInvalid},
		{lock.ErrNotYours, 403, wire.CodeDenied},
		{lock.ErrLocked, 423, wire.CodeLocked},
		{&lock.ConflictError{}, 423, wire.CodeLocked},
		{ended(lock.TimedOut), 423, wire.CodeLocked},
		{ended(lock.Cancelled), 423, wire.CodeLocked},
		{ended(lock.Released), 423, wire.CodeLocked},
		{ended(lock.Expired), 423, wire.CodeLocked},
		{ended(lock.Revoked), 423, wire.CodeLocked},
		{ended(lock.Denied), 403, wire.CodeDenied},
		{ended(lock.Victim), 409, wire.CodeDeadlock},
		{&lock.DeadlockError{LockID: "01J"}, 409, wire.CodeDeadlock},
		{&lock.DeadlockError{}, 409, wire.CodeDeadlock},
		{&lock.FloodError{RetryAfter: time.Second}, 429, wire.CodeRateLimited},
		{ended(lock.Held), 500, wire.CodeInternal},
		{&lock.DeniedError{Action: lock.ActAcquire}, 403, wire.CodeDenied},
		{&lock.PolicyError{Err: errors.New("x")}, 503, wire.CodePolicyError},
		{&lock.PolicyError{Err: errors.New("x"), Quarantined: true}, 503, wire.CodePolicyQuarantined},
		{&lock.QueueFullError{}, 429, wire.CodeQueueFull},
		{&lock.BusyError{RetryAfter: time.Millisecond}, 429, wire.CodeQueueFull},
		{&lock.UnavailableError{Err: errors.New("x")}, 503, wire.CodeUnavailable},
		{lock.Invalid("/owner", "is empty"), 422, wire.CodeInvalid},
		{&http.MaxBytesError{Limit: 7}, 413, wire.CodeTooLarge},
		{echo.ErrNotFound, 404, wire.CodeNotFound},
		{echo.ErrMethodNotAllowed, 405, wire.CodeMethodNotAllowed},
		{echo.ErrTeapot, 500, wire.CodeInternal},
		{context.Canceled, 503, wire.CodeUnavailable},
		{errors.New("disk sector 7 is gone"), 500, wire.CodeInternal},
	} {
		for _, err := range []error{tc.err, fmt.Errorf("acquire: %w", tc.err)} {
			p := gateway.ProblemOf(err)
			require.Equal(t, tc.status, p.Status, "%v", err)
			require.Equal(t, tc.code, p.Code, "%v", err)
			require.Equal(t, wire.ProblemType+tc.code, p.Type)
			require.NotEmpty(t, p.Title)
			if tc.code == wire.CodeInternal {
				require.Empty(t, p.Detail, "the text of internal errors stays inside")
			}
			if tc.status == http.StatusTooManyRequests || tc.code == wire.CodeUnavailable {
				require.Positive(t, p.RetryAfter, "%v", err)
			}
		}
	}
}

func TestProblemOf_aboutARequest(t *testing.T) {
	p := gateway.ProblemOf(&lock.EndedError{Lock: lock.Lock{ID: "01J", State: lock.Revoked, Reason: "holder is gone"}})
	require.Equal(t, "01J", p.LockID)
	require.Equal(t, "revoked", p.State)
	require.Contains(t, p.Detail, "holder is gone")

	p = gateway.ProblemOf(lock.Invalid("/owner", "is empty"))
	require.Equal(t, []wire.FieldError{{Pointer: "/owner", Detail: "is empty"}}, p.Errors)
}

func TestProblemOf_unavailableSaysWhetherItWasTried(t *testing.T) {
	tried := gateway.ProblemOf(&lock.UnavailableError{Err: errors.New("x")})
	require.Contains(t, tried.Detail, "may or may not have taken effect")
	untried := gateway.ProblemOf(&lock.UnavailableError{Err: errors.New("x"), Untried: true})
	require.Contains(t, untried.Detail, "has changed nothing")
}

func TestProblemOf_staleTokenSaysWhatBecameOfTheLock(t *testing.T) {
	p := gateway.ProblemOf(fmt.Errorf("renew: %w", &lock.StaleTokenError{Lock: lock.Lock{ID: "01J", State: lock.Expired}}))
	require.Equal(t, "01J", p.LockID)
	require.Equal(t, "expired", p.State)
}
