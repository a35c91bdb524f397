package orchestrator

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
)

const (
	resolutionTimeout = 2 * time.Second // after that the sweep goes on
	resolutionRounds  = 100             // searches in a row that still found something
)

// resolver finds deadlocks when they form and does what resolves them. It keeps
// nothing that matters: what it found is found again by whoever looks.
type resolver struct {
	cfg      deadlock.Config
	detector *deadlock.Detector
	flood    *deadlock.Flood
	lessons  *lessons
	store    Store
	submit   func(context.Context, lane, lock.Step) (lock.Outcome, error)
	metrics  *deadlockMetrics
	tracer   trace.Tracer
	log      *slog.Logger
}

// occasion is why a search begins.
type occasion struct {
	from   []lock.Owner
	at     time.Time // when the step was done that drew an edge
	closer lock.ID   // the request or declared wait that drew it; "" when the sweep asks
	swept  bool
	begun  time.Time // by this gateway's clock
}

// untangled is what came of a search.
type untangled struct {
	resolved  int
	withdrawn map[lock.ID]lock.Cycle // declared waits that were taken back
}

// untangle searches from some owners and resolves what it finds, and again from
// everybody concerned, until nothing is left. What it cannot resolve in time is
// left to the sweep and said so in the log.
func (r *resolver) untangle(ctx context.Context, why *occasion) untangled {
	var done untangled
	if r.cfg.Mode == deadlock.Off || len(why.from) == 0 {
		return done
	}
	why.begun = time.Now()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), resolutionTimeout)
	defer cancel()
	ctx, span := r.tracer.Start(ctx, "deadlock.search", trace.WithAttributes(attribute.Bool("lockgate.deadlock.swept", why.swept)))
	defer span.End()
	from := why.from
	for range resolutionRounds {
		next, err := r.round(ctx, why, from, &done)
		if err != nil {
			recordError(span, err)
			r.metrics.unresolved.Inc()
			r.log.WarnContext(ctx, "a deadlock could not be resolved, the sweep will try again", "owners", len(from), "error", err)
			break
		}
		if len(next) == 0 {
			break
		}
		from = next
	}
	span.SetAttributes(attribute.Int("lockgate.deadlock.resolved", done.resolved))
	return done
}

// round reads once, searches once and resolves everything found. It answers
// whom to search from next.
func (r *resolver) round(ctx context.Context, why *occasion, from []lock.Owner, done *untangled) ([]lock.Owner, error) {
	began := time.Now()
	g, err := r.read(ctx, from)
	if err != nil {
		return nil, err
	}
	if refused, err := r.prevent(ctx, why, g, done); refused || err != nil {
		return from, err
	}
	found := r.detector.Find(ctx, g, from)
	r.metrics.search.Observe(time.Since(began).Seconds())
	var next []lock.Owner
	for i := range found {
		f := &found[i]
		r.describe(ctx, f)
		err := r.resolve(ctx, why, g, f, done)
		if err != nil && !errors.Is(err, lock.ErrBroken) && !errors.Is(err, lock.ErrNotFound) {
			return nil, err
		}
		next = append(next, f.Owners...)
	}
	slices.Sort(next)
	return slices.Compact(next), nil
}

func (r *resolver) read(ctx context.Context, from []lock.Owner) (*deadlock.Graph, error) {
	snapshot, err := r.store.Graph(ctx, lock.GraphQuery{From: from})
	if err != nil {
		return nil, err
	}
	return deadlock.NewGraph(&snapshot), nil
}

// prevent refuses the request that closed a cycle, when the configuration says
// so. It has been enqueued: whoever looks before enqueueing misses two requests
// that close a cycle together.
func (r *resolver) prevent(ctx context.Context, why *occasion, g *deadlock.Graph, done *untangled) (bool, error) {
	if r.cfg.Mode != deadlock.Prevent || why.closer == "" {
		return false, nil
	}
	cycle, closes := g.ClosedBy(why.closer)
	if !closes {
		return false, nil
	}
	record := recordOf(&deadlock.Finding{
		ID: "prevented-" + string(why.closer), Owners: cycle.Owners(), Cycle: cycle, Policy: "prevent",
		Victims: []deadlock.Victim{{Owner: cycle[0].From, Reason: "its request closed the cycle"}},
	}, why, lock.Refused)
	closing := slices.IndexFunc(cycle, func(e lock.Edge) bool { return e.Request == why.closer })
	if closing < 0 {
		return false, nil
	}
	if cycle[closing].Kind == lock.Declared {
		err := r.withdraw(ctx, &lock.Withdraw{ID: why.closer, Cycle: cycle, Deadlock: record}, done)
		return err == nil, unlessBroken(err)
	}
	_, err := r.submit(ctx, laneEndings, &lock.Abort{
		Namespace: cycle[closing].Namespace, Deadlock: record,
		Victims: []lock.Abandon{{Owner: cycle[closing].From, Requests: []lock.ID{why.closer}, Cycle: cycle}},
	})
	if err == nil {
		r.resolved(why, record, done)
	}
	return err == nil, unlessBroken(err)
}

func unlessBroken(err error) error {
	if errors.Is(err, lock.ErrBroken) || errors.Is(err, lock.ErrNotFound) {
		return nil
	}
	return err
}

// resolve does what a finding says. lock.ErrBroken: somebody moved meanwhile.
func (r *resolver) resolve(ctx context.Context, why *occasion, g *deadlock.Graph, f *deadlock.Finding, done *untangled) error {
	if spans(f) {
		if err := r.confirm(ctx, f); err != nil {
			return err
		}
	}
	if len(f.Moves) > 0 {
		return r.reorder(ctx, why, f, done)
	}
	for _, id := range f.Withdraw {
		step := &lock.Withdraw{ID: id, Deadlock: recordOf(f, why, lock.Withdrawn)}
		if onlyDeclared(f.Cycle) {
			step.Cycle = f.Cycle
		}
		if err := r.withdraw(ctx, step, done); err != nil {
			return err
		}
	}
	return r.abort(ctx, why, g, f, done)
}

