package gateway_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/wire"
)

// complete answers options with every part, for servers that are not run.
func complete(t *testing.T) gateway.Options {
	t.Helper()
	s := &shelf{}
	reg := prometheus.NewRegistry()
	return gateway.Options{
		Orchestrator: &orchestrator.Orchestrator{}, Policies: s, Decisions: s, Health: s,
		Logger: slog.New(slog.DiscardHandler), Registerer: reg, Gatherer: reg,
	}
}

func TestNew_namesTheMissingPart(t *testing.T) {
	o := complete(t)
	o.Decisions = nil
	_, err := gateway.New(gateway.DefaultConfig(), o)
	require.ErrorContains(t, err, "Decisions")
}

func TestListen_addressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	cfg := gateway.DefaultConfig()
	cfg.HTTP.Listen = l.Addr().String()
	s, err := gateway.New(cfg, complete(t))
	require.NoError(t, err)
	require.ErrorContains(t, s.Listen(t.Context()), cfg.HTTP.Listen+" is in use")
	require.Empty(t, s.Addr())
}

func TestRun_parkedCallsAreAnsweredAndKeepTheirPlace(t *testing.T) {
	r := start(t)
	r.held("one", vpc)
	answered := make(chan *reply, 1)
	go func() {
		a, err := r.as("Prefer", "wait=60").try(context.Background(), "POST", "/v1/locks", waiting("two", vpc))
		if err != nil {
			a = &reply{body: []byte(err.Error()), t: t}
		}
		answered <- a
	}()
	queued := func() []lock.Lock {
		page, err := r.orch.List(t.Context(), &lock.Caller{}, lock.Query{States: []lock.State{lock.Queued}, Limit: 10})
		require.NoError(t, err)
		return page.Locks
	}
	require.Eventually(t, func() bool { return len(queued()) == 1 && queued()[0].Attended }, 10*time.Second, time.Millisecond)
	require.NoError(t, r.stop())
	a := <-answered
	a.problem(http.StatusServiceUnavailable, wire.CodeUnavailable)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Len(t, queued(), 1, "its place is kept")
	_, err := r.try(t.Context(), "GET", "/livez", nil)
	require.Error(t, err, "nobody listens any more")
}

func TestStoreUnreachable_is503(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	r.store.set(&lock.UnavailableError{RetryAfter: 1500 * time.Millisecond, Err: errors.New("dial tcp 10.0.0.7: refused")})
	a := r.do("GET", "/v1/locks/"+l.ID, nil)
	p := a.problem(http.StatusServiceUnavailable, wire.CodeUnavailable)
	require.Equal(t, "2", a.header.Get("Retry-After"))
	require.Equal(t, 2, p.RetryAfter)
	require.NotContains(t, string(a.body), "10.0.0.7")
}

func TestInternalErrors_keepTheirText(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	r.store.set(errors.New("disk sector 7 is gone"))
	a := r.as("X-Request-Id", "call-7").do("GET", "/v1/locks/"+l.ID, nil)
	a.problem(http.StatusInternalServerError, wire.CodeInternal)
	require.NotContains(t, string(a.body), "sector")
	require.Contains(t, r.logs.String(), "sector")
	require.Contains(t, r.logs.String(), "request_id=call-7")
}

func TestMounts_shareAuthenticationAndProblems(t *testing.T) {
	tokens := withTokens(t)
	r := start(t, tokens, func(s *setup) {
		s.options.Mounts = []func(gateway.Routes){func(routes gateway.Routes) {
			routes.Add("LOCK", "/terraform/:state", func(c echo.Context) error {
				return c.String(http.StatusOK, gateway.CallerFrom(c).Subject.ID+" "+gateway.RequestID(c.Request().Context()))
			})
			routes.Add("GET", "/panics", func(echo.Context) error { panic("at the disco") }) //nolint:forbidigo // to see that one call cannot end the gateway
			routes.Add("GET", "/conflict", func(c echo.Context) error { return gateway.WriteError(c, lock.ErrStaleToken) })
		}}
	})
	ann := r.bearer("ann-secret").as("X-Request-Id", "call-7")
	req, err := ann.request(t.Context(), "LOCK", "/terraform/vpc", nil)
	require.NoError(t, err)
	resp, err := r.client.Do(req)
	require.NoError(t, err)
	text := make([]byte, 64)
	n, _ := resp.Body.Read(text)
	resp.Body.Close()
	require.Equal(t, "ann call-7", string(text[:n]))

	r.do("LOCK", "/terraform/vpc", nil).problem(http.StatusUnauthorized, wire.CodeUnauthenticated)
	ann.do("GET", "/conflict", nil).problem(http.StatusConflict, wire.CodeStaleToken)
	a := ann.do("GET", "/panics", nil)
	a.problem(http.StatusInternalServerError, wire.CodeInternal)
	require.NotContains(t, string(a.body), "disco")
	require.Contains(t, r.logs.String(), "at the disco")
}

