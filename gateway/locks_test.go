package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

const vpc = "acme/infra/vpc/default/"

func TestAcquire_free(t *testing.T) {
	r := start(t)
	b := body("atlantis:acme/infra#42", vpc)
	b.Priority, b.TTL, b.Labels = "high", wire.Duration(30*time.Minute), map[string]string{"environment": "prod"}
	b.Context = json.RawMessage(`{"pull": {"num": 42}}`)
	a := r.do("POST", "/v1/locks", b)
	l := a.lock(http.StatusCreated)
	require.Equal(t, "/v1/locks/"+l.ID, a.header.Get("Location"))
	require.Equal(t, "held", l.State)
	require.Equal(t, "high", l.Priority)
	require.Equal(t, "anonymous", l.Subject)
	require.Equal(t, []wire.Resource{{Key: vpc, Mode: "exclusive"}}, l.Resources)
	require.Positive(t, l.Token)
	require.Less(t, l.Token, int64(1)<<53)
	require.JSONEq(t, `{"pull":{"num":42}}`, string(l.Context))
	require.Equal(t, map[string]string{"environment": "prod"}, l.Labels)
	require.Equal(t, 30*time.Minute, l.Expires.Sub(l.Acquired.Time))

	again := r.do("POST", "/v1/locks", b).lock(http.StatusOK)
	require.Equal(t, l.ID, again.ID, "the same owner gets the same lock")
}

func TestAcquire_plainStringIsAnExclusiveKey(t *testing.T) {
	r := start(t)
	l := r.do("POST", "/v1/locks", `{"resources":["a",{"key":"b","mode":"shared"}],"owner":"o"}`).lock(http.StatusCreated)
	require.Equal(t, "default", l.Namespace)
	require.Equal(t, []wire.Resource{{Key: "a", Mode: "exclusive"}, {Key: "b", Mode: "shared"}}, l.Resources)
	require.JSONEq(t, "{}", string(l.Context))
}

func TestAcquire_tryLockMeetsHolder(t *testing.T) {
	r := start(t)
	holder := r.held("one", vpc)
	p := r.do("POST", "/v1/locks", body("two", vpc)).problem(http.StatusLocked, wire.CodeLocked)
	require.Len(t, p.BlockedBy, 1)
	require.Equal(t, holder.ID, p.BlockedBy[0].ID)
	require.Equal(t, "one", p.BlockedBy[0].Owner)
	require.Equal(t, "/v1/locks", p.Instance)
	require.NotEmpty(t, p.LockID)
}

func TestAcquire_queuesAndWaits(t *testing.T) {
	r := start(t)
	holder := r.held("one", vpc)
	a := r.do("POST", "/v1/locks", waiting("two", vpc))
	l := a.lock(http.StatusAccepted)
	require.Equal(t, "queued", l.State)
	require.Equal(t, 1, l.Position)
	require.Equal(t, holder.ID, l.BlockedBy[0].ID)
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Zero(t, l.Token)

	answered := make(chan *reply, 1)
	go func() {
		a, err := r.try(context.Background(), "POST", "/v1/locks/"+l.ID+"/wait?timeout=30s", nil)
		if err != nil {
			a = &reply{body: []byte(err.Error()), t: t}
		}
		answered <- a
	}()
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", holder.ID, holder.Token), nil).lock(http.StatusOK)
	granted := (<-answered).lock(http.StatusCreated)
	require.Equal(t, l.ID, granted.ID)
	require.Greater(t, granted.Token, holder.Token)
}

