package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// The states of a request that callers meet, as [wire.Lock] spells them.
const (
	Queued   = "queued"
	Offered  = "offered"
	Held     = "held"
	Released = "released"
)

// The modes of a [wire.Resource].
const (
	Exclusive = "exclusive"
	Shared    = "shared"
)

// maxOpen is how long a gateway keeps one call open at most.
const maxOpen = 60 * time.Second

// Get answers a request, live or ended within the last hour. With a wait it
// answers as soon as the state has changed, and after the wait (at most 60 s)
// when it has not.
func (c *Client) Get(ctx context.Context, id string, wait time.Duration) (*wire.Lock, error) {
	cl := &call{what: "get lock " + id, method: http.MethodGet, path: lockPath(id)}
	if wait > 0 {
		cl.open = min(wait, maxOpen)
		cl.query = url.Values{"wait": {cl.open.String()}}
	}
	return c.lock(ctx, cl)
}

// Wait is one waiting call of a queued request: it stays open until the lock is
// held, or until the timeout (at most 60 s) when it is still queued. Only for
// the subject that made the request. [Client.Acquire] makes these calls itself.
func (c *Client) Wait(ctx context.Context, id string, timeout time.Duration) (*wire.Lock, error) {
	return c.lock(ctx, waiting(id, timeout))
}

func waiting(id string, timeout time.Duration) *call {
	open := min(timeout, maxOpen)
	return &call{
		what:   "wait for lock " + id,
		method: http.MethodPost,
		path:   lockPath(id) + "/wait",
		query:  url.Values{"timeout": {open.String()}},
		open:   open,
	}
}

// Renew starts the lease again. A nil ttl keeps its length.
func (c *Client) Renew(ctx context.Context, id string, token int64, ttl *time.Duration) (*wire.Lock, error) {
	body := &wire.TokenRequest{Token: token}
	if ttl != nil {
		length := wire.Duration(*ttl)
		body.TTL = &length
	}
	return c.lock(ctx, &call{what: "renew lock " + id, method: http.MethodPost, path: lockPath(id) + "/renew", body: body})
}

// Verify answers the lock while its token still holds, else [ErrStaleToken]. It
// is the fencing check for whatever guards a resource.
func (c *Client) Verify(ctx context.Context, id string, token int64) (*wire.Lock, error) {
	return c.lock(ctx, &call{
		what: "verify lock " + id, method: http.MethodPost, path: lockPath(id) + "/verify",
		body: &wire.TokenRequest{Token: token},
	})
}

// Release ends a held lock, or cancels a request that still waits; the token of
// the latter is 0. Releasing again answers the same.
func (c *Client) Release(ctx context.Context, id string, token int64) (*wire.Lock, error) {
	cl := &call{what: "release lock " + id, method: http.MethodDelete, path: lockPath(id)}
	if token != 0 {
		cl.query = url.Values{"token": {strconv.FormatInt(token, 10)}}
	}
	return c.lock(ctx, cl)
}

// ForceRelease revokes somebody else's lock, if policy allows it. The reason is
// kept with the lock.
func (c *Client) ForceRelease(ctx context.Context, id, reason string) (*wire.Lock, error) {
	return c.lock(ctx, &call{
		what: "force the release of lock " + id, method: http.MethodDelete, path: lockPath(id),
		query: url.Values{"force": {"true"}, "reason": {reason}},
	})
}

// EndOwner releases and cancels everything of one owner, in one namespace or,
// when that is empty, in all. It answers what it ended.
func (c *Client) EndOwner(ctx context.Context, namespace, owner string) ([]wire.Lock, error) {
	cl := &call{
		what: "end owner " + owner, method: http.MethodDelete,
		path: "/v1/owners/" + url.PathEscape(owner) + "/locks",
	}
	if namespace != "" {
		cl.query = url.Values{"namespace": {namespace}}
	}
	var ended wire.LockList
	if err := c.do(ctx, cl, &ended); err != nil {
		return nil, err
	}
	return ended.Items, nil
}

// Reprioritize asks for another priority of a queued request.
func (c *Client) Reprioritize(ctx context.Context, id, priority string) (*wire.Lock, error) {
	return c.lock(ctx, &call{
		what: "reprioritize lock " + id, method: http.MethodPatch, path: lockPath(id),
		body: &wire.PatchRequest{Priority: priority},
	})
}

// lock sends a call that answers one lock.
func (c *Client) lock(ctx context.Context, cl *call) (*wire.Lock, error) {
	l := &wire.Lock{}
	if err := c.do(ctx, cl, l); err != nil {
		return nil, err
	}
	return l, nil
}

func lockPath(id string) string { return "/v1/locks/" + url.PathEscape(id) }
