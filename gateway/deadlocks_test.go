package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

const dns = "acme/infra/dns/default/"

// closeRing lets one hold vpc and two hold dns, and each ask for the other's; the
// answer is the second one's, whose priority is the lower one.
func (r *rig) closeRing() (first wire.Lock, victim *reply) {
	r.t.Helper()
	r.held("one", vpc)
	r.held("two", dns)
	high := waiting("one", dns)
	high.Priority = "high"
	first = r.do("POST", "/v1/locks", high).lock(http.StatusAccepted)
	return first, r.do("POST", "/v1/locks", waiting("two", vpc))
}

func TestDeadlock_theVictimIsToldAtOnce(t *testing.T) {
	r := start(t)
	first, answer := r.closeRing()
	p := answer.problem(http.StatusConflict, wire.CodeDeadlock)
	require.Equal(t, "victim", p.State)
	require.Equal(t, "lowest_priority", p.VictimPolicy)
	require.Equal(t, []wire.CycleEdge{
		{Owner: "two", Request: p.LockID, Resource: vpc, WaitsFor: "one", Kind: "hard"},
		{Owner: "one", Request: first.ID, Resource: dns, WaitsFor: "two", Kind: "hard"},
	}, p.Cycle)
	require.Contains(t, p.Detail, "ask again with retry_of "+p.LockID)

	again := r.do("POST", "/v1/locks/"+p.LockID+"/wait", nil).problem(http.StatusConflict, wire.CodeDeadlock)
	require.Equal(t, p.Cycle, again.Cycle, "the waiting call says the same")

	retry := waiting("two", vpc)
	retry.RetryOf = p.LockID
	second := r.do("POST", "/v1/locks", retry).lock(http.StatusAccepted)
	require.Equal(t, p.LockID, second.RetryOf)
	require.Equal(t, 1, second.Losses)
	require.Equal(t, "victim", r.do("GET", "/v1/locks/"+first.ID, nil).lock(http.StatusOK).State, "it is the other one's turn to give way")
	retry.RetryOf = second.ID
	invalid := r.do("POST", "/v1/locks", retry).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	require.Equal(t, "/retry_of", invalid.Errors[0].Pointer)
}

func TestDeadlocks_tellTheStory(t *testing.T) {
	r := start(t)
	var none wire.DeadlockList
	r.do("GET", "/v1/deadlocks", nil).into(&none)
	require.Empty(t, none.Items)
	r.closeRing()
	var all wire.DeadlockList
	r.do("GET", "/v1/deadlocks", nil).into(&all)
	require.Len(t, all.Items, 1)
	d := all.Items[0]
	require.Equal(t, []string{"one", "two"}, d.Owners)
	require.Equal(t, []string{"two"}, d.Victims)
	require.Equal(t, "victim", d.Resolution)
	require.Len(t, d.Candidates, 2)
	require.Greater(t, d.Candidates[0].Cost, d.Candidates[1].Cost)
	require.Equal(t, 2, d.Measures.Edges)
	r.do("GET", "/v1/deadlocks?limit=1", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)

	r.policy.set(func(q *lock.Question, d *lock.Decision) error {
		if q.Action == lock.ActRead && len(q.Resources) > 0 && q.Resources[0].Key == dns {
			refuse(d, "not yours")
		}
		return nil
	})
	r.do("GET", "/v1/deadlocks", nil).into(&none)
	require.Empty(t, none.Items, "whoever may not see a resource in it sees nothing of it")
}

func TestGraph_isShownWhileItStands(t *testing.T) {
	r := start(t)
	r.held("one", vpc)
	r.queued(`two "x"`, vpc)
	r.queued("three", vpc)
	var g wire.Graph
	r.do("GET", "/v1/graph?namespace=acme/infra", nil).into(&g)
	require.Len(t, g.Nodes, 3)
	require.Empty(t, g.Cycles)
	kinds := map[string]string{}
	for _, e := range g.Edges {
		kinds[e.From+" "+e.To] = e.Kind
	}
	require.Equal(t, map[string]string{
		`two "x" one`: "hard", "three one": "hard", `three two "x"`: "soft",
	}, kinds)
	r.do("GET", "/v1/graph?namespace=other", nil).into(&g)
	require.Empty(t, g.Nodes)

	drawn := r.as("Accept", "text/vnd.graphviz").do("GET", "/v1/graph", nil)
	require.Equal(t, "text/vnd.graphviz", drawn.header.Get("Content-Type"))
	require.True(t, strings.HasPrefix(string(drawn.body), "digraph lockgate {"))
	require.Contains(t, string(drawn.body), `"three" -> "two \"x\"" [label="acme/infra/vpc/default/", style=dashed, color=black];`)

	r.policy.set(func(q *lock.Question, d *lock.Decision) error {
		if q.Action == lock.ActRead && q.Owner == "three" {
			refuse(d, "not yours")
		}
		return nil
	})
	r.do("GET", "/v1/graph", nil).into(&g)
	require.Len(t, g.Nodes, 2)
}

func TestWaits_joinTheGraph(t *testing.T) {
	r := start(t)
	a := r.do("POST", "/v1/waits", &wire.WaitRequest{Namespace: "acme/infra", Owner: "parent", WaitsFor: "child"})
	var w wire.Wait
	a.into(&w)
	require.Equal(t, "/v1/waits/"+w.ID, a.header.Get("Location"))
	require.Equal(t, "1h0m0s", w.Until.Sub(w.Declared.Time).String())
	var g wire.Graph
	r.do("GET", "/v1/graph", nil).into(&g)
	require.Equal(t, []wire.GraphEdge{{
		From: "parent", To: "child", Namespace: "acme/infra", Request: w.ID, Kind: "declared",
	}}, g.Edges)

	closes := &wire.WaitRequest{Namespace: "acme/infra", Owner: "child", WaitsFor: "parent"}
	p := r.do("POST", "/v1/waits", closes).problem(http.StatusConflict, wire.CodeDeadlock)
	require.Len(t, p.Cycle, 2)
	require.Empty(t, p.LockID)

	r.do("DELETE", "/v1/waits/"+w.ID, nil).into(&w)
	r.do("DELETE", "/v1/waits/"+w.ID, nil).problem(http.StatusNotFound, wire.CodeNotFound)
	r.do("POST", "/v1/waits", closes).into(&w)
	for _, wrong := range []any{
		&wire.WaitRequest{Owner: "a", WaitsFor: "a"}, &wire.WaitRequest{Owner: "a"}, &wire.WaitRequest{WaitsFor: "a"},
		`{"owner":"a","waits_for":"b","ttl":"25h"}`, `{"owner":"a","waits_for":"b","for":"c"}`,
	} {
		r.do("POST", "/v1/waits", wrong).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	}
	r.policy.set(func(_ *lock.Question, d *lock.Decision) error { refuse(d, "no"); return nil })
	r.do("POST", "/v1/waits", &wire.WaitRequest{Owner: "a", WaitsFor: "b"}).problem(http.StatusForbidden, wire.CodeDenied)
}

func TestFlood_isRateLimited(t *testing.T) {
	r := start(t, func(s *setup) { s.deadlock.MaxPerOwnerPerMinute = 1 })
	r.closeRing()
	answer := r.do("POST", "/v1/locks", waiting("two", vpc))
	answer.problem(http.StatusTooManyRequests, wire.CodeRateLimited)
	require.NotEmpty(t, answer.header.Get("Retry-After"))
}
