package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

// TestDeadlocks plays the files of testdata/deadlock, each against a gateway of
// its own, whose configuration is the file's first command.
func TestDeadlocks(t *testing.T) {
	files, err := filepath.Glob("testdata/deadlock/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &play{t: t, cfg: deadlock.DefaultConfig(), calls: map[string]*call{}, ids: map[string]lock.ID{}}
				datadriven.RunTest(t, file, p.do)
				if p.rig != nil {
					require.Zero(t, p.counter("lockgate_deadlocks_swept_total"), "the sweep found what should have been found at once")
				}
			})
		})
	}
}

// play is one file. Every acquire is a call of its own, named by its first
// argument, whose owner is the letters of the name; every command prints the
// calls that ended by it.
//
//	config [mode=M] [policy=P] [max=N] [flood=N] [guest=OWNER|traps]
//	policy [preemptible] [revoke]       what the next decisions say
//	acquire NAME KEY[~]... [wait] [poll] [in=NAMESPACE] [priority=P] [retry=NAME] [owner=O]
//	release NAME...                     or cancel
//	reprioritize NAME priority=P
//	declare NAME OWNER TARGET | withdraw NAME
//	pass DURATION
//	show NAME...
//	graph [NAMESPACE]
//	deadlocks
//	count METRIC
type play struct {
	*rig

	t       *testing.T
	cfg     deadlock.Config
	guest   guest
	calls   map[string]*call
	waiting []string // calls that are open
	ids     map[string]lock.ID
}

// guest is the extension of a file: it always chooses one owner, or traps.
type guest string

func (g guest) SelectVictim(context.Context, string, *deadlock.Dispute) (deadlock.Choice, error) {
	if g == "traps" {
		return deadlock.Choice{}, errors.New("unreachable executed")
	}
	return deadlock.Choice{Victim: lock.Owner(g), Reason: "because"}, nil
}

func (p *play) do(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	var names []string
	options := map[string]string{}
	for _, a := range d.CmdArgs {
		if len(a.Vals) > 0 {
			options[a.Key] = a.Vals[0]
		} else {
			names = append(names, a.Key)
		}
	}
	if d.Cmd == "config" {
		p.configure(options)
		return ""
	}
	if p.rig == nil {
		p.rig = start(t, func(s *setup) { s.deadlock, s.extensions = p.cfg, p.guest })
	}
	said := p.command(d.Cmd, names, options)
	synctest.Wait()
	pass(time.Millisecond)
	return said + p.ended()
}

func (p *play) configure(options map[string]string) {
	number := func(name string, into *int) {
		if v, ok := options[name]; ok {
			n, err := strconv.Atoi(v)
			require.NoError(p.t, err)
			*into = n
		}
	}
	require.NoError(p.t, p.cfg.Mode.UnmarshalText([]byte(options["mode"])))
	if v, ok := options["policy"]; ok {
		p.cfg.VictimPolicy = deadlock.Policy(v)
	}
	number("max", &p.cfg.MaxVictimizations)
	number("flood", &p.cfg.MaxPerOwnerPerMinute)
	p.guest = guest(options["guest"])
}

func (p *play) command(cmd string, names []string, options map[string]string) string {
	ctx := p.t.Context()
	switch cmd {
	case "policy":
		p.decide(names)
	case "acquire":
		p.acquire(names, options)
	case "release":
		for _, n := range names {
			l, err := p.store.Get(ctx, p.ids[n])
			require.NoError(p.t, err)
			_, err = p.Release(ctx, caller("s"), l.ID, l.Token)
			require.NoError(p.t, err)
		}
	case "reprioritize":
		var to lock.Priority
		require.NoError(p.t, to.UnmarshalText([]byte(options["priority"])))
		_, err := p.Reprioritize(ctx, caller("s"), p.ids[names[0]], to)
		require.NoError(p.t, err)
	case "declare":
		w, err := p.Declare(ctx, caller("s"), &orchestrator.WaitRequest{Namespace: "acme", Owner: lock.Owner(names[1]), For: lock.Owner(names[2])})
		p.ids[names[0]] = w.ID
		return p.verdict(err, "declared") + "\n"
	case "withdraw":
		_, err := p.Withdraw(ctx, caller("s"), p.ids[names[0]])
		return p.verdict(err, "withdrawn") + "\n"
	case "pass":
		d, err := time.ParseDuration(names[0])
		require.NoError(p.t, err)
		pass(d)
	case "show":
		return p.show(names)
	case "graph":
		return p.graph(append(names, "")[0])
	case "deadlocks":
		return p.deadlocks()
	case "count":
		return fmt.Sprintln(p.counter(names[0]))
	default:
		p.t.Fatalf("%q is no command", cmd)
	}
	return ""
}

