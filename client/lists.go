package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lockgate/lockgate/gateway/wire"
)

// ListFilter says which locks to list; empty fields do not restrict.
type ListFilter struct {
	Namespace string
	Resource  string // exactly this key
	Prefix    string // of a key
	Owner     string
	State     string // without it, live ones
	Priority  string
	Labels    map[string]string
	PageSize  int // locks a call; 0: as the gateway likes
}

func (f *ListFilter) query() url.Values {
	q := url.Values{}
	set(q, "namespace", f.Namespace)
	set(q, "resource", f.Resource)
	set(q, "prefix", f.Prefix)
	set(q, "owner", f.Owner)
	set(q, "state", f.State)
	set(q, "priority", f.Priority)
	for name, value := range f.Labels {
		q.Add("label", name+":"+value)
	}
	setLimit(q, f.PageSize)
	return q
}

// List answers the locks that match and that policy lets the caller see, page by
// page. An error ends it.
func (c *Client) List(ctx context.Context, f ListFilter) iter.Seq2[wire.Lock, error] {
	return pages(ctx, f.query(), func(ctx context.Context, q url.Values) ([]wire.Lock, string, error) {
		var page wire.LockList
		err := c.do(ctx, &call{what: "list locks", method: http.MethodGet, path: "/v1/locks", query: q}, &page)
		return page.Items, page.Next, err
	})
}

// QueueFilter says which queues to list; empty fields do not restrict.
type QueueFilter struct {
	Namespace string
	Resource  string // exactly this key
	PageSize  int    // queues a call; 0: as the gateway likes
}

// Queues answers the resources that somebody holds or waits for, page by page.
// An error ends it.
func (c *Client) Queues(ctx context.Context, f QueueFilter) iter.Seq2[wire.Queue, error] {
	q := url.Values{}
	set(q, "namespace", f.Namespace)
	set(q, "resource", f.Resource)
	setLimit(q, f.PageSize)
	return pages(ctx, q, func(ctx context.Context, q url.Values) ([]wire.Queue, string, error) {
		var page wire.QueueList
		err := c.do(ctx, &call{what: "list queues", method: http.MethodGet, path: "/v1/queues", query: q}, &page)
		return page.Items, page.Next, err
	})
}

// pages turns calls that answer one page each into one sequence.
func pages[T any](ctx context.Context, q url.Values, page func(context.Context, url.Values) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		q.Del("cursor")
		for {
			items, next, err := page(ctx, q)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			q.Set("cursor", next)
		}
	}
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setLimit(q url.Values, limit int) {
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
}
