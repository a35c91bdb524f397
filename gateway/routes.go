package gateway

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// Routes adds routes of other doors. Their callers are authenticated and
// limited like all others; errors that their handlers return are answered as
// problems.
type Routes struct {
	s *Server
}

// Add adds a route, in Echo's notation. The method may be one of WebDAV's, such
// as LOCK.
func (r Routes) Add(method, path string, h echo.HandlerFunc) {
	r.s.add(method, path, h, r.s.admit)
}

func (s *Server) addRoutes() {
	for _, r := range []struct {
		method, path string
		handler      echo.HandlerFunc
	}{
		{http.MethodPost, "/v1/locks", s.acquire},
		{http.MethodGet, "/v1/locks", s.listLocks},
		{http.MethodGet, "/v1/locks/:id", s.showLock},
		{http.MethodDelete, "/v1/locks/:id", s.endLock},
		{http.MethodPatch, "/v1/locks/:id", s.changeLock},
		{http.MethodPost, "/v1/locks/:id/wait", s.waitForLock},
		{http.MethodPost, "/v1/locks/:id/renew", s.renewLock},
		{http.MethodPost, "/v1/locks/:id/verify", s.verifyLock},
		{http.MethodDelete, "/v1/owners/:owner/locks", s.endOwner},
		{http.MethodGet, "/v1/queues", s.listQueues},
		{http.MethodGet, "/v1/graph", s.showGraph},
		{http.MethodGet, "/v1/deadlocks", s.listDeadlocks},
		{http.MethodPost, "/v1/waits", s.declareWait},
		{http.MethodDelete, "/v1/waits/:id", s.withdrawWait},
		{http.MethodGet, "/v1/events", s.streamEvents},
		{http.MethodPost, "/v1/decisions", s.tryDecision},
		{http.MethodGet, "/v1/decisions", s.listDecisions},
		{http.MethodGet, "/v1/decisions/:id", s.showDecision},
		{http.MethodGet, "/v1/policies", s.listPolicies},
		{http.MethodGet, "/v1/status", s.showStatus},
		{http.MethodGet, "/metrics", s.scrape()},
	} {
		s.add(r.method, r.path, r.handler, s.admit)
	}
	for path, handler := range map[string]echo.HandlerFunc{
		"/":             s.welcome,
		"/openapi.json": s.document,
		"/docs":         s.docs,
		"/docs/docs.js": s.docsScript,
		"/.well-known/lockgate-policy-contract.json": s.policyContract,
	} {
		s.add(http.MethodGet, path, handler)
	}
	for path, handler := range map[string]echo.HandlerFunc{
		"/livez":   s.live,
		"/readyz":  s.ready,
		"/healthz": s.healthy,
	} {
		s.add(http.MethodGet, path, handler)
		s.add(http.MethodHead, path, handler) // load balancers ask so
	}
	for _, mount := range s.parts.Mounts {
		mount(Routes{s})
	}
}

func (s *Server) add(method, path string, h echo.HandlerFunc, with ...echo.MiddlewareFunc) {
	s.echo.Add(method, path, h, with...)
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, isParam := strings.CutPrefix(part, ":"); isParam {
			parts[i] = "{" + name + "}"
		}
	}
	s.routes[path] = strings.Join(parts, "/")
}