func (p *play) decide(words []string) {
	p.policy.set(func(_ *lock.Question, d *lock.Decision) error {
		d.Preemptible = slices.Contains(words, "preemptible")
		d.DeadlockAction = lock.CancelWait
		if slices.Contains(words, "revoke") {
			d.DeadlockAction = lock.RevokeLocks
		}
		return nil
	})
}

func (p *play) acquire(words []string, options map[string]string) {
	name := words[0]
	q := want(strings.TrimRight(name, "0123456789"))
	for _, w := range words[1:] {
		switch w {
		case "wait":
			q.Wait, q.Hold = 10*time.Minute, time.Minute
		case "poll":
			q.Wait, q.Hold = 10*time.Minute, 0
		default:
			key, shared := strings.CutSuffix(w, "~")
			r := lock.Resource{Key: lock.Key(key)}
			if shared {
				r.Mode = lock.Shared
			}
			q.Resources = append(q.Resources, r)
		}
	}
	if v, ok := options["in"]; ok {
		q.Namespace = lock.Namespace(v)
	}
	if v, ok := options["owner"]; ok {
		q.Owner = lock.Owner(v)
	}
	require.NoError(p.t, q.Priority.UnmarshalText([]byte(options["priority"])))
	q.RetryOf = p.ids[options["retry"]]
	p.calls[name] = p.rig.acquire(p.t.Context(), "s", q)
	p.waiting = append(p.waiting, name)
	p.note(name, q)
}

// note finds the id of a call that is still open.
func (p *play) note(name string, q *orchestrator.Request) {
	c := p.calls[name]
	if !c.open() {
		p.ids[name] = c.out.Lock.ID
		return
	}
	page, err := p.store.List(p.t.Context(), lock.Query{Owner: q.Owner, States: []lock.State{lock.Queued}, Limit: 1000})
	require.NoError(p.t, err)
	p.ids[name] = page.Locks[len(page.Locks)-1].ID
}

// ended says which of the open calls have ended, and how.
func (p *play) ended() string {
	var b strings.Builder
	var still []string
	for _, name := range p.waiting {
		c := p.calls[name]
		if c.open() {
			still = append(still, name)
			continue
		}
		b.WriteString(name + ": " + p.verdict(c.err, c.out.Lock.State.String()) + "\n")
	}
	if len(still) > 0 && b.Len() == 0 && !slices.Equal(still, p.waiting) {
		p.t.Fatal("a call ended without a word")
	}
	p.waiting = still
	return b.String()
}

func (p *play) verdict(err error, well string) string {
	var victim *lock.DeadlockError
	switch {
	case err == nil:
		return well
	case errors.As(err, &victim):
		if victim.Policy == "" {
			return "deadlock: " + victim.Cycle.String()
		}
		return fmt.Sprintf("deadlock by %s: %s", victim.Policy, victim.Cycle)
	}
	return err.Error()
}

func (p *play) show(names []string) string {
	var b strings.Builder
	for _, n := range names {
		l, err := p.store.Get(p.t.Context(), p.ids[n])
		require.NoError(p.t, err)
		fmt.Fprintf(&b, "%s %s", n, l.State)
		if l.Position > 0 {
			fmt.Fprintf(&b, " at %d", l.Position)
		}
		if l.Losses > 0 {
			fmt.Fprintf(&b, ", victim %d times", l.Losses)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (p *play) graph(ns string) string {
	g, err := p.Graph(p.t.Context(), caller("s"), lock.Namespace(ns))
	require.NoError(p.t, err)
	var b strings.Builder
	for _, n := range g.Nodes {
		fmt.Fprintf(&b, "%s holds %d, waits %d times\n", n.Owner, n.Holds, n.Waits)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(&b, "%s -> %s %s %s\n", e.From, e.To, e.Kind, e.Resource)
	}
	for _, c := range g.Cycles {
		fmt.Fprintf(&b, "cycle %v\n", c.Owners())
	}
	return b.String()
}

func (p *play) deadlocks() string {
	all, err := p.Deadlocks(p.t.Context(), caller("s"))
	require.NoError(p.t, err)
	var b strings.Builder
	for i := range all {
		d := &all[i]
		fmt.Fprintf(&b, "%s %v", d.Resolution, d.Owners)
		if len(d.Victims) > 0 {
			fmt.Fprintf(&b, ", %s chose %v", d.Policy, d.Victims)
		}
		if d.Fallback != "" {
			fmt.Fprintf(&b, " (%s)", d.Fallback)
		}
		for _, c := range d.Candidates {
			fmt.Fprintf(&b, "; %s costs %d", c.Owner, c.Cost)
		}
		if took := d.ResolvedAt.Sub(d.FormedAt); took < 0 || took > time.Second {
			fmt.Fprintf(&b, "; took %s", took)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// counter adds up a family over its labels.
func (r *rig) counter(name string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		sum := 0.0
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
		return sum
	}
	r.t.Fatalf("there is no metric %s", name)
	return 0
}
