package client_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// fake is a gateway in memory whose clock follows testing/synctest, which the
// real one's network, store and policy engine cannot: one exclusive lock table,
// first come, first served. The namespace "frozen" is denied.
type fake struct {
	mux *http.ServeMux

	mu      sync.Mutex
	locks   []*wire.Lock
	keys    map[string]*wire.Lock // by idempotency key
	tokens  int64
	changed chan struct{} // closed and replaced at every change
}

func newFake() *fake {
	g := &fake{mux: http.NewServeMux(), keys: map[string]*wire.Lock{}, changed: make(chan struct{})}
	g.mux.HandleFunc("POST /v1/locks", g.acquire)
	g.mux.HandleFunc("GET /v1/locks", g.list)
	g.mux.HandleFunc("GET /v1/locks/{id}", g.get)
	g.mux.HandleFunc("POST /v1/locks/{id}/wait", g.wait)
	g.mux.HandleFunc("POST /v1/locks/{id}/renew", g.renew)
	g.mux.HandleFunc("POST /v1/locks/{id}/verify", g.verify)
	g.mux.HandleFunc("DELETE /v1/locks/{id}", g.release)
	g.mux.HandleFunc("DELETE /v1/owners/{owner}/locks", g.endOwner)
	return g
}

func (g *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// refuse answers with a problem.
func refuse(w http.ResponseWriter, p wire.Problem) {
	p.Type = wire.ProblemType + p.Code
	w.Header().Set("Content-Type", "application/problem+json")
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

func (g *fake) broadcast() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// move changes the state of a lock.
func (g *fake) move(l *wire.Lock, state string) {
	l.State = state
	switch state {
	case "held":
		g.tokens++
		l.Token = g.tokens
		l.Acquired = now()
		g.lease(l)
	case "queued":
	default:
		l.Ended = now()
	}
	g.broadcast()
}

func now() wire.Time { return wire.Time{Time: time.Now().UTC()} }

func (g *fake) lease(l *wire.Lock) {
	l.Expires = wire.Time{}
	if l.TTL > 0 {
		l.Expires = wire.Time{Time: time.Now().UTC().Add(time.Duration(l.TTL))}
	}
}

// settle ends what ran out, gives what is free to who waits for it, and works
// out the positions.
func (g *fake) settle() {
	for _, l := range g.locks {
		switch {
		case l.State == "held" && !l.Expires.IsZero() && !time.Now().Before(l.Expires.Time):
			g.move(l, "expired")
		case l.State == "queued" && !time.Now().Before(l.Until.Time):
			g.move(l, "timed_out")
		}
	}
	for _, l := range g.locks {
		if l.State != "queued" {
			continue
		}
		if g.block(l); len(l.BlockedBy) == 0 {
			g.move(l, "held")
		}
	}
	for _, l := range g.locks {
		g.block(l)
	}
}

func (g *fake) block(l *wire.Lock) {
	l.Position, l.BlockedBy, l.BlockedByTotal = 0, []wire.Blocker{}, 0
	if l.State != "queued" {
		return
	}
	l.Position = 1
	for _, other := range g.locks {
		if other == l {
			break
		}
		if key, meets := shares(l, other); meets && (other.State == "held" || other.State == "queued") {
			since := other.Acquired
			if other.State == "queued" {
				l.Position++
				since = other.Requested
			}
			l.BlockedBy = append(l.BlockedBy, wire.Blocker{
				ID: other.ID, Owner: other.Owner, Resource: key, State: other.State, Priority: other.Priority, Since: since,
			})
		}
	}
	l.BlockedByTotal = len(l.BlockedBy)
}

func shares(a, b *wire.Lock) (string, bool) {
	if a.Namespace != b.Namespace {
		return "", false
	}
	for _, r := range a.Resources {
		if slices.ContainsFunc(b.Resources, func(o wire.Resource) bool { return o.Key == r.Key }) {
			return r.Key, true
		}
	}
	return "", false
}

func (g *fake) acquire(w http.ResponseWriter, r *http.Request) {
	var ask wire.AcquireRequest
	if err := json.NewDecoder(r.Body).Decode(&ask); err != nil || ask.Owner == "" || len(ask.Resources) == 0 {
		refuse(w, wire.Problem{Status: 422, Code: wire.CodeInvalid, Title: "Invalid request", Errors: []wire.FieldError{{Pointer: "/owner", Detail: "is empty"}}})
		return
	}
	if ask.Namespace == "frozen" {
		refuse(w, wire.Problem{
			Status: 403, Code: wire.CodeDenied, Title: "Denied by policy", DecisionID: "01JDB00000000000000000FROZ",
			Detail:  "the namespace is frozen until Monday",
			Reasons: []wire.Reason{{Policy: "freeze", Code: "frozen", Msg: "the namespace is frozen until Monday"}},
		})
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle()
	key := r.Header.Get(wire.HeaderIdempotencyKey)
	l := g.keys[key]
	status := http.StatusOK
	if l == nil {
		l, status = g.enter(&ask)
		g.keys[key] = l
	}
	switch l.State {
	case "held":
		answer(w, status, l)
	case "queued":
		answer(w, http.StatusAccepted, l)
	default:
		ended(w, l)
	}
}

// enter makes the request, or finds the lock that its owner has already.
func (g *fake) enter(ask *wire.AcquireRequest) (*wire.Lock, int) {
	l := &wire.Lock{
		ID: fmt.Sprintf("01JDA%021d", len(g.locks)+1), Namespace: ask.Namespace, Owner: ask.Owner, Subject: "anonymous",
		Priority: "normal", Value: 400, TTL: ask.TTL, Wait: ask.Wait, Requested: now(), Labels: ask.Labels,
		Decision: wire.DecisionSummary{ID: "01JDB000000000000000000001", Reasons: []wire.Reason{}},
	}
	if l.Namespace == "" {
		l.Namespace = "default"
	}
	for _, res := range ask.Resources {
		l.Resources = append(l.Resources, wire.Resource{Key: res.Key, Mode: "exclusive"})
	}
	for _, other := range g.locks {
		if _, meets := shares(l, other); meets && other.State == "held" && other.Owner == l.Owner {
			return other, http.StatusOK
		}
	}
	l.State = "queued"
	l.Until = wire.Time{Time: time.Now().Add(time.Duration(l.Wait))}
	g.locks = append(g.locks, l)
	if g.block(l); len(l.BlockedBy) == 0 {
		g.move(l, "held")
	} else if l.Wait == 0 {
		g.move(l, "cancelled")
	} else {
		g.move(l, "queued")
	}
	return l, http.StatusCreated
}

// ended answers a call about a request that got no lock.
func ended(w http.ResponseWriter, l *wire.Lock) {
	detail := fmt.Sprintf("request %s has ended: %s", l.ID, l.State)
	if len(l.BlockedBy) > 0 {
		b := l.BlockedBy[0]
		detail = fmt.Sprintf("%q is locked by %s", b.Resource, b.Owner)
	}
	refuse(w, wire.Problem{Status: 423, Code: wire.CodeLocked, Title: "Locked", Detail: detail, LockID: l.ID, State: l.State, BlockedBy: l.BlockedBy})
}

// find answers a lock; the caller holds the mutex.
func (g *fake) find(w http.ResponseWriter, r *http.Request) *wire.Lock {
	g.settle()
	for _, l := range g.locks {
		if l.ID == r.PathValue("id") {
			return l
		}
	}
	refuse(w, wire.Problem{Status: 404, Code: wire.CodeNotFound, Title: "No such lock"})
	return nil
}

func (g *fake) wait(w http.ResponseWriter, r *http.Request) {
	timeout, _ := time.ParseDuration(r.URL.Query().Get("timeout"))
	deadline := time.Now().Add(timeout)
	for {
		g.mu.Lock()
		l := g.find(w, r)
		if l == nil {
			g.mu.Unlock()
			return
		}
		snapshot, next, changed := *l, g.next(deadline), g.changed
		g.mu.Unlock()
		switch {
		case snapshot.State == "held":
			answer(w, http.StatusCreated, &snapshot)
			return
		case snapshot.State != "queued":
			ended(w, &snapshot)
			return
		case !time.Now().Before(deadline):
			answer(w, http.StatusAccepted, &snapshot)
			return
		}
		t := time.NewTimer(time.Until(next))
		select {
		case <-changed:
		case <-t.C:
		case <-r.Context().Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// next is when something ends by itself, at the latest the deadline.
func (g *fake) next(deadline time.Time) time.Time {
	for _, l := range g.locks {
		switch {
		case l.State == "held" && !l.Expires.IsZero() && l.Expires.Before(deadline):
			deadline = l.Expires.Time
		case l.State == "queued" && l.Until.Before(deadline):
			deadline = l.Until.Time
		}
	}
	return deadline
}

func (g *fake) get(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.find(w, r); l != nil {
		answer(w, http.StatusOK, l)
	}
}

// withToken runs f on the lock if the body carries its live token.
func (g *fake) withToken(w http.ResponseWriter, r *http.Request, f func(*wire.Lock, *wire.TokenRequest)) {
	var body wire.TokenRequest
	_ = json.NewDecoder(r.Body).Decode(&body)
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.find(w, r)
	switch {
	case l == nil:
	case l.State != "held" || l.Token != body.Token:
		stale(w, l)
	default:
		f(l, &body)
		answer(w, http.StatusOK, l)
	}
}

func stale(w http.ResponseWriter, l *wire.Lock) {
	refuse(w, wire.Problem{Status: 409, Code: wire.CodeStaleToken, Title: "Stale token", Detail: "the token is not the live one", LockID: l.ID, State: l.State})
}

func (g *fake) renew(w http.ResponseWriter, r *http.Request) {
	g.withToken(w, r, func(l *wire.Lock, body *wire.TokenRequest) {
		if body.TTL != nil {
			l.TTL = *body.TTL
		}
		g.lease(l)
	})
}

func (g *fake) verify(w http.ResponseWriter, r *http.Request) {
	g.withToken(w, r, func(*wire.Lock, *wire.TokenRequest) {})
}

func (g *fake) release(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.find(w, r)
	token, _ := strconv.ParseInt(r.URL.Query().Get("token"), 10, 64)
	switch {
	case l == nil:
		return
	case r.URL.Query().Get("force") == "true":
		l.Reason = r.URL.Query().Get("reason")
		g.move(l, "revoked")
	case l.State == "queued":
		g.move(l, "cancelled")
	case l.Token != token:
		stale(w, l)
		return
	case l.State == "held":
		g.move(l, "released")
	}
	g.settle()
	answer(w, http.StatusOK, l)
}

func (g *fake) endOwner(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle()
	done := wire.LockList{Items: []wire.Lock{}}
	for _, l := range g.locks {
		if l.Owner == r.PathValue("owner") && (l.State == "held" || l.State == "queued") {
			g.move(l, "released")
			done.Items = append(done.Items, *l)
		}
	}
	g.settle()
	answer(w, http.StatusOK, done)
}

func (g *fake) list(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle()
	q := r.URL.Query()
	after, _ := strconv.Atoi(q.Get("cursor"))
	page := wire.LockList{Items: []wire.Lock{}}
	limit, _ := strconv.Atoi(q.Get("limit"))
	for i, l := range g.locks {
		if i < after || (l.State != "held" && l.State != "queued") || (q.Has("owner") && q.Get("owner") != l.Owner) {
			continue
		}
		if limit > 0 && len(page.Items) == limit {
			page.Next = strconv.Itoa(i)
			break
		}
		page.Items = append(page.Items, *l)
	}
	answer(w, http.StatusOK, page)
}
