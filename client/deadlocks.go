package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// Graph answers who waits for whom, in one namespace or, when it is empty, in
// all, as far as policy lets the caller see it.
func (c *Client) Graph(ctx context.Context, namespace string) (*wire.Graph, error) {
	q := url.Values{}
	set(q, "namespace", namespace)
	g := &wire.Graph{}
	if err := c.do(ctx, &call{what: "get the graph", method: http.MethodGet, path: "/v1/graph", query: q}, g); err != nil {
		return nil, err
	}
	return g, nil
}

// GraphDOT is Graph in the language of Graphviz.
func (c *Client) GraphDOT(ctx context.Context, namespace string) (string, error) {
	q := url.Values{}
	set(q, "namespace", namespace)
	var text string
	err := c.do(ctx, &call{
		what: "get the graph", method: http.MethodGet, path: "/v1/graph", query: q,
		header: http.Header{"Accept": {"text/vnd.graphviz"}},
	}, &text)
	return text, err
}

// Deadlocks answers the newest deadlocks, newest first, and what was done about
// each.
func (c *Client) Deadlocks(ctx context.Context) ([]wire.Deadlock, error) {
	var all wire.DeadlockList
	err := c.do(ctx, &call{what: "list deadlocks", method: http.MethodGet, path: "/v1/deadlocks"}, &all)
	return all.Items, err
}

// DeclareWait says that an owner waits for another outside of locks, for ttl or,
// when it is 0, an hour. [ErrDeadlock] says that this would close a ring in
// which nobody waits for a lock.
func (c *Client) DeclareWait(ctx context.Context, namespace, owner, waitsFor string, ttl time.Duration) (*wire.Wait, error) {
	w := &wire.Wait{}
	err := c.do(ctx, &call{
		what: "declare that " + owner + " waits", method: http.MethodPost, path: "/v1/waits",
		body: &wire.WaitRequest{Namespace: namespace, Owner: owner, WaitsFor: waitsFor, TTL: wire.Duration(ttl)},
	}, w)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// WithdrawWait takes a declared wait back. [ErrNotFound] says that it is over.
func (c *Client) WithdrawWait(ctx context.Context, id string) error {
	return c.do(ctx, &call{
		what: "withdraw wait " + id, method: http.MethodDelete, path: "/v1/waits/" + url.PathEscape(id),
	}, &wire.Wait{})
}
