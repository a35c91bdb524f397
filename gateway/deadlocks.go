package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway/wire"
)

const graphviz = "text/vnd.graphviz"

// showGraph is GET /v1/graph, in JSON or, when the caller accepts only that, DOT.
func (s *Server) showGraph(c echo.Context) error {
	p := query(c, "namespace")
	ns := lock.Namespace(p.text("namespace"))
	if err := p.err(); err != nil {
		return err
	}
	g, err := s.parts.Orchestrator.Graph(c.Request().Context(), CallerFrom(c), ns)
	if err != nil {
		return err
	}
	body := presentGraph(&g)
	c.Response().Header().Set("Vary", "Accept")
	if strings.Contains(c.Request().Header.Get("Accept"), graphviz) {
		return c.Blob(http.StatusOK, graphviz, []byte(dot(&body)))
	}
	return writeJSON(c, http.StatusOK, &body)
}

func presentGraph(g *orchestrator.Graph) wire.Graph {
	out := wire.Graph{
		Nodes: make([]wire.GraphNode, len(g.Nodes)), Edges: make([]wire.GraphEdge, len(g.Edges)),
		Cycles: make([][]string, len(g.Cycles)), Truncated: g.Truncated,
	}
	for i, n := range g.Nodes {
		out.Nodes[i] = wire.GraphNode{
			Owner: string(n.Owner), Holds: n.Holds, Waits: n.Waits, Priority: n.Priority.String(), Losses: n.Losses, Degree: n.Degree,
		}
	}
	for i := range g.Edges {
		e := &g.Edges[i]
		out.Edges[i] = wire.GraphEdge{
			From: string(e.From), To: string(e.To), Namespace: string(e.Namespace), Request: string(e.Request),
			Resource: string(e.Resource), Kind: e.Kind.String(), Blocker: string(e.Blocker),
		}
	}
	for i, cycle := range g.Cycles {
		out.Cycles[i] = texts(cycle.Owners())
	}
	return out
}

// dot draws a graph: soft edges dashed, declared ones dotted, cycles red.
func dot(g *wire.Graph) string {
	red := make(map[[2]string]bool)
	for _, cycle := range g.Cycles {
		for i, owner := range cycle {
			red[[2]string{owner, cycle[(i+1)%len(cycle)]}] = true
		}
	}
	var b strings.Builder
	b.WriteString("digraph lockgate {\n\trankdir=LR;\n\tnode [shape=box];\n")
	for _, n := range g.Nodes {
		_, _ = fmt.Fprintf(&b, "\t%s [label=%s];\n", quotedDOT(n.Owner),
			quotedDOT(n.Owner+"\nholds "+strconv.Itoa(n.Holds)+", waits "+strconv.Itoa(n.Waits)))
	}
	for _, e := range g.Edges {
		style := map[string]string{wire.EdgeSoft: "dashed", wire.EdgeDeclared: "dotted"}[e.Kind]
		if style == "" {
			style = "solid"
		}
		colour := "black"
		if red[[2]string{e.From, e.To}] {
			colour = "red"
		}
		_, _ = fmt.Fprintf(&b, "\t%s -> %s [label=%s, style=%s, color=%s];\n",
			quotedDOT(e.From), quotedDOT(e.To), quotedDOT(e.Resource), style, colour)
	}
	b.WriteString("}\n")
	return b.String()
}

// quotedDOT writes a string of the DOT language.
func quotedDOT(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}

// listDeadlocks is GET /v1/deadlocks.
func (s *Server) listDeadlocks(c echo.Context) error {
	if err := query(c).err(); err != nil {
		return err
	}
	all, err := s.parts.Orchestrator.Deadlocks(c.Request().Context(), CallerFrom(c))
	if err != nil {
		return err
	}
	body := wire.DeadlockList{Items: make([]wire.Deadlock, len(all))}
	for i := range all {
		body.Items[i] = presentDeadlock(&all[i])
	}
	return writeJSON(c, http.StatusOK, &body)
}

func presentDeadlock(d *lock.Deadlock) wire.Deadlock {
	out := wire.Deadlock{
		ID: d.ID, Namespace: string(d.Namespace), Size: d.Size, Owners: texts(d.Owners), Cycle: cycle(d.Cycle),
		Resolution: string(d.Resolution), Policy: d.Policy, Fallback: d.Fallback, Victims: texts(d.Victims),
		Reasons: list(d.Reasons), Moved: texts(d.Moved), Candidates: make([]wire.Candidate, len(d.Candidates)),
		Measures: wire.Measures(d.Measures), Swept: d.Swept,
		FormedAt: wire.Time{Time: d.FormedAt}, ResolvedAt: wire.Time{Time: d.ResolvedAt},
		Took: wire.Duration(max(0, d.ResolvedAt.Sub(d.FormedAt))),
	}
	for i := range d.Candidates {
		c := &d.Candidates[i]
		out.Candidates[i] = wire.Candidate{
			Owner: string(c.Owner), Priority: c.Priority.String(), Locks: c.Locks,
			HoldTime: wire.Duration(c.HoldTime), WaitTime: wire.Duration(c.WaitTime), Losses: c.Losses,
			Frees: c.Frees, Blocked: c.Blocked, Centrality: c.Centrality, Immune: c.Immune, Cost: c.Cost,
		}
	}
	return out
}

func cycle(c lock.Cycle) []wire.CycleEdge {
	out := make([]wire.CycleEdge, len(c))
	for i := range c {
		e := &c[i]
		out[i] = wire.CycleEdge{
			Owner: string(e.From), Request: string(e.Request), Resource: string(e.Resource),
			WaitsFor: string(e.To), Kind: e.Kind.String(),
		}
	}
	return out
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i := range all {
		out[i] = string(all[i])
	}
	return out
}

// declareWait is POST /v1/waits.
func (s *Server) declareWait(c echo.Context) error {
	var body wire.WaitRequest
	if err := s.readJSON(c, s.decoders.wait, &body); err != nil {
		return err
	}
	w, err := s.parts.Orchestrator.Declare(c.Request().Context(), CallerFrom(c), &orchestrator.WaitRequest{
		Namespace: lock.Namespace(body.Namespace), Owner: lock.Owner(body.Owner),
		For: lock.Owner(body.WaitsFor), TTL: time.Duration(body.TTL),
	})
	if err != nil {
		return err
	}
	c.Response().Header()["Location"] = []string{"/v1/waits/" + string(w.ID)}
	shown := presentWait(&w)
	return writeJSON(c, http.StatusCreated, &shown)
}

// withdrawWait is DELETE /v1/waits/{id}.
func (s *Server) withdrawWait(c echo.Context) error {
	id, err := lockID(c)
	if err != nil {
		return err
	}
	w, err := s.parts.Orchestrator.Withdraw(c.Request().Context(), CallerFrom(c), id)
	if err != nil {
		return err
	}
	shown := presentWait(&w)
	return writeJSON(c, http.StatusOK, &shown)
}

func presentWait(w *lock.Wait) wire.Wait {
	return wire.Wait{
		ID: string(w.ID), Namespace: string(w.Namespace), Owner: string(w.Owner), WaitsFor: string(w.For), Subject: w.Subject,
		Declared: wire.Time{Time: w.Declared}, Until: wire.Time{Time: w.Until},
	}
}
