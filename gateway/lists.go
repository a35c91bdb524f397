package gateway

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// Bounds of every list.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// listLocks is GET /v1/locks.
func (s *Server) listLocks(c echo.Context) error {
	p := query(c, "namespace", "resource", "prefix", "owner", "state", "priority", "label", "limit", "cursor")
	q := lock.Query{
		Namespace: lock.Namespace(p.text("namespace")),
		Resource:  lock.Key(p.text("resource")),
		Prefix:    p.text("prefix"),
		Owner:     lock.Owner(p.text("owner")),
		States:    p.states("state"),
		Priority:  p.priority("priority", p.text("priority")),
		Labels:    p.labels("label"),
		After:     p.text("cursor"),
		Limit:     p.count("limit", 1),
	}
	if err := p.err(); err != nil {
		return err
	}
	caller := CallerFrom(c)
	page, err := s.parts.Orchestrator.List(c.Request().Context(), caller, q)
	if err != nil {
		return inParameter("cursor", err)
	}
	return writeJSON(c, http.StatusOK, &wire.LockList{Items: presentAll(page.Locks, caller), Next: page.Next})
}

func (p *params) states(name string) []lock.State {
	var out []lock.State
	for _, v := range p.each(name) {
		var s lock.State
		if err := s.UnmarshalText([]byte(v)); err != nil {
			p.fault(name, err.Error())
			continue
		}
		if s != 0 {
			out = append(out, s)
		}
	}
	return out
}

// labels reads label=k:v, repeated for several.
func (p *params) labels(name string) map[string]string {
	var out map[string]string
	for _, v := range p.values[name] {
		k, value, ok := strings.Cut(v, ":")
		if !ok || k == "" {
			p.fault(name, "must look like environment:prod")
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = value
	}
	return out
}

// listQueues is GET /v1/queues.
func (s *Server) listQueues(c echo.Context) error {
	p := query(c, "namespace", "resource", "limit", "cursor", "depth")
	q := lock.QueueQuery{
		Namespace: lock.Namespace(p.text("namespace")),
		Resource:  lock.Key(p.text("resource")),
		After:     p.text("cursor"),
		Limit:     p.count("limit", 1),
		Depth:     p.count("depth", 0),
	}
	if err := p.err(); err != nil {
		return err
	}
	caller := CallerFrom(c)
	page, err := s.parts.Orchestrator.Queues(c.Request().Context(), caller, q)
	if err != nil {
		return inParameter("cursor", err)
	}
	body := wire.QueueList{Items: make([]wire.Queue, len(page.Queues)), Next: page.Next}
	for i := range page.Queues {
		body.Items[i] = s.presentQueue(&page.Queues[i], caller)
	}
	return writeJSON(c, http.StatusOK, &body)
}

func (s *Server) presentQueue(q *lock.Queue, caller *lock.Caller) wire.Queue {
	out := wire.Queue{
		Namespace: string(q.Namespace),
		Resource:  string(q.Resource),
		Holders:   presentAll(q.Holders, caller),
		Waiters:   make([]wire.Waiter, len(q.Waiters)),
		Length:    q.Length,
	}
	for i := range q.Waiters {
		out.Waiters[i].Lock = present(&q.Waiters[i], caller)
		if rest, known := s.parts.Orchestrator.Estimate(q.Namespace, q.Resource, i+1); known {
			rest := wire.Duration(rest.Round(time.Millisecond))
			out.Waiters[i].Estimate = &rest
		}
	}
	return out
}