func TestAcquire_preferHoldsTheCallOpen(t *testing.T) {
	r := start(t)
	holder := r.held("one", vpc)
	answered := make(chan *reply, 1)
	go func() {
		a, err := r.as("Prefer", "respond-async, wait=30").try(context.Background(), "POST", "/v1/locks", waiting("two", vpc))
		if err != nil {
			a = &reply{body: []byte(err.Error()), t: t}
		}
		answered <- a
	}()
	require.Eventually(t, func() bool {
		var queues wire.QueueList
		r.do("GET", "/v1/queues?resource="+url.QueryEscape(vpc), nil).into(&queues)
		return queues.Items[0].Length == 1
	}, 10*time.Second, time.Millisecond)
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", holder.ID, holder.Token), nil).lock(http.StatusOK)
	a := <-answered
	a.lock(http.StatusCreated)
	require.Equal(t, "wait=30", a.header.Get("Preference-Applied"))
}

func TestAcquire_waitRunsOut(t *testing.T) {
	r := start(t)
	r.held("one", vpc)
	b := waiting("two", vpc)
	b.Wait = wire.Duration(20 * time.Millisecond)
	p := r.as("Prefer", "wait=30").do("POST", "/v1/locks", b).problem(http.StatusLocked, wire.CodeLocked)
	require.Equal(t, "timed_out", p.State)
	require.NotEmpty(t, p.LockID)
}

func TestWait_tellsHowTheRequestEnded(t *testing.T) {
	r := start(t)
	r.held("one", vpc)
	l := r.queued("two", vpc)
	cancelled := r.do("DELETE", "/v1/locks/"+l.ID, nil).lock(http.StatusOK)
	require.Equal(t, "cancelled", cancelled.State)
	r.do("DELETE", "/v1/locks/"+l.ID, nil).lock(http.StatusOK)
	p := r.do("POST", "/v1/locks/"+l.ID+"/wait", nil).problem(http.StatusLocked, wire.CodeLocked)
	require.Equal(t, "cancelled", p.State)
	require.Contains(t, p.Detail, "cancelled")
	require.Equal(t, l.ID, p.LockID)
}

func TestWait_deniedAtTheGrant(t *testing.T) {
	r := start(t)
	holder := r.held("one", vpc)
	l := r.queued("two", vpc)
	r.policy.set(func(q *lock.Question, d *lock.Decision) error {
		if q.Stage == lock.AtGrant {
			refuse(d, "a freeze has begun")
		}
		return nil
	})
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", holder.ID, holder.Token), nil).lock(http.StatusOK)
	p := r.do("POST", "/v1/locks/"+l.ID+"/wait", nil).problem(http.StatusForbidden, wire.CodeDenied)
	require.Equal(t, "a freeze has begun", p.Reasons[0].Msg)
	require.Equal(t, l.ID, p.LockID)
}

func TestAcquire_denied(t *testing.T) {
	r := start(t)
	r.policy.set(func(_ *lock.Question, d *lock.Decision) error {
		refuse(d, "prod is frozen")
		return nil
	})
	p := r.do("POST", "/v1/locks", body("one", vpc)).problem(http.StatusForbidden, wire.CodeDenied)
	require.Equal(t, []wire.Reason{{Policy: "test", Code: "no", Msg: "prod is frozen"}}, p.Reasons)
	require.Equal(t, "01JDECISION", p.DecisionID)
}

func TestAcquire_policyCannotDecide(t *testing.T) {
	r := start(t)
	for _, tc := range []struct {
		err  error
		code string
	}{
		{&lock.PolicyError{Err: errors.New("/srv/secret/path.rego:3")}, wire.CodePolicyError},
		{&lock.PolicyError{Err: errors.New("/srv/secret/path.rego:3"), Quarantined: true}, wire.CodePolicyQuarantined},
	} {
		r.policy.set(func(*lock.Question, *lock.Decision) error { return tc.err })
		a := r.do("POST", "/v1/locks", body("one", vpc))
		a.problem(http.StatusServiceUnavailable, tc.code)
		require.NotContains(t, string(a.body), "secret")
	}
}

