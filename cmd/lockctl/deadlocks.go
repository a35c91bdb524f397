package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/cmd/internal/output"
	"github.com/lockgate/lockgate/gateway/wire"
)

func (c *cli) graphCommand() *cobra.Command {
	var namespace string
	format := &graphFormat{Format: &c.format}
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "Show who waits for whom",
		Long: `Shows the owners that wait and whom each of them waits for: hard edges lead to
holders, soft ones to requests ahead in a queue, declared ones were said to be.
-o dot writes the graph for Graphviz.`,
		Example: exampleOf("lockctl graph", "lockctl graph --namespace acme/infra -o dot | dot -Tsvg > graph.svg"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gateway, err := c.quick()
			if err != nil {
				return err
			}
			if format.dot {
				text, err := gateway.GraphDOT(cmd.Context(), namespace)
				if err != nil {
					return err
				}
				_, err = c.out.WriteString(text)
				return err
			}
			g, err := gateway.Graph(cmd.Context(), namespace)
			if err != nil {
				return err
			}
			return c.print(g, func() *table { return graphTable(g) })
		},
	}
	cmd.Flags().StringVarP(&namespace, "namespace", "n", "", "only this namespace")
	cmd.Flags().VarP(format, "output", "o", "table, json, yaml or dot")
	return cmd
}

// graphFormat is how a graph is printed: as everything else, or drawn.
type graphFormat struct {
	*output.Format

	dot bool
}

// Set implements pflag.Value.
func (f *graphFormat) Set(text string) error {
	if f.dot = text == "dot"; f.dot {
		return nil
	}
	return f.Format.Set(text)
}

// graphTable has a row for each edge; an edge of a deadlock says so.
func graphTable(g *wire.Graph) *table {
	stuck := make(map[[2]string]bool)
	for _, cycle := range g.Cycles {
		for i, owner := range cycle {
			stuck[[2]string{owner, cycle[(i+1)%len(cycle)]}] = true
		}
	}
	t := newTable("OWNER", "WAITS FOR", "KIND", "KEY", "NAMESPACE", "DEADLOCK")
	for _, e := range g.Edges {
		deadlocked := "-"
		if stuck[[2]string{e.From, e.To}] {
			deadlocked = "yes"
		}
		t.add(e.From, e.To, e.Kind, orDash(e.Resource), e.Namespace, deadlocked)
	}
	return t
}

func (c *cli) deadlocksCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "deadlocks",
		Short: "List the newest deadlocks and what was done about them",
		Long: `Lists the newest deadlocks first: who waited for whom, who gave way, what chose it
and how long that took. -o json has the candidates with the cost of each.`,
		Example: exampleOf("lockctl deadlocks", "lockctl deadlocks -o json"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gateway, err := c.quick()
			if err != nil {
				return err
			}
			all, err := gateway.Deadlocks(cmd.Context())
			if err != nil {
				return err
			}
			return c.print(all, func() *table { return deadlockTable(all) })
		},
	}
}

func deadlockTable(all []wire.Deadlock) *table {
	t := newTable("RESOLVED", "CYCLE", "RESOLUTION", "GAVE WAY", "POLICY", "TOOK")
	for i := range all {
		d := &all[i]
		t.add(clock(d.ResolvedAt), ring(d.Cycle, d.Size), d.Resolution, orDash(strings.Join(d.Victims, ", ")), orDash(d.Policy), brief(time.Duration(d.Took)))
	}
	return t
}

// ring is a cycle in one line: the owners, and what each waits for.
func ring(cycle []wire.CycleEdge, size int) string {
	const most = 4
	var b strings.Builder
	for i, e := range cycle {
		if i == most {
			_, _ = fmt.Fprintf(&b, "… (%d owners)", size)
			return b.String()
		}
		what := e.Resource
		if what == "" {
			what = e.Kind
		}
		_, _ = fmt.Fprintf(&b, "%s -(%s)-> ", e.Owner, what)
	}
	if len(cycle) > 0 {
		b.WriteString(cycle[0].Owner)
	}
	return b.String()
}

// gaveWay tells a victim who waits for whom, why it was chosen, and what to do.
func gaveWay(p *wire.Problem) string {
	var b strings.Builder
	b.WriteString("the request gave way in a deadlock: ")
	for i, e := range p.Cycle {
		if i > 0 {
			b.WriteString(", ")
		}
		switch e.Kind {
		case wire.EdgeHard:
			_, _ = fmt.Fprintf(&b, "%s waits for %q held by %s", e.Owner, e.Resource, e.WaitsFor)
		case wire.EdgeSoft:
			_, _ = fmt.Fprintf(&b, "%s waits for %q behind %s", e.Owner, e.Resource, e.WaitsFor)
		default:
			_, _ = fmt.Fprintf(&b, "%s waits for %s", e.Owner, e.WaitsFor)
		}
	}
	if len(p.Cycle) == 0 {
		b.WriteString(p.Error())
	}
	if p.VictimPolicy != "" {
		_, _ = fmt.Fprintf(&b, " (chosen by %s)", p.VictimPolicy)
	}
	b.WriteString("; release what you hold with \"lockctl release\", then ask again")
	if p.LockID != "" {
		b.WriteString(" with --retry-of " + p.LockID + " to keep your place")
	}
	return b.String()
}
