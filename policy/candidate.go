package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lockgate/lockgate/core/lock"
)

// Candidate is a folder of policies that passed everything a gateway checks
// when it loads one, for tools to ask. It never changes and is safe for
// concurrent use.
type Candidate struct {
	generation *generation
	cfg        *Config
}

// NewCandidate loads a folder. Of the configuration it takes the budget, the
// enforcement and may_grant. What is wrong with the policies is a *LoadError.
func NewCandidate(ctx context.Context, folder fs.FS, cfg Config) (*Candidate, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	s, err := readSources(folder)
	if err != nil {
		return nil, loadError(err)
	}
	g, err := load(ctx, s, &cfg)
	if err != nil {
		return nil, err
	}
	return &Candidate{generation: g, cfg: &cfg}, nil
}

// Revision names the content of the folder together with the settings.
func (c *Candidate) Revision() string { return c.generation.revision }

// Modules lists the loaded files.
func (c *Candidate) Modules() []ModuleStatus { return c.generation.modules }

// Warnings lists what is allowed and not wise, such as reads that keep
// decisions from being remembered.
func (c *Candidate) Warnings() []Fault { return c.generation.warnings }

// Read is a path of the input that decisions depend on: a part of the memo key.
type Read struct {
	Path          string   `json:"path"`
	Organisations []string `json:"organisations,omitempty"` // whose own policies read it; empty: the platform's do
}

// Reads lists what decisions depend on, by path.
func (c *Candidate) Reads() []Read {
	var list []Read
	platform := map[string]bool{}
	for i := range c.generation.platform.reads {
		path := c.generation.platform.reads[i].path()
		platform[path] = true
		list = append(list, Read{Path: path})
	}
	own := map[string][]string{}
	for _, org := range sortedKeys(c.generation.orgs) {
		w := c.generation.orgs[org]
		for i := range w.reads {
			if path := w.reads[i].path(); !platform[path] {
				own[path] = append(own[path], org)
			}
		}
	}
	for path, orgs := range own {
		list = append(list, Read{Path: path, Organisations: orgs})
	}
	slices.SortFunc(list, func(a, b Read) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func (r *read) path() string {
	return strings.Join(append([]string{r.field.path()}, r.sub...), ".")
}

// Needs says which facts of the lock table the policies read.
func (c *Candidate) Needs() lock.Needs { return c.generation.needs }

// Decide answers what the policies say about a whole input, such as that of a
// decision log or of [Candidate.Complete]. Like a gateway it fails closed: an
// error is no decision.
func (c *Candidate) Decide(ctx context.Context, input json.RawMessage) (*Outcome, error) {
	term, want, err := readInput(input)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Budget, errBudget)
	defer cancel()
	v, err := c.generation.judge(ctx, c.generation.wardOf(term.Value), term.Value, want)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, fmt.Errorf("%w: %w", cause, err)
		}
		return nil, err
	}
	return &Outcome{verdict: v}, nil
}

// wardOf finds who decides about an input as it stands.
func (g *generation) wardOf(input ast.Value) *ward {
	if org, ok := textAt(input, "resource", "org"); ok {
		if w, ok := g.orgs[org]; ok {
			return w
		}
	}
	return g.platform
}

// readInput answers a document as rego sees it, and the level it asks for.
func readInput(input json.RawMessage) (*ast.Term, lock.Priority, error) {
	value, err := ast.ValueFromReader(strings.NewReader(string(input)))
	if err != nil {
		return nil, 0, fmt.Errorf("input: %w", err)
	}
	level, ok := textAt(value, "want", "level")
	if !ok {
		return nil, 0, errors.New("the input has no want.level: it is not the input of a decision")
	}
	var want lock.Priority
	if err := want.UnmarshalText([]byte(level)); err != nil {
		return nil, 0, fmt.Errorf("input.want.level: %w", err)
	}
	return ast.NewTerm(value), want, nil
}

func textAt(v ast.Value, section, name string) (string, bool) {
	found, err := v.Find(ast.Ref{ast.StringTerm(section), ast.StringTerm(name)})
	if err != nil {
		return "", false
	}
	s, ok := found.(ast.String)
	return string(s), ok
}

// Outcome is what policies answered to one input. Its JSON is the contract's
// output, as data.lockgate.decision has it.
type Outcome struct {
	verdict *verdict
}

// MarshalJSON writes the contract's output.
func (o *Outcome) MarshalJSON() ([]byte, error) { return json.Marshal(o.verdict) }

// Allow reports whether the call is allowed.
func (o *Outcome) Allow() bool { return o.verdict.Allow }

// Priority is the level and the value that the request gets.
func (o *Outcome) Priority() (level string, value int) {
	return o.verdict.Priority.Level, o.verdict.Priority.Value
}

// Denials lists why not. It is empty when the call is allowed, and when nobody
// grants it.
func (o *Outcome) Denials() []lock.Reason { return o.verdict.Deny }

// Rules names the rules that fired, by their labels.
func (o *Outcome) Rules() []string { return ruleNames(o.verdict.labels) }

// ruleNames takes the rule label of each set of labels.
func ruleNames(labels []map[string]any) []string {
	names := []string{}
	for _, l := range labels {
		if name, ok := l["rule"].(string); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