func TestAcquire_idempotencyKey(t *testing.T) {
	r := start(t)
	b := waiting("two", vpc)
	b.Context = json.RawMessage(`{"a": 1}`)
	r.held("one", vpc)
	keyed := r.as("Idempotency-Key", "k-1")
	first := keyed.do("POST", "/v1/locks", b).lock(http.StatusAccepted)
	second := keyed.do("POST", "/v1/locks",
		`{"context":{"a":1}, "wait":"10m", "owner":"two","resources":["`+vpc+`"],"namespace":"acme/infra"}`)
	require.Equal(t, first.ID, second.lock(http.StatusAccepted).ID, "spaces and order make no other request")

	b.TTL = wire.Duration(time.Hour)
	keyed.do("POST", "/v1/locks", b).problem(http.StatusUnprocessableEntity, wire.CodeIdempotencyConflict)
	r.as("Idempotency-Key", strings.Repeat("k", 256)).do("POST", "/v1/locks", b).problem(http.StatusBadRequest, wire.CodeBadRequest)
	r.as("Idempotency-Key", "k\u00e9").do("POST", "/v1/locks", b).problem(http.StatusBadRequest, wire.CodeBadRequest)
}

func TestAcquire_queueFull(t *testing.T) {
	r := start(t, func(s *setup) { s.queue.MaxQueueSize = 1 })
	r.held("one", vpc)
	r.queued("two", vpc)
	a := r.do("POST", "/v1/locks", waiting("three", vpc))
	a.problem(http.StatusTooManyRequests, wire.CodeQueueFull)
	require.NotEmpty(t, a.header.Get("Retry-After"))
}

