package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tmaxmax/go-sse"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/wire"
)

// subscription is an open event stream.
type subscription struct {
	t        *testing.T
	document *contract
	messages chan sse.Event
	cancel   context.CancelFunc
	done     chan struct{}
}

// subscribe answers once the stream has begun.
func (r *rig) subscribe(query string) *subscription {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := r.request(ctx, "GET", "/v1/events"+query, nil)
	require.NoError(r.t, err)
	resp, err := r.client.Do(req) //nolint:bodyclose // the goroutine below closes it
	require.NoError(r.t, err)
	require.Equal(r.t, http.StatusOK, resp.StatusCode)
	require.Equal(r.t, "text/event-stream", resp.Header.Get("Content-Type"))
	s := &subscription{t: r.t, document: r.document, messages: make(chan sse.Event, 100), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		defer resp.Body.Close()
		for e, err := range sse.Read(resp.Body, nil) {
			if err != nil {
				return
			}
			s.messages <- e
		}
	}()
	r.t.Cleanup(func() {
		cancel()
		<-s.done
	})
	return s
}

// next answers the next event, held against the document.
func (s *subscription) next() wire.Event {
	s.t.Helper()
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	select {
	case m := <-s.messages:
		require.Empty(s.t, m.Type)
		require.NoError(s.t, s.document.fits("#/components/schemas/Event", []byte(m.Data)), "%s", m.Data)
		var e wire.Event
		require.NoError(s.t, json.Unmarshal([]byte(m.Data), &e))
		require.Equal(s.t, m.LastEventID, e.ID)
		return e
	case <-patience.C:
		s.t.Fatal("no event came")
		return wire.Event{}
	}
}

func TestEvents_areCloudEventsInOrder(t *testing.T) {
	r := start(t)
	s := r.subscribe("")
	l := r.held("one", vpc)
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", l.ID, l.Token), nil).lock(http.StatusOK)
	acquired, released := s.next(), s.next()
	require.Equal(t, "1.0", acquired.SpecVersion)
	require.Equal(t, "dev.lockgate.lock_acquired", acquired.Type)
	require.Equal(t, l.ID, acquired.Subject)
	require.Equal(t, "held", acquired.Data.After)
	require.Equal(t, l.Token, acquired.Data.Lock.Token)
	require.Equal(t, "lockgate", acquired.Source)
	require.Equal(t, "dev.lockgate.lock_released", released.Type)
	require.Equal(t, "held", released.Data.Before)
	require.Equal(t, "released", released.Data.After)
}

func TestEvents_filters(t *testing.T) {
	for name, query := range map[string]string{
		"type":      "?type=lock_released&type=lock_revoked",
		"full type": "?type=dev.lockgate.lock_released",
		"owner":     "?owner=other&type=lock_released",
		"resource":  "?resource=b&type=lock_released",
		"namespace": "?namespace=acme%2Finfra&owner=other&type=lock_released",
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			s := r.subscribe(query)
			r.held("one", vpc)
			l := r.held("other", "b")
			r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", l.ID, l.Token), nil).lock(http.StatusOK)
			e := s.next()
			require.Equal(t, "dev.lockgate.lock_released", e.Type)
			require.Equal(t, l.ID, e.Subject)
		})
	}
	r := start(t)
	r.do("GET", "/v1/events?typ=x", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}

func TestEvents_resumeAfterTheLastOneSeen(t *testing.T) {
	r := start(t)
	s := r.subscribe("")
	r.held("one", "a")
	seen := s.next()
	s.cancel()
	<-s.done
	missed := r.held("two", "b")
	resumed := r.as("Last-Event-ID", seen.ID).subscribe("")
	require.Equal(t, missed.ID, resumed.next().Subject)
}

func TestEvents_showTokensToTheirSubjectOnly(t *testing.T) {
	r := start(t, withTokens(t))
	mine, others := r.bearer("ann-secret").subscribe(""), r.bearer("bob-secret").subscribe("")
	l := r.bearer("ann-secret").held("one", vpc)
	require.Equal(t, l.Token, mine.next().Data.Lock.Token)
	require.Zero(t, others.next().Data.Lock.Token)
}

func TestEvents_hideWhatPolicyHides(t *testing.T) {
	r := start(t)
	r.policy.set(func(q *lock.Question, d *lock.Decision) error {
		if q.Action == lock.ActRead && q.Owner == "secret" {
			refuse(d, "not for you")
		}
		return nil
	})
	s := r.subscribe("")
	r.held("secret", "a")
	l := r.held("open", "b")
	require.Equal(t, l.ID, s.next().Subject)
}

func TestEvents_streamEndsWhenTheGatewayStops(t *testing.T) {
	r := start(t)
	s := r.subscribe("")
	require.NoError(t, r.stop())
	<-s.done
	require.NotContains(t, r.logs.String(), "cut off", "nobody waited for the shutdown grace")
}