func TestRequestID_isTakenOverWhenItIsPlain(t *testing.T) {
	r := start(t)
	require.Equal(t, "call-7", r.as("X-Request-Id", "call-7").do("GET", "/livez", nil).header.Get("X-Request-Id"))
	for _, bad := range []string{"", "two words", strings.Repeat("x", 129), "a\"b", "a\u00e9"} {
		made := r.as("X-Request-Id", bad).do("GET", "/livez", nil).header.Get("X-Request-Id")
		require.NotEqual(t, bad, made)
		require.Empty(t, lock.ID(made).Fault())
	}
}

func TestSource_ofTheCommandLine(t *testing.T) {
	r := start(t)
	r.held("one", "a")
	require.Equal(t, lock.FromAPI, r.policy.asked().Caller.Source)
	r.as("User-Agent", "lockctl/1.2.3").held("one", "b")
	require.Equal(t, lock.FromCLI, r.policy.asked().Caller.Source)
}

func TestRateLimit_perSubject(t *testing.T) {
	r := start(t, withTokens(t), func(s *setup) {
		s.config.RateLimit = gateway.RateConfig{PerSubject: 0.01, Burst: 2}
	})
	ann, bob := r.bearer("ann-secret"), r.bearer("bob-secret")
	ann.do("GET", "/v1/queues", nil)
	ann.do("GET", "/v1/queues", nil)
	a := ann.do("GET", "/v1/queues", nil)
	p := a.problem(http.StatusTooManyRequests, wire.CodeRateLimited)
	require.InDelta(t, 100, p.RetryAfter, 2)
	require.Equal(t, http.StatusOK, bob.do("GET", "/v1/queues", nil).status)
}

func TestRateLimit_leavesAnonymousLoopbackAlone(t *testing.T) {
	r := start(t, func(s *setup) { s.config.RateLimit = gateway.RateConfig{PerSubject: 0.01, Burst: 1} })
	for range 5 {
		require.Equal(t, http.StatusOK, r.do("GET", "/v1/queues", nil).status)
	}
}

func TestMetrics_countCallsByBoundedLabels(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	r.do("GET", "/v1/locks/"+l.ID, nil)
	r.do("GET", "/nowhere", nil)
	r.do("BREW", "/v1/locks", nil)
	require.NoError(t, testutil.GatherAndCompare(r.registry, strings.NewReader(`
# HELP lockgate_http_requests_total HTTP calls answered, by method, route and status code.
# TYPE lockgate_http_requests_total counter
lockgate_http_requests_total{code="201",method="POST",route="/v1/locks"} 1
lockgate_http_requests_total{code="200",method="GET",route="/v1/locks/{id}"} 1
lockgate_http_requests_total{code="404",method="GET",route="unmatched"} 1
lockgate_http_requests_total{code="405",method="other",route="/v1/locks"} 1
`), "lockgate_http_requests_total"))
	faults, err := testutil.GatherAndLint(r.registry, "lockgate_http_requests_total", "lockgate_http_request_seconds")
	require.NoError(t, err)
	require.Empty(t, faults)
	a := r.do("GET", "/metrics", nil)
	require.Contains(t, string(a.body), `lockgate_http_request_seconds_count{method="POST",route="/v1/locks"} 1`)
	r.policy.set(func(_ *lock.Question, d *lock.Decision) error {
		refuse(d, "not you")
		return nil
	})
	for _, path := range []string{"/metrics", "/v1/status", "/v1/policies", "/v1/decisions", "/v1/decisions/d1"} {
		p := r.do("GET", path, nil).problem(http.StatusForbidden, wire.CodeDenied)
		require.Empty(t, p.LockID, "the question is about no lock")
	}
}

func TestTracing_oneServerSpanACall(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	r := start(t, func(s *setup) { s.options.TracerProvider = provider })
	const parent = "4bf92f3577b34da6a3ce929d0e0e4736"
	a := r.as("traceparent", "00-"+parent+"-00f067aa0ba902b7-01").do("GET", "/v1/locks/01JZZZZZZZZZZZZZZZZZZZZZZZ", nil)
	require.Regexp(t, regexp.MustCompile("^00-"+parent+"-[0-9a-f]{16}-01$"), a.header.Get("traceparent"))
	require.Equal(t, parent, a.problem(http.StatusNotFound, wire.CodeNotFound).TraceID)
	r.do("GET", "/livez", nil)
	r.do("GET", "/metrics", nil)
	require.NoError(t, r.stop())

	ended := spans.Ended()
	require.Len(t, ended, 1, "probes and scrapes are not traced")
	span := ended[0]
	require.Equal(t, "GET /v1/locks/{id}", span.Name())
	require.Equal(t, parent, span.SpanContext().TraceID().String())
	got := attribute.NewSet(span.Attributes()...)
	for key, want := range map[attribute.Key]attribute.Value{
		"http.route":                attribute.StringValue("/v1/locks/{id}"),
		"http.request.method":       attribute.StringValue("GET"),
		"http.response.status_code": attribute.IntValue(http.StatusNotFound),
		"lockgate.subject":          attribute.StringValue("anonymous"),
	} {
		value, ok := got.Value(key)
		require.True(t, ok, key)
		require.Equal(t, want, value)
	}
}

