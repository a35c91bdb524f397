// Package replay asks other policies about decisions of the past.
//
// A decision is a pure function of its input, so what a candidate would have
// said is exact, as far as the log holds the whole input: what was masked and is
// read by the candidate makes a decision [Masked], not guessed. Dry runs are
// passed over; nobody acted on them.
//
// # Failure
//
// [Run] answers the error of a log that cannot be read, or of its context.
// Where a candidate gives no decision the change is [Fails].
//
// # Testing
//
// A log of a real engine replays without a change against the same policies.
package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/logbook"
)

// Kind is how a candidate answers otherwise, gravest last to be noticed first.
type Kind string

// The kinds, in the order of a report.
const (
	Allows Kind = "allows" // what was denied, or had no decision
	Denies Kind = "denies" // what was allowed, or had no decision
	Fails  Kind = "fails"  // has no decision where there was one
	Moves  Kind = "moves"  // allows both, with another priority
)

func rank(k Kind) int { return slices.Index([]Kind{Allows, Denies, Fails, Moves}, k) }

// Change is one decision that the candidate answers otherwise.
type Change struct {
	Kind     Kind          `json:"kind"`
	ID       string        `json:"decision_id"`
	Time     time.Time     `json:"time"`
	By       string        `json:"requested_by"`
	Action   string        `json:"action"`
	Resource string        `json:"resource"`
	Was      string        `json:"was"` // allowed, denied, error
	Reasons  []lock.Reason `json:"reasons,omitempty"`
	Error    string        `json:"error,omitempty"`
	From     int           `json:"from,omitempty"` // priority, for moves
	To       int           `json:"to,omitempty"`
}

// Report is what a replay found.
type Report struct {
	Decisions int      `json:"decisions"` // replayed
	Same      int      `json:"same"`
	DryRuns   int      `json:"dry_runs"` // passed over
	Masked    int      `json:"masked"`   // passed over: the candidate reads what the log does not hold
	Changes   []Change `json:"changes"`  // allows first, then denies, fails, moves; each newest first
}

// Count tells how many changes are of a kind.
func (r *Report) Count(k Kind) int {
	n := 0
	for i := range r.Changes {
		if r.Changes[i].Kind == k {
			n++
		}
	}
	return n
}

// Run replays the entries that are not older than since against a candidate, on
// all cores.
func Run(ctx context.Context, entries iter.Seq2[*logbook.Entry, error], since time.Time, c *policy.Candidate) (*Report, error) {
	p := &replay{candidate: c, report: &Report{Changes: []Change{}}}
	for _, r := range c.Reads() {
		p.reads = append(p.reads, r.Path)
	}
	work := make(chan *logbook.Entry, runtime.GOMAXPROCS(0)) // one ready for each worker
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(work)
		for e, err := range entries {
			if err != nil {
				return err
			}
			if e.Time.Before(since) {
				continue
			}
			select {
			case work <- e:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range runtime.GOMAXPROCS(0) {
		g.Go(func() error {
			for e := range work {
				p.one(ctx, e)
			}
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(p.report.Changes, func(a, b Change) int {
		return cmp.Or(rank(a.Kind)-rank(b.Kind), b.Time.Compare(a.Time), strings.Compare(b.ID, a.ID))
	})
	return p.report, nil
}

type replay struct {
	candidate *policy.Candidate
	reads     []string

	mu     sync.Mutex // guards report
	report *Report
}

// asked is what a replay needs to know of an input.
type asked struct {
	Action  string
	Request struct {
		DryRun bool `json:"dry_run"`
	}
	Resource struct{ Key string }
}

func (p *replay) one(ctx context.Context, e *logbook.Entry) {
	var first asked
	if len(e.Inputs) > 0 && json.Unmarshal(e.Inputs[0], &first) != nil {
		first = asked{}
	}
	switch {
	case first.Request.DryRun:
		p.count(&p.report.DryRuns)
		return
	case p.hides(e.Masked):
		p.count(&p.report.Masked)
		return
	}
	c := p.compare(ctx, e)
	if c == nil {
		p.mu.Lock()
		p.report.Decisions++
		p.report.Same++
		p.mu.Unlock()
		return
	}
	c.ID, c.Time, c.By, c.Action, c.Resource = e.ID, e.Time, e.By, first.Action, first.Resource.Key
	c.Was = was(e)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Decisions++
	p.report.Changes = append(p.report.Changes, *c)
}

func (p *replay) count(n *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n++
}

// hides reports whether the candidate reads something that was masked.
func (p *replay) hides(masked []string) bool {
	return slices.ContainsFunc(masked, func(pointer string) bool {
		path := strings.ReplaceAll(strings.TrimPrefix(pointer, "/"), "/", ".")
		return slices.ContainsFunc(p.reads, func(r string) bool {
			return strings.HasPrefix(r+".", path+".") || strings.HasPrefix(path+".", r+".")
		})
	})
}

func was(e *logbook.Entry) string {
	switch {
	case e.Error != "":
		return "error"
	case e.Allow:
		return "allowed"
	}
	return "denied"
}

// compare answers how the candidate answers otherwise, or nil.
func (p *replay) compare(ctx context.Context, e *logbook.Entry) *Change {
	allow, value := len(e.Inputs) > 0, 0
	c := &Change{}
	for _, input := range e.Inputs {
		out, err := p.candidate.Decide(ctx, input)
		if err != nil {
			if e.Error != "" {
				return nil
			}
			return &Change{Kind: Fails, Error: err.Error()}
		}
		allow = allow && out.Allow()
		_, v := out.Priority()
		value = max(value, v)
		c.Reasons = append(c.Reasons, out.Denials()...)
	}
	old := 0
	for i := range e.Results {
		old = max(old, e.Results[i].Priority.Value)
	}
	switch {
	case allow && (!e.Allow || e.Error != ""):
		return &Change{Kind: Allows}
	case !allow && (e.Allow || e.Error != ""):
		c.Kind = Denies
		return c
	case allow && value != old:
		return &Change{Kind: Moves, From: old, To: value}
	}
	return nil
}
