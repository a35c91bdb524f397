package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/lockgate/lockgate/core/lock"
)

// generation is one loaded set of policies and facts. It never changes: a
// reload makes another one.
type generation struct {
	revision string
	loadedAt time.Time
	modules  []ModuleStatus
	warnings []Fault

	annotations *ast.AnnotationSet
	facts       *facts
	inputs      *inputBuilder // of everything, for the decision log
	platform    *ward
	orgs        map[string]*ward
	needs       lock.Needs
	memo        *memo[verdict]
	contexts    *memo[attached]
	modes       func(policy string) Mode
}

// ward is what decides about one organisation's resources: the platform's
// policies, and the organisation's own where it has some.
type ward struct {
	plans  []*plan
	reads  []read        // the memo key
	inputs *inputBuilder // what no policy reads is not built
	facts  bool          // a read needs the lock table
}

// load makes a generation of a folder's files. Its error is a *LoadError.
func load(ctx context.Context, s *sources, cfg *Config) (*generation, error) {
	g, err := build(ctx, s, cfg)
	if err != nil {
		return nil, loadError(err)
	}
	return g, nil
}

func build(ctx context.Context, s *sources, cfg *Config) (*generation, error) {
	document, factsErr := s.facts()
	caps := capabilities()
	modules, err := parse(s.rego, caps)
	if err := errors.Join(factsErr, err); err != nil {
		return nil, err
	}
	label(modules)
	compiler, err := compile(modules, caps)
	if err != nil {
		return nil, err
	}
	if err := checkContract(compiler, modules, cfg); err != nil {
		return nil, err
	}
	known, err := readFacts(document)
	if err != nil {
		return nil, err
	}
	g := &generation{
		revision: s.digest(settings(cfg)), facts: known, memo: newMemo[verdict](), contexts: newMemo[attached](), inputs: newInputBuilder(fields()),
		annotations: compiler.GetAnnotationSet(), modes: cfg.mode, orgs: map[string]*ward{},
		modules: describe(modules), warnings: warnings(compiler, modules, cfg),
	}
	store := inmem.NewFromObjectWithOpts(map[string]any{"facts": document},
		inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
	return g, g.prepare(ctx, compiler, store, modules)
}

// settings is the part of the configuration that a decision depends on.
func settings(cfg *Config) string {
	text, err := json.Marshal([]any{cfg.Enforcement, cfg.MayGrant})
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (g *generation) prepare(ctx context.Context, c *ast.Compiler, store storage.Store, modules []module) error {
	orgs := map[string]bool{}
	for _, m := range modules {
		if m.scope.kind == scopeOrg {
			orgs[m.scope.name] = true
		}
	}
	always := []string{"input.want.level"} // the algebra reads it
	if len(orgs) > 0 {
		always = append(always, "input.resource.org") // it chooses the ward
	}
	platform, err := newPlan(ctx, c, store, voices(c, modules, scopePolicy, ""))
	if err != nil {
		return err
	}
	g.platform = newWard(always, platform)
	for name := range orgs {
		own, err := newPlan(ctx, c, store, voices(c, modules, scopeOrg, name))
		if err != nil {
			return err
		}
		g.orgs[name] = newWard(always, platform, own)
	}
	g.needs = g.platform.needs()
	for _, w := range g.orgs {
		n := w.needs()
		g.needs.Lock, g.needs.Queue = g.needs.Lock || n.Lock, g.needs.Queue || n.Queue
	}
	return nil
}

// newWard works out the memo key: what any plan reads, and what is always a
// part of it.
func newWard(always []string, plans ...*plan) *ward {
	w := &ward{plans: plans}
	subs := map[string][][]string{}
	for _, p := range plans {
		for _, r := range p.reads {
			subs[r.field.path()] = append(subs[r.field.path()], r.sub)
		}
	}
	for _, path := range always {
		subs[path] = [][]string{nil}
	}
	var seen []field
	for _, f := range fields() {
		parts := widest(subs[f.path()])
		for _, sub := range parts {
			w.reads = append(w.reads, read{field: f, sub: sub})
		}
		if len(parts) > 0 {
			seen = append(seen, f)
		}
	}
	w.inputs = newInputBuilder(seen)
	n := w.needs()
	w.facts = n.Any()
	return w
}

func (w *ward) needs() lock.Needs {
	var n lock.Needs
	for _, r := range w.reads {
		n.Lock = n.Lock || r.field.section == "lock"
		n.Queue = n.Queue || r.field.section == "queue"
	}
	return n
}

// key appends exactly the values that decide.
func (w *ward) key(v *view, k *keySink) {
	for i := range w.reads {
		k.sub = w.reads[i].sub
		w.reads[i].field.write(v, k)
	}
}

// ward finds who decides about a resource.
func (g *generation) ward(v *view) *ward {
	if len(g.orgs) > 0 {
		if w, ok := g.orgs[v.place().org]; ok {
			return w
		}
	}
	return g.platform
}

// evaluate asks the policies themselves. Strict builtin errors make every fault
// inside a policy an error here.
func (g *generation) evaluate(ctx context.Context, w *ward, v *view) (*verdict, error) {
	input, err := w.inputs.build(v)
	if err != nil {
		return nil, err
	}
	tracker := (&topdown.EvaluatedRuleTracker{}).WithAnnotationSet(g.annotations)
	b := newBallot(v.q.Want.Priority)
	left := maxResultBytes
	for _, p := range w.plans {
		answer, err := p.eval(ctx, input.Value, rego.EvalEvaluatedRuleTracker(tracker))
		if err != nil {
			return nil, err
		}
		if left = weigh(answer, left); left < 0 {
			return nil, fmt.Errorf("the policies said more than %d bytes", maxResultBytes)
		}
		for i := range p.voices {
			if err := b.count(&p.voices[i], answer.Elem(i).Value, g.modes(p.voices[i].scope.label())); err != nil {
				return nil, err
			}
		}
	}
	out, err := b.close()
	if err != nil {
		return nil, err
	}
	out.labels = tracker.Labels
	return out, nil
}

// slots bounds how many evaluations run at once: more would only make each of
// them miss its budget.
func slots() chan struct{} { return make(chan struct{}, 2*runtime.GOMAXPROCS(0)) }
