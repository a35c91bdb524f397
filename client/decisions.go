package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"

	"github.com/lockgate/lockgate/gateway/wire"
)

// Decide asks what policy would say to a call, without making it.
func (c *Client) Decide(ctx context.Context, r *wire.DecisionRequest) (*wire.Decision, error) {
	d := &wire.Decision{}
	if err := c.do(ctx, &call{what: "decide", method: http.MethodPost, path: "/v1/decisions", body: r}, d); err != nil {
		return nil, err
	}
	return d, nil
}

// Decisions answers the decision log, newest first, page by page. Entries have
// the field names of OPA's decision log, masked as the gateway is told to. An
// error ends it.
func (c *Client) Decisions(ctx context.Context) iter.Seq2[json.RawMessage, error] {
	return pages(ctx, url.Values{}, func(ctx context.Context, q url.Values) ([]json.RawMessage, string, error) {
		var page wire.DecisionList
		err := c.do(ctx, &call{what: "list decisions", method: http.MethodGet, path: "/v1/decisions", query: q}, &page)
		return page.Items, page.Next, err
	})
}

// Decision answers one entry of the decision log.
func (c *Client) Decision(ctx context.Context, id string) (json.RawMessage, error) {
	var entry json.RawMessage
	cl := &call{what: "get decision " + id, method: http.MethodGet, path: "/v1/decisions/" + url.PathEscape(id)}
	if err := c.do(ctx, cl, &entry); err != nil {
		return nil, err
	}
	return entry, nil
}

// ExplainedDecision answers one entry of the decision log with a member
// explanation: how it came about, and what keeps the caller out. It is for
// administrators.
func (c *Client) ExplainedDecision(ctx context.Context, id string) (json.RawMessage, error) {
	var entry json.RawMessage
	cl := &call{
		what: "explain decision " + id, method: http.MethodGet, path: "/v1/decisions/" + url.PathEscape(id),
		query: url.Values{"explain": {"full"}},
	}
	if err := c.do(ctx, cl, &entry); err != nil {
		return nil, err
	}
	return entry, nil
}

// Status answers the state of the gateway and its components.
func (c *Client) Status(ctx context.Context) (*wire.Status, error) {
	s := &wire.Status{}
	if err := c.do(ctx, &call{what: "get status", method: http.MethodGet, path: "/v1/status"}, s); err != nil {
		return nil, err
	}
	return s, nil
}
