package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inProcess carries requests to a handler without a network, so that a synctest
// bubble sees every wait.
type inProcess struct {
	handler http.Handler
	down    atomic.Bool
}

func (p *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.down.Load() {
		return nil, errors.New("connection refused")
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}

func dial(t *testing.T, handler http.Handler) (*client.Client, *inProcess) {
	t.Helper()
	p := &inProcess{handler: handler}
	c, err := client.New(client.Config{URL: "http://gateway.test", HTTPClient: &http.Client{Transport: p}})
	require.NoError(t, err)
	return c, p
}

func ask(owner string, ttl, wait time.Duration) *wire.AcquireRequest {
	return &wire.AcquireRequest{
		Resources: []wire.Resource{{Key: "vpc"}}, Owner: owner,
		TTL: wire.Duration(ttl), Wait: wire.Duration(wait),
	}
}

func TestNew_refusesAnAddressThatIsNone(t *testing.T) {
	for _, url := range []string{"", "gateway:7480", "ftp://gateway", "http://", "http://bad host"} {
		_, err := client.New(client.Config{URL: url})
		require.ErrorContains(t, err, "such as http://127.0.0.1:7480", "%q", url)
	}
	_, err := client.New(client.Config{URL: "http://ann:secret@gateway?x=1"})
	require.ErrorContains(t, err, "has a query")
	require.NotContains(t, err.Error(), "secret")
}

func TestCall_sendsWhoAsks(t *testing.T) {
	var got http.Header
	p := &inProcess{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		newFake().ServeHTTP(w, r)
	})}
	c, err := client.New(client.Config{
		URL: "http://gateway.test/", Token: "secret", UserAgent: "lockctl/1.0", HTTPClient: &http.Client{Transport: p},
		Headers: func(_ context.Context, h http.Header) { h.Set("Traceparent", "00-a-b-01") },
	})
	require.NoError(t, err)
	_, err = c.Acquire(t.Context(), ask("ann", 0, 0), client.WithIdempotencyKey("run-7"))
	require.NoError(t, err)
	require.Equal(t, "Bearer secret", got.Get("Authorization"))
	require.Equal(t, "lockctl/1.0", got.Get("User-Agent"))
	require.Equal(t, "00-a-b-01", got.Get("Traceparent"))
	require.Equal(t, "run-7", got.Get("Idempotency-Key"))
	require.Equal(t, "application/json", got.Get("Content-Type"))
}

func TestCall_namesTheProblem(t *testing.T) {
	for _, tt := range []struct {
		problem wire.Problem
		is      error
	}{
		{wire.Problem{Status: 422, Code: wire.CodeInvalid}, client.ErrInvalid},
		{wire.Problem{Status: 401, Code: wire.CodeUnauthenticated}, client.ErrUnauthenticated},
		{wire.Problem{Status: 403, Code: wire.CodeDenied}, client.ErrDenied},
		{wire.Problem{Status: 404, Code: wire.CodeNotFound}, client.ErrNotFound},
		{wire.Problem{Status: 423, Code: wire.CodeLocked}, client.ErrLocked},
		{wire.Problem{Status: 409, Code: wire.CodeDeadlock}, client.ErrDeadlock},
		{wire.Problem{Status: 409, Code: wire.CodeStaleToken}, client.ErrStaleToken},
		{wire.Problem{Status: 422, Code: wire.CodeIdempotencyConflict}, client.ErrIdempotencyConflict},
		{wire.Problem{Status: 503, Code: wire.CodePolicyQuarantined}, client.ErrUnavailable},
	} {
		t.Run(tt.problem.Code, func(t *testing.T) {
			calls := 0
			c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				refuse(w, tt.problem)
			}))
			_, err := c.Verify(t.Context(), "01J", 7)
			require.ErrorIs(t, err, tt.is)
			var p *wire.Problem
			require.ErrorAs(t, err, &p)
			require.Equal(t, tt.problem.Code, p.Code)
			require.Equal(t, 1, calls, "the last word is not asked for twice")
		})
	}
}

func TestCall_saysThatTheAnswerIsNoGateways(t *testing.T) {
	c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("<html>welcome</html>"))
	}))
	_, err := c.Get(t.Context(), "01J", 0)
	require.ErrorContains(t, err, "no answer of a Lockgate gateway")

	c, _ = dial(t, http.NotFoundHandler())
	_, err = c.Get(t.Context(), "01J", 0)
	require.ErrorContains(t, err, "404 Not Found: the answer does not come from a Lockgate gateway")
}

func TestRetry_repeatsWithTheSameKeyAfterTheStatedPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newFake()
		var keys []string
		var at []time.Duration
		start := time.Now()
		c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			at = append(at, time.Since(start))
			if len(keys) < 3 {
				refuse(w, wire.Problem{Status: 503, Code: wire.CodeUnavailable, Title: "Unavailable", RetryAfter: 2})
				return
			}
			table.ServeHTTP(w, r)
		}))
		l, err := c.Acquire(t.Context(), ask("ann", 0, 0))
		require.NoError(t, err)
		require.Equal(t, client.Held, l.State)
		require.Len(t, keys, 3)
		require.NotEmpty(t, keys[0])
		require.Equal(t, keys[0], keys[1])
		require.Equal(t, keys[0], keys[2])
		require.GreaterOrEqual(t, at[1], 2*time.Second)
		require.GreaterOrEqual(t, at[2], 4*time.Second)
		require.Less(t, at[2], 5*time.Second)
	})
}

func TestRetry_isBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, http.NotFoundHandler())
		p.down.Store(true)
		start := time.Now()
		_, err := c.Status(t.Context())
		require.ErrorIs(t, err, client.ErrUnreachable)
		require.EqualError(t, err, "get status: no gateway answers at http://gateway.test: connection refused")
		require.Greater(t, time.Since(start), 4*time.Second)
		require.LessOrEqual(t, time.Since(start), 10*time.Second)
	})
}

func TestRetry_givesUpWhenTheGatewayAsksForTooMuchPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, wire.Problem{Status: 429, Code: wire.CodeRateLimited, Title: "Too many requests", RetryAfter: 3600})
		}))
		start := time.Now()
		_, err := c.Status(t.Context())
		require.ErrorIs(t, err, client.ErrUnavailable)
		require.Zero(t, time.Since(start))
	})
}

func TestRetry_endsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, http.NotFoundHandler())
		p.down.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := c.Status(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, client.ErrUnreachable)
	})
}

func TestRetry_aGatewayThatNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		_, err := c.Status(t.Context())
		require.ErrorIs(t, err, client.ErrUnreachable)
		require.ErrorContains(t, err, "in time")
	})
}