func TestProbes(t *testing.T) {
	r := start(t)
	at := wire.Time{Time: time.Unix(1, 0)}
	set := func(state string) {
		r.shelf.set(wire.Component{Name: "store", State: state, Message: "redis at 10.0.0.7", Since: at}, wire.Component{Name: "policy", State: wire.StateHealthy, Since: at})
	}
	for _, tc := range []struct {
		state          string
		ready, healthy int
	}{
		{wire.StateHealthy, 200, 200},
		{wire.StateDegraded, 200, 200},
		{wire.StateStarting, 503, 200},
		{wire.StateStopped, 503, 503},
		{wire.StateError, 503, 503},
	} {
		set(tc.state)
		require.Equal(t, tc.ready, r.do("GET", "/readyz", nil).status, tc.state)
		require.Equal(t, tc.healthy, r.do("GET", "/healthz", nil).status, tc.state)
		require.Equal(t, 200, r.do("GET", "/livez", nil).status, tc.state)
		var status wire.Status
		r.do("GET", "/v1/status", nil).into(&status)
		require.Equal(t, tc.state, status.State)
		require.Equal(t, "redis at 10.0.0.7", status.Components[0].Message)
	}
	require.Equal(t, "[-] store: error\n[+] policy: healthy\nnot ok\n", string(r.do("GET", "/readyz?verbose", nil).body))
}

func TestProbes_answerHEAD(t *testing.T) {
	r := start(t)
	for state, want := range map[string]int{wire.StateHealthy: 200, wire.StateError: 503} {
		r.shelf.set(wire.Component{Name: "store", State: state})
		for _, path := range []string{"/readyz", "/healthz", "/readyz?verbose"} {
			a := r.do("HEAD", path, nil)
			require.Equal(t, want, a.status, path)
			require.Empty(t, a.body)
		}
		require.Equal(t, 200, r.do("HEAD", "/livez", nil).status)
	}
}

func TestStatus_answersWhileTheTableDoesNot(t *testing.T) {
	r := start(t)
	r.shelf.set(wire.Component{Name: "store", State: wire.StateError, Message: "the disk is full", Since: wire.Time{Time: time.Unix(1, 0)}})
	r.store.set(errors.New("the disk is full"))
	var status wire.Status
	r.do("GET", "/v1/status", nil).into(&status)
	require.Equal(t, wire.StateError, status.State)
	require.Nil(t, status.Locks)
}

func TestStatus_countsTheTable(t *testing.T) {
	r := start(t)
	r.held("one", vpc)
	r.queued("two", vpc)
	var status wire.Status
	r.do("GET", "/v1/status", nil).into(&status)
	require.Equal(t, 1, status.Locks.Held)
	require.Equal(t, 1, status.Locks.Queued["normal"])
	require.Equal(t, wire.Build{Version: "v0", Go: "go1"}, status.Build)
}

func TestWelcome_linksToWhatThereIs(t *testing.T) {
	r := start(t)
	page := string(r.do("GET", "/", nil).body)
	links := regexp.MustCompile(`href="(/[^"?]*)`).FindAllStringSubmatch(page, -1)
	require.NotEmpty(t, links)
	for _, link := range links {
		path, _ := r.document.find(link[1])
		require.NotEmpty(t, path, link[1])
	}
}

func TestReadTimeout_boundsTheBodyAndNotTheWait(t *testing.T) {
	r := start(t, func(s *setup) { s.config.HTTP.ReadTimeout = 100 * time.Millisecond })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("POST /v1/locks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "400 Bad Request")
	require.Contains(t, string(answer), "the body took longer than 100ms")

	r.held("one", vpc)
	b := waiting("two", vpc)
	b.Wait = wire.Duration(300 * time.Millisecond)
	p := r.as("Prefer", "wait=30").do("POST", "/v1/locks", b).problem(http.StatusLocked, wire.CodeLocked)
	require.Equal(t, "timed_out", p.State, "the call waited three times the read timeout")
}
