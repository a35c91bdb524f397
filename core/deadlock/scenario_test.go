package deadlock

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// The scenarios in testdata speak the language of the comment of each command
// in [scenario.run].
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		t.Helper()
		s := &scenario{t: t, table: newTable(), cfg: DefaultConfig()}
		datadriven.RunTest(t, path, s.run)
	})
}

type scenario struct {
	t     *testing.T
	table *table
	first *Graph
	cfg   Config
	guest guest
}

func (s *scenario) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	switch d.Cmd {
	case "table": // a new lock table, one line a request: hold|wait|offer|declare OWNER KEY[:shared]… [name=value]…
		s.table = newTable()
		return s.extend(d.Input)
	case "also": // more lines for the table
		return s.extend(d.Input)
	case "ring": // ring N: owners that each hold a key and wait for the next one's
		n, err := strconv.Atoi(d.CmdArgs[0].Key)
		require.NoError(t, err)
		s.table = newTable()
		s.table.ring(n)
		return ""
	case "chain": // chain N: the same, but the last waits for nobody
		n, err := strconv.Atoi(d.CmdArgs[0].Key)
		require.NoError(t, err)
		s.table = newTable()
		s.table.ring(n)
		s.table.end(s.table.snap.Requests[2*n-1].ID)
		return ""
	case "end": // end ID…: requests or declared waits are over
		for _, a := range d.CmdArgs {
			s.table.end(lock.ID(a.Key))
		}
		return ""
	case "policy": // policy NAME [max=N]
		s.cfg.VictimPolicy = Policy(d.CmdArgs[0].Key)
		d.MaybeScanArgs(t, "max", &s.cfg.MaxVictimizations)
		return ""
	case "guest": // what the extension answers: an owner, "hangs", "traps"
		s.guest = guest{answer: d.CmdArgs[0].Key}
		return ""
	case "find": // find [OWNER…]: what is found from the owners, or by a sweep
		return s.report(s.find(d))
	case "resolve": // resolve: find, do it, and again until nothing is left
		return s.resolve()
	case "costs": // costs: the candidates of the first finding
		return s.costs()
	case "edges":
		return s.edges()
	case "closes": // closes ID: whether prevention refuses it
		c, closes := s.table.graph().ClosedBy(lock.ID(d.CmdArgs[0].Key))
		return fmt.Sprintf("%v %s", closes, c)
	case "remember": // the first read of two
		s.first = s.table.graph()
		return ""
	case "stands": // whether the cycles of the first read stand in the second
		var out []string
		for _, c := range s.first.Cycles() {
			out = append(out, fmt.Sprintf("%v: %s", s.table.graph().Stands(c), c))
		}
		return strings.Join(out, "\n")
	case "measures":
		return s.measures()
	}
	t.Fatalf("%s: %q is no command", d.Pos, d.Cmd)
	return ""
}

func (s *scenario) extend(input string) string {
	for line := range strings.Lines(input) {
		words := strings.Fields(line)
		var keys, options []string
		for _, w := range words[2:] {
			if strings.Contains(w, "=") {
				options = append(options, w)
			} else {
				keys = append(keys, w)
			}
		}
		if words[0] == "declare" {
			s.table.declare(words[1], keys[0])
			continue
		}
		states := map[string]lock.State{"hold": lock.Held, "wait": lock.Queued, "offer": lock.Offered}
		r := s.table.add(states[words[0]], words[1], keys...)
		for _, o := range options {
			s.option(r, o)
		}
	}
	return ""
}

// option sets one field of a request. A score is in seconds relative to the
// time of the request.
func (s *scenario) option(r *Request, text string) {
	name, value, _ := strings.Cut(text, "=")
	switch name {
	case "in":
		r.Namespace = lock.Namespace(value)
	case "priority":
		require.NoError(s.t, r.Priority.UnmarshalText([]byte(value)))
		r.Value = r.Priority.Base()
	case "preemptible":
		r.Preemptible = value == "yes"
	case "losses", "score", "lease":
		n, err := strconv.Atoi(value)
		require.NoError(s.t, err)
		switch name {
		case "losses":
			r.Losses = n
		case "score":
			r.Score += int64(n) * 1000
		default:
			r.Expires = r.Acquired.Add(time.Duration(n) * time.Second)
		}
	default:
		s.t.Fatalf("%q is no option", text)
	}
}

