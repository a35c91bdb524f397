package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestDecisions_dryRunTouchesNothing(t *testing.T) {
	r := start(t)
	wait := 5 * time.Minute
	length := 7
	r.policy.set(func(q *lock.Question, d *lock.Decision) error {
		if q.Action == lock.ActRead {
			return nil
		}
		refuse(d, "frozen")
		d.Warnings = []lock.Reason{{Policy: "w", Code: "c", Msg: "m"}}
		d.Limits = lock.Limits{TTL: time.Hour, Wait: &wait, Queue: &length}
		d.Obligations = []map[string]any{{"type": "notify"}}
		return nil
	})
	a := r.do("POST", "/v1/decisions", `{"resources":["`+vpc+`"],"owner":"one","priority":"high","ttl":"1h","context":{"command":"plan"}}`)
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	var d wire.Decision
	a.into(&d)
	require.False(t, d.Allow)
	require.Equal(t, "frozen", d.Reasons[0].Msg)
	require.Equal(t, "m", d.Warnings[0].Msg)
	require.Equal(t, wire.Duration(time.Hour), *d.Limits.TTL)
	require.Equal(t, wire.Duration(wait), *d.Limits.Wait)
	require.Equal(t, 7, *d.Limits.Queue)
	q := r.policy.asked()
	require.True(t, q.DryRun)
	require.Equal(t, lock.ActAcquire, q.Action)
	require.Equal(t, lock.High, q.Want.Priority)
	require.Equal(t, lock.DefaultNamespace, q.Namespace)
	var page wire.LockList
	r.do("GET", "/v1/locks?state=denied,held,queued", nil).into(&page)
	require.Empty(t, page.Items)
}

func TestDecisions_dryRunOfOtherActions(t *testing.T) {
	r := start(t)
	var d wire.Decision
	r.do("POST", "/v1/decisions", `{"action":"admin"}`).into(&d)
	require.True(t, d.Allow)
	require.Nil(t, d.Limits.TTL)
	require.Equal(t, lock.ActAdmin, r.policy.asked().Action)
	for _, bad := range []string{`{"action":"steal"}`, `{}`, `{"action":"release","resources":["a"]}`, `{"resources":["a","a"],"owner":"o"}`} {
		r.do("POST", "/v1/decisions", bad).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	}
	r.do("POST", "/v1/decisions?explain=full", `{"action":"admin"}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}

func TestDecisionLog_isForAdminsAndTheSubjectItself(t *testing.T) {
	r := start(t, withTokens(t))
	r.policy.set(func(q *lock.Question, d *lock.Decision) error {
		if q.Action == lock.ActAdmin && !q.Caller.Subject.Has(lock.RoleAdmin) {
			refuse(d, "admins only")
		}
		return nil
	})
	root, ann, bob := r.bearer("root-secret"), r.bearer("ann-secret"), r.bearer("bob-secret")
	var page wire.DecisionList
	root.do("GET", "/v1/decisions?allow=true&limit=10", nil).into(&page)
	require.Len(t, page.Items, 1)
	require.Equal(t, "more", page.Next)
	root.do("GET", "/v1/decisions?cursor=x", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	root.do("GET", "/v1/decisions?allow=perhaps", nil).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	ann.do("GET", "/v1/decisions", nil).problem(http.StatusForbidden, wire.CodeDenied)
	require.Equal(t, http.StatusOK, ann.do("GET", "/v1/decisions/d1", nil).status)
	require.Equal(t, http.StatusOK, root.do("GET", "/v1/decisions/d1", nil).status)
	bob.do("GET", "/v1/decisions/d1", nil).problem(http.StatusForbidden, wire.CodeDenied)
	bob.do("GET", "/v1/decisions/d2", nil).problem(http.StatusForbidden, wire.CodeDenied)
	root.do("GET", "/v1/decisions/d2", nil).problem(http.StatusNotFound, wire.CodeNotFound)
}

func TestPolicies_areListed(t *testing.T) {
	r := start(t)
	var set wire.PolicySet
	r.do("GET", "/v1/policies", nil).into(&set)
	require.Equal(t, "open.rego", set.Items[0].Path)
	require.Equal(t, 3, set.LastError.Line)
}

func TestDecisions_takeTheBodyOfAnAcquire(t *testing.T) {
	r := start(t)
	a := r.do("POST", "/v1/decisions", &wire.DecisionRequest{Action: "release", Request: body("one", vpc)})
	require.Equal(t, http.StatusOK, a.status, "%s", a.body)
	q := r.policy.asked()
	require.Equal(t, lock.ActRelease, q.Action)
	require.Equal(t, lock.Owner("one"), q.Owner)
	require.Equal(t, lock.Namespace("acme/infra"), q.Namespace)
	require.Equal(t, lock.Key(vpc), q.Resources[0].Key)
	p := r.do("POST", "/v1/decisions", `{"owner":"two","request":{"resources":["a"],"owner":"one"}}`).
		problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	require.Equal(t, "/request", p.Errors[0].Pointer)
	r.do("POST", "/v1/decisions", `{"request":{"resources":["a"],"ownr":"one"}}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}