func TestLock_showAndWatch(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	require.Equal(t, l, r.do("GET", "/v1/locks/"+l.ID, nil).lock(http.StatusOK))
	require.Equal(t, l, r.do("GET", "/v1/locks/"+l.ID+"?wait=1ms", nil).lock(http.StatusOK))
	r.do("GET", "/v1/locks/"+l.ID+"?wait=61s", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	r.do("GET", "/v1/locks/01JZZZZZZZZZZZZZZZZZZZZZZZ", nil).problem(http.StatusNotFound, wire.CodeNotFound)
	r.do("GET", "/v1/locks/nonsense", nil).problem(http.StatusNotFound, wire.CodeNotFound)
}

func TestRenewAndVerify(t *testing.T) {
	r := start(t)
	b := body("one", vpc)
	b.TTL = wire.Duration(time.Minute)
	l := r.do("POST", "/v1/locks", b).lock(http.StatusCreated)
	ttl := wire.Duration(time.Hour)
	renewed := r.do("POST", "/v1/locks/"+l.ID+"/renew", wire.TokenRequest{Token: l.Token, TTL: &ttl}).lock(http.StatusOK)
	require.Equal(t, time.Hour, time.Duration(renewed.TTL))
	require.True(t, renewed.Expires.After(l.Expires.Time))
	r.do("POST", "/v1/locks/"+l.ID+"/verify", wire.TokenRequest{Token: l.Token}).lock(http.StatusOK)

	stale := wire.TokenRequest{Token: l.Token - 1}
	r.do("POST", "/v1/locks/"+l.ID+"/renew", stale).problem(http.StatusConflict, wire.CodeStaleToken)
	r.do("POST", "/v1/locks/"+l.ID+"/verify", stale).problem(http.StatusConflict, wire.CodeStaleToken)
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", l.ID, stale.Token), nil).problem(http.StatusConflict, wire.CodeStaleToken)
	r.do("POST", "/v1/locks/"+l.ID+"/verify", `{"token":1,"ttl":"1s"}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}

func TestRelease_isIdempotent(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	target := fmt.Sprintf("/v1/locks/%s?token=%d", l.ID, l.Token)
	first := r.do("DELETE", target, nil).lock(http.StatusOK)
	require.Equal(t, "released", first.State)
	require.Equal(t, first, r.do("DELETE", target, nil).lock(http.StatusOK))
}

func TestRevoke_needsAReasonAndPolicy(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	target := "/v1/locks/" + l.ID
	for _, q := range []string{"?force=true", "?force=true&reason=x&token=1", "?reason=x", "?force=yes", "?token=-1", "?tokn=1"} {
		r.do("DELETE", target+q, nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	}
	r.policy.set(func(q *lock.Question, d *lock.Decision) error {
		if q.Action == lock.ActForceRelease && q.Want.Reason != "holder is gone" {
			refuse(d, "say it properly")
		}
		return nil
	})
	r.do("DELETE", target+"?force=true&reason=x", nil).problem(http.StatusForbidden, wire.CodeDenied)
	ended := r.do("DELETE", target+"?force=true&reason=holder+is+gone", nil).lock(http.StatusOK)
	require.Equal(t, "revoked", ended.State)
	require.Equal(t, "holder is gone", ended.Reason)
}

func TestEndOwner_matchesTheEscapedOwnerExactly(t *testing.T) {
	r := start(t)
	owner := "atlantis:acme/infra#42"
	l := r.held(owner, vpc)
	other := r.held(owner+"0", "b")
	r.queued(owner, "b")
	var ended wire.LockList
	r.do("DELETE", "/v1/owners/"+url.PathEscape(owner)+"/locks?namespace=acme%2Finfra", nil).into(&ended)
	states := map[string]string{}
	for _, e := range ended.Items {
		require.Equal(t, owner, e.Owner)
		states[e.State] = e.ID
	}
	require.Len(t, states, 2)
	require.Equal(t, l.ID, states["released"])
	require.Contains(t, states, "cancelled")
	require.Equal(t, "held", r.do("GET", "/v1/locks/"+other.ID, nil).lock(http.StatusOK).State)
	r.do("DELETE", "/v1/owners/%07/locks", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}

func TestReprioritize(t *testing.T) {
	r := start(t)
	holder := r.held("one", vpc)
	l := r.queued("two", vpc)
	require.Equal(t, "critical", r.do("PATCH", "/v1/locks/"+l.ID, `{"priority":"critical"}`).lock(http.StatusOK).Priority)
	r.do("PATCH", "/v1/locks/"+l.ID, `{"priority":"urgent"}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	r.do("PATCH", "/v1/locks/"+l.ID, `{}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	p := r.do("PATCH", "/v1/locks/"+holder.ID, `{"priority":"low"}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	require.Contains(t, p.Detail, "not queued")
}

func TestList_filtersAndPages(t *testing.T) {
	r := start(t)
	for i := range 5 {
		b := body("owner", fmt.Sprintf("stack/%d", i))
		b.Labels = map[string]string{"n": strconv.Itoa(i)}
		r.do("POST", "/v1/locks", b).lock(http.StatusCreated)
	}
	r.queued("late", "stack/0")
	ids := func(query string) []string {
		t.Helper()
		var out []string
		var page wire.LockList
		for next := ""; ; next = page.Next {
			page = wire.LockList{}
			a := r.do("GET", "/v1/locks?limit=2&cursor="+url.QueryEscape(next)+query, nil)
			require.Equal(t, http.StatusOK, a.status, "%s", a.body)
			a.into(&page)
			for _, l := range page.Items {
				out = append(out, l.ID)
			}
			if page.Next == "" {
				return out
			}
		}
	}
	require.Len(t, ids(""), 6)
	require.Len(t, ids("&owner=owner"), 5)
	require.Len(t, ids("&state=queued"), 1)
	require.Len(t, ids("&state=queued,held"), 6)
	require.Len(t, ids("&resource=stack/0"), 2)
	require.Len(t, ids("&prefix=stack/&namespace=acme%2Finfra"), 6)
	require.Len(t, ids("&label=n:3"), 1)
	require.Empty(t, ids("&namespace=other"))
	for _, q := range []string{"limit=0", "limit=1001", "limit=x", "state=lost", "priority=urgent", "label=n", "stat=held", "owner=a&owner=b", "%zz"} {
		r.do("GET", "/v1/locks?"+q, nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	}
}

func TestQueues_showHoldersWaitersAndEstimates(t *testing.T) {
	r := start(t)
	first := r.held("zero", vpc)
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", first.ID, first.Token), nil).lock(http.StatusOK)
	holder := r.held("one", vpc)
	two, three := r.queued("two", vpc), r.queued("three", vpc)
	var queues wire.QueueList
	r.do("GET", "/v1/queues?namespace=acme%2Finfra&depth=1", nil).into(&queues)
	require.Len(t, queues.Items, 1)
	q := queues.Items[0]
	require.Equal(t, vpc, q.Resource)
	require.Equal(t, holder.ID, q.Holders[0].ID)
	require.Equal(t, 2, q.Length)
	require.Len(t, q.Waiters, 1)
	require.Equal(t, two.ID, q.Waiters[0].ID)
	r.do("GET", "/v1/queues", nil).into(&queues)
	require.Equal(t, three.ID, queues.Items[0].Waiters[1].ID)
	r.do("GET", "/v1/queues?depth=-1", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}

func TestWrongParameters_areNamed(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	for _, tc := range []struct {
		method, target, body string
		pointer              string
	}{
		{"POST", "/v1/locks?wait=30", `{"resources":["b"],"owner":"one"}`, "wait"},
		{"POST", "/v1/locks/" + l.ID + "/renew", `{"ttl":"1m"}`, "/token"},
		{"POST", "/v1/locks/" + l.ID + "/verify", `{}`, "/token"},
		{"POST", "/v1/locks/" + l.ID + "/verify?token=1", `{"token":1}`, "token"},
		{"PATCH", "/v1/locks/" + l.ID + "?priority=low", `{"priority":"low"}`, "priority"},
		{"GET", "/v1/locks?cursor=%00", "", "cursor"},
		{"GET", "/v1/queues?cursor=x", "", "cursor"},
		{"GET", "/v1/status?verbose", "", "verbose"},
		{"GET", "/v1/policies?path=x", "", "path"},
		{"GET", "/v1/decisions/d1?explain=full", "", "explain"},
	} {
		var body any
		if tc.body != "" {
			body = tc.body
		}
		p := r.do(tc.method, tc.target, body).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
		require.Equal(t, tc.pointer, p.Errors[0].Pointer, "%s %s: %v", tc.method, tc.target, p.Errors)
	}
}

func TestReprioritize_whatHasEnded(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", l.ID, l.Token), nil).lock(http.StatusOK)
	p := r.do("PATCH", "/v1/locks/"+l.ID, `{"priority":"low"}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	require.Contains(t, p.Detail, "has ended")
}

func TestIdempotencyKey_ofWhatHasEnded(t *testing.T) {
	r := start(t).as("Idempotency-Key", "k")
	l := r.held("one", vpc)
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", l.ID, l.Token), nil).lock(http.StatusOK)
	again := r.do("POST", "/v1/locks", body("one", vpc)).lock(http.StatusOK)
	require.Equal(t, l.ID, again.ID)
	require.Equal(t, "released", again.State)
	p := r.do("POST", "/v1/locks/"+l.ID+"/wait?timeout=0s", nil).problem(http.StatusLocked, wire.CodeLocked)
	require.Equal(t, "released", p.State)
}

func TestStaleToken_saysWhatBecameOfTheLock(t *testing.T) {
	r := start(t)
	l := r.held("one", vpc)
	r.do("DELETE", fmt.Sprintf("/v1/locks/%s?token=%d", l.ID, l.Token), nil).lock(http.StatusOK)
	p := r.do("POST", "/v1/locks/"+l.ID+"/verify", &wire.TokenRequest{Token: l.Token}).problem(http.StatusConflict, wire.CodeStaleToken)
	require.Equal(t, l.ID, p.LockID)
	require.Equal(t, "released", p.State)
}