func TestEvents_failureIsToldInTheStream(t *testing.T) {
	r := start(t)
	s := r.subscribe("")
	r.policy.set(func(q *lock.Question, _ *lock.Decision) error {
		if q.Action == lock.ActRead {
			return &lock.PolicyError{Err: errors.New("secret")}
		}
		return nil
	})
	r.held("one", vpc)
	m := <-s.messages
	require.Equal(t, "problem", m.Type)
	var p wire.Problem
	require.NoError(t, json.Unmarshal([]byte(m.Data), &p))
	require.Equal(t, wire.CodePolicyError, p.Code)
	require.NotContains(t, m.Data, "secret")
	<-s.done
}

// flow is a response that a test reads while it is written.
type flow struct {
	*httptest.ResponseRecorder

	mu sync.Mutex
}

func (f *flow) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ResponseRecorder.Write(p)
}

func (f *flow) text() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Body.String()
}

func TestEvents_heartbeatEveryFifteenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := assemble(t)
		ctx, cancel := context.WithCancel(t.Context())
		f := &flow{ResponseRecorder: httptest.NewRecorder()}
		var serving sync.WaitGroup
		serving.Go(func() {
			r.Handler().ServeHTTP(f, httptest.NewRequest(http.MethodGet, "http://localhost/v1/events?type=lock_revoked", nil).WithContext(ctx))
		})
		_, err := r.orch.Acquire(t.Context(), &lock.Caller{}, acquireOf("one", "a"))
		require.NoError(t, err)
		tip, err := r.orch.Tip(t.Context())
		require.NoError(t, err)
		time.Sleep(14 * time.Second) //nolint:forbidigo // the clock of the bubble: nothing really waits
		require.NotContains(t, f.text(), "still here")
		time.Sleep(17 * time.Second) //nolint:forbidigo // as above
		require.Equal(t, 2, strings.Count(f.text(), ": still here"))
		require.Contains(t, f.text(), "id: "+string(tip), "a filtered reader moves on all the same")
		cancel()
		serving.Wait()
		scanner := bufio.NewScanner(strings.NewReader(f.text()))
		require.True(t, scanner.Scan())
		require.Equal(t, "retry: 1000", scanner.Text())
	})
}

func TestEvents_gapIsToldNotSkipped(t *testing.T) {
	r := start(t)
	r.store.gap.Store(true)
	s := r.as("Last-Event-ID", "7").subscribe("?type=lock_revoked")
	e := s.next()
	require.Equal(t, "dev.lockgate.gap", e.Type)
	require.Nil(t, e.Data.Lock)
	require.Empty(t, e.Subject)
	require.Equal(t, string(gapCursor), e.ID)
}

const gapCursor events.Cursor = "8"

func TestEvents_aSubjectHasABoundedNumberOfStreams(t *testing.T) {
	r := start(t, withTokens(t))
	ann := r.bearer("ann-secret")
	var first *subscription
	for range gateway.MaxSubjectStreams {
		first = ann.subscribe("")
	}
	a := ann.do("GET", "/v1/events", nil)
	a.problem(http.StatusTooManyRequests, wire.CodeRateLimited)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	r.bearer("bob-secret").subscribe("")
	first.cancel()
	<-first.done
	require.Eventually(t, func() bool { return r.OpenStreams() == gateway.MaxSubjectStreams }, 10*time.Second, time.Millisecond)
	ann.subscribe("")
}

func TestEvents_ofTheGatewayAreAboutNoLock(t *testing.T) {
	r := start(t)
	all, some := r.subscribe(""), r.subscribe("?type=policy_reloaded")
	r.held("one", vpc)
	require.NoError(t, r.orch.Announce(t.Context(), events.PolicyReloaded, "revision 7"))
	require.Equal(t, "dev.lockgate.lock_acquired", all.next().Type)
	for _, e := range []wire.Event{all.next(), some.next()} {
		require.Equal(t, "dev.lockgate.policy_reloaded", e.Type)
		require.Empty(t, e.Subject)
		require.Equal(t, wire.EventData{Reason: "revision 7"}, e.Data)
	}
}

func TestEvents_whatIsWrongIsSaidBeforeTheStreamOpens(t *testing.T) {
	r := start(t)
	p := r.do("GET", "/v1/events?type=lock_gone", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	require.Equal(t, "type", p.Errors[0].Pointer)
	require.Contains(t, p.Detail, "lock_gone")
	r.held("one", vpc)
	for _, cursor := range []string{"yesterday", "-1", "01"} {
		p = r.as("Last-Event-ID", cursor).do("GET", "/v1/events", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
		require.Equal(t, "Last-Event-Id", p.Errors[0].Pointer)
	}
}

func TestEvents_resumeAtTheTip(t *testing.T) {
	r := start(t)
	r.held("one", "a")
	tip, err := r.orch.Tip(t.Context())
	require.NoError(t, err)
	s := r.as("Last-Event-ID", string(tip)).subscribe("")
	l := r.held("two", "b")
	require.Equal(t, l.ID, s.next().Subject)
}
