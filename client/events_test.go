package client_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// streams serves one prepared event stream a connection and records what each
// one asked for.
type streams struct {
	bodies []string

	mu    sync.Mutex
	asked []*http.Request
}

func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r)
	if len(s.asked) > len(s.bodies) {
		refuse(w, wire.Problem{Status: 403, Code: wire.CodeDenied, Title: "Denied by policy"})
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	_, _ = fmt.Fprint(w, s.bodies[len(s.asked)-1])
}

func TestEvents_goOnAfterTheLastOneSeen(t *testing.T) {
	s := &streams{bodies: []string{
		": hello\r\n\r\nid: 1-0\r\nevent: dev.lockgate.lock_acquired\r\ndata: {\"id\":\"1-0\",\r\ndata: \"type\":\"dev.lockgate.lock_acquired\"}\r\n\r\n" +
			"id: 2-0\ndata: {\"id\":\"2-0\"}\n", // cut off before its blank line
		"id: 2-0\ndata: {\"id\":\"2-0\",\"data\":{\"lock\":{\"id\":\"01J\",\"state\":\"held\"}}}\n\nid:3-0\n\n",
	}}
	c, _ := dial(t, s)
	var ids []string
	var last error
	for e, err := range c.Events(t.Context(), client.EventFilter{
		Types: []string{"lock_acquired", "lock_released"}, Namespace: "acme/infra", Resource: "vpc", Owner: "ann", After: "0-9",
	}) {
		if last = err; err == nil {
			ids = append(ids, e.ID)
		}
	}
	require.ErrorIs(t, last, client.ErrDenied)
	require.Equal(t, []string{"1-0", "2-0"}, ids)
	require.Len(t, s.asked, 3)
	require.Equal(t, "namespace=acme%2Finfra&owner=ann&resource=vpc&type=lock_acquired&type=lock_released", s.asked[0].URL.RawQuery)
	for i, want := range []string{"0-9", "1-0", "3-0"} {
		require.Equal(t, want, s.asked[i].Header.Get("Last-Event-ID"))
		require.Equal(t, "text/event-stream", s.asked[i].Header.Get("Accept"))
	}
}

func TestEvents_endWithTheContextAndWithTheLoop(t *testing.T) {
	c, stop := gateway()
	defer stop()
	_, err := c.Acquire(t.Context(), ask("ann", 0, 0))
	require.NoError(t, err)

	for e, err := range c.Events(t.Context(), client.EventFilter{After: "0"}) {
		require.NoError(t, err)
		require.Equal(t, "dev.lockgate.lock_acquired", e.Type)
		break
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range c.Events(ctx, client.EventFilter{After: "0"}) {
		last = err
		cancel()
	}
	require.ErrorIs(t, last, context.Canceled)
}

func TestEvents_aBrokenEventIsAnError(t *testing.T) {
	c, _ := dial(t, &streams{bodies: []string{"id: 1\ndata: nonsense\n\n"}})
	for _, err := range c.Events(t.Context(), client.EventFilter{}) {
		require.ErrorContains(t, err, `event "1"`)
	}
}

func TestEvents_theGatewaySaysWhyThereAreNoMore(t *testing.T) {
	c, _ := dial(t, &streams{bodies: []string{
		"event: problem\ndata: {\"status\":503,\"code\":\"unavailable\",\"title\":\"Unavailable\"}\n\n",
		"event: problem\ndata: {\"status\":422,\"code\":\"invalid\",\"title\":\"Invalid request\"}\n\n",
	}})
	var last error
	for _, err := range c.Events(t.Context(), client.EventFilter{}) {
		last = err
	}
	require.ErrorIs(t, last, client.ErrInvalid, "the first reason passes, the second does not")
}

func TestList_readsEveryPage(t *testing.T) {
	c, _ := dial(t, newFake())
	for i := range 7 {
		_, err := c.Acquire(t.Context(), &wire.AcquireRequest{Owner: "ann", Resources: []wire.Resource{{Key: fmt.Sprint("key-", i)}}})
		require.NoError(t, err)
	}
	locks := c.List(t.Context(), client.ListFilter{PageSize: 3})
	for range 2 { // a sequence can be read again
		var keys []string
		for l, err := range locks {
			require.NoError(t, err)
			keys = append(keys, l.Resources[0].Key)
		}
		require.Equal(t, []string{"key-0", "key-1", "key-2", "key-3", "key-4", "key-5", "key-6"}, keys)
	}
}

func TestList_asksForWhatTheFilterSays(t *testing.T) {
	var got string
	c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.RawQuery
		refuse(w, wire.Problem{Status: 403, Code: wire.CodeDenied})
	}))
	for _, err := range c.List(t.Context(), client.ListFilter{
		Namespace: "n", Resource: "r", Prefix: "p", Owner: "o", State: "held", Priority: "high", Labels: map[string]string{"env": "prod"}, PageSize: 5,
	}) {
		require.ErrorIs(t, err, client.ErrDenied)
	}
	require.Equal(t, "label=env%3Aprod&limit=5&namespace=n&owner=o&prefix=p&priority=high&resource=r&state=held", got)
}

func TestEndOwner_escapesItsName(t *testing.T) {
	c, _ := dial(t, newFake())
	owner := "atlantis:acme/infra#42 ?"
	_, err := c.Acquire(t.Context(), ask(owner, 0, 0))
	require.NoError(t, err)
	ended, err := c.EndOwner(t.Context(), "", owner)
	require.NoError(t, err)
	require.Len(t, ended, 1)
	require.Equal(t, owner, ended[0].Owner)
}