// spans reports whether edges of several namespaces decide, which were read one
// after the other.
func spans(f *deadlock.Finding) bool {
	if len(f.Cycle.Namespaces()) > 1 {
		return true
	}
	return slices.ContainsFunc(f.Victims, func(v deadlock.Victim) bool { return len(v.Cycle.Namespaces()) > 1 })
}

// confirm reads a second time: a cycle that stands in both reads stood as a
// whole at one moment.
func (r *resolver) confirm(ctx context.Context, f *deadlock.Finding) error {
	g, err := r.read(ctx, f.Owners)
	if err != nil {
		return err
	}
	if !g.Stands(f.Cycle) || slices.ContainsFunc(f.Victims, func(v deadlock.Victim) bool { return !g.Stands(v.Cycle) }) {
		return lock.ErrBroken
	}
	return nil
}

// reorder has one step a namespace. When a move of one namespace comes to
// nothing the next search sees it.
func (r *resolver) reorder(ctx context.Context, why *occasion, f *deadlock.Finding, done *untangled) error {
	record := recordOf(f, why, lock.Reordered)
	steps := make(map[lock.Namespace]*lock.Reorder)
	var order []lock.Namespace
	for _, m := range f.Moves {
		step := steps[m.Namespace]
		if step == nil {
			step = &lock.Reorder{Namespace: m.Namespace, Deadlock: record}
			steps[m.Namespace], order = step, append(order, m.Namespace)
			if len(order) == 1 {
				step.Cycle = f.Cycle
			}
		}
		step.Moves = append(step.Moves, lock.Move{ID: m.Request, Score: m.Score})
	}
	for _, ns := range order {
		if _, err := r.submit(ctx, laneEndings, steps[ns]); err != nil {
			return err
		}
	}
	r.resolved(why, record, done)
	return nil
}

func (r *resolver) withdraw(ctx context.Context, step *lock.Withdraw, done *untangled) error {
	if _, err := r.submit(ctx, laneEndings, step); err != nil {
		return err
	}
	if done.withdrawn == nil {
		done.withdrawn = make(map[lock.ID]lock.Cycle)
	}
	done.withdrawn[step.ID] = step.Deadlock.Cycle
	done.resolved++
	r.metrics.count(step.Deadlock)
	return nil
}

// abort ends the waits of all victims, one step a namespace. A victim that waits
// in several gives way in that of its own edge first; the next search finds what
// is left.
func (r *resolver) abort(ctx context.Context, why *occasion, g *deadlock.Graph, f *deadlock.Finding, done *untangled) error {
	if len(f.Victims) == 0 {
		return nil
	}
	record := recordOf(f, why, lock.GaveWay)
	steps := make(map[lock.Namespace]*lock.Abort)
	var order []lock.Namespace
	for i := range f.Victims {
		v := &f.Victims[i]
		ns := v.Cycle[slices.IndexFunc(v.Cycle, func(e lock.Edge) bool { return e.From == v.Owner })].Namespace
		step := steps[ns]
		if step == nil {
			step = &lock.Abort{Namespace: ns, Deadlock: record}
			steps[ns], order = step, append(order, ns)
		}
		step.Victims = append(step.Victims, abandon(v, ns, g))
	}
	for _, ns := range order {
		out, err := r.submit(ctx, laneEndings, steps[ns])
		if err != nil {
			return err
		}
		r.lessons.note(f, out.Locks)
	}
	r.resolved(why, record, done)
	return nil
}

// abandon is what a victim gives up in one namespace.
func abandon(v *deadlock.Victim, ns lock.Namespace, g *deadlock.Graph) lock.Abandon {
	a := lock.Abandon{Owner: v.Owner, Cycle: v.Cycle}
	for _, id := range v.Requests {
		if g.NamespaceOf(id) == ns {
			a.Requests = append(a.Requests, id)
		}
	}
	for _, taken := range v.Locks {
		if taken.Preemptible && g.NamespaceOf(taken.ID) == ns {
			a.Take = append(a.Take, lock.Taken{ID: taken.ID, Token: taken.Token})
		}
	}
	return a
}

func (r *resolver) resolved(why *occasion, d *lock.Deadlock, done *untangled) {
	done.resolved++
	r.metrics.count(d)
	if why.swept {
		r.metrics.swept.Inc()
		return
	}
	r.metrics.resolution.Observe(time.Since(why.begun).Seconds())
}

// describe puts a finding on the span of its search.
func (r *resolver) describe(ctx context.Context, f *deadlock.Finding) {
	if f.Fallback != nil {
		r.metrics.fallbacks.Inc()
		r.log.WarnContext(ctx, "the victim policy did not decide, lowest_priority did", "policy", string(r.cfg.VictimPolicy), "error", f.Fallback)
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	victims := make([]string, len(f.Victims))
	for i := range f.Victims {
		victims[i] = string(f.Victims[i].Owner)
	}
	span.AddEvent("deadlock", trace.WithAttributes(
		attribute.String("lockgate.deadlock.id", f.ID), attribute.Int("lockgate.deadlock.owners", len(f.Owners)),
		attribute.String("lockgate.deadlock.cycle", shown(f.Cycle).String()),
		attribute.StringSlice("lockgate.deadlock.victims", victims), attribute.String("lockgate.deadlock.policy", string(f.Policy)),
	))
}

func onlyDeclared(c lock.Cycle) bool {
	return !slices.ContainsFunc(c, func(e lock.Edge) bool { return e.Kind != lock.Declared })
}