func (s *scenario) detector() *Detector {
	d, err := New(s.cfg, &s.guest)
	require.NoError(s.t, err)
	return d
}

func (s *scenario) find(d *datadriven.TestData) []Finding {
	if len(d.CmdArgs) == 0 {
		return s.detector().Sweep(s.t.Context(), s.table.graph())
	}
	var from []lock.Owner
	for _, a := range d.CmdArgs {
		from = append(from, lock.Owner(a.Key))
	}
	return s.detector().Find(s.t.Context(), s.table.graph(), from)
}

func (s *scenario) report(found []Finding) string {
	if len(found) == 0 {
		return "nothing"
	}
	var out strings.Builder
	for i := range found {
		s.describe(&out, &found[i])
	}
	return out.String()
}

func (s *scenario) describe(out *strings.Builder, f *Finding) {
	if len(f.Cycle) > 12 {
		fmt.Fprintf(out, "deadlock of %d owners: a ring of %d\n", len(f.Owners), len(f.Cycle))
	} else {
		fmt.Fprintf(out, "deadlock of %d owners: %s\n", len(f.Owners), f.Cycle)
	}
	if f.Fallback != nil {
		fmt.Fprintf(out, "  %s decides: %s\n", f.Policy, f.Fallback)
	}
	for _, m := range f.Moves {
		fmt.Fprintf(out, "  %s passes %v\n", m.Request, m.Passes)
	}
	for _, v := range f.Victims {
		fmt.Fprintf(out, "  victim %s: %v end", v.Owner, v.Requests)
		for _, l := range v.Locks {
			fmt.Fprintf(out, ", holds %s", l.ID)
			if l.Preemptible {
				fmt.Fprint(out, " (preemptible)")
			}
		}
		fmt.Fprintln(out)
	}
	if len(f.Withdraw) > 0 {
		fmt.Fprintf(out, "  withdraw %v\n", f.Withdraw)
	}
}

func (s *scenario) resolve() string {
	var out strings.Builder
	for {
		found := s.detector().Sweep(s.t.Context(), s.table.graph())
		if len(found) == 0 {
			return out.String() + "nothing is left\n"
		}
		s.describe(&out, &found[0])
		s.table.apply(&found[0])
	}
}

func (s *scenario) costs() string {
	var out strings.Builder
	candidates := s.detector().Sweep(s.t.Context(), s.table.graph())[0].Candidates
	slices.SortFunc(candidates, func(a, b Candidate) int { return a.Rank - b.Rank })
	for _, c := range candidates {
		fmt.Fprintf(&out, "%s cost=%d priority=%s locks=%d held=%s waited=%s lease=%s losses=%d blocked=%d frees=%d preemptible=%v immune=%v\n",
			c.Owner, c.Cost, c.Priority, c.Locks, c.HoldTime, c.WaitTime, c.Lease, c.Losses, c.Blocked, c.Frees, c.Preemptible, c.Immune)
	}
	return out.String()
}

func (s *scenario) edges() string {
	var out strings.Builder
	for _, e := range allEdges(s.table.graph()) {
		fmt.Fprintf(&out, "%s -> %s %s %s %s %s\n", e.From, e.To, e.Kind, e.Request, e.Resource, e.Blocker)
	}
	return out.String()
}

func (s *scenario) measures() string {
	var out strings.Builder
	for _, f := range s.detector().Sweep(s.t.Context(), s.table.graph()) {
		m := f.Measures
		fmt.Fprintf(&out, "owners=%d edges=%d longest=%d clustering=%.2f\n", m.Owners, m.Edges, m.LongestPath, m.Clustering)
		for _, o := range m.Each {
			fmt.Fprintf(&out, "  %s waits-for=%d waited-by=%d betweenness=%.2f clustering=%.2f\n", o.Owner, o.WaitsFor, o.WaitedBy, o.Betweenness, o.Clustering)
		}
	}
	return out.String()
}

// guest is an extension that always answers the same.
type guest struct {
	answer string
}

func (g *guest) SelectVictim(ctx context.Context, extension string, _ *Dispute) (Choice, error) {
	switch g.answer {
	case "hangs":
		<-ctx.Done()
		return Choice{}, ctx.Err()
	case "traps":
		return Choice{}, errors.New("unreachable executed")
	}
	return Choice{Victim: lock.Owner(g.answer), Reason: extension + " says so"}, nil
}
