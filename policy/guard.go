package policy

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	quarantineAfter  = 3 // timeouts of an organisation's package
	quarantineWindow = 10 * time.Second
	slowShare        = 5 // an evaluation is slow from this part of its budget on
	blameShare       = 2 // and a timeout is the package's own from this part on
)

var (
	errQuarantined = errors.New("the organisation's package ran out of its budget three times in ten seconds and is switched off until it changes")
	errClosed      = errors.New("the organisation's package was refused when it was loaded, and there is no earlier one: GET /v1/policies says why")
)

// guard keeps one organisation's package from costing the others: while it is
// slow it gets one evaluation at a time, and when it keeps running out of its
// budget, none. It lives as long as the package does not change.
type guard struct {
	digest string // of the organisation's files
	budget time.Duration
	slot   chan struct{} // held by the one evaluation while the package is slow

	mu        sync.Mutex // guards the rest
	slowUntil time.Time
	timeouts  []time.Time
	out       bool
}

func newGuard(digest string, budget time.Duration) *guard {
	return &guard{digest: digest, budget: budget, slot: make(chan struct{}, 1)}
}

func (g *guard) isQuarantined() bool {
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out
}

// enter waits for the slot when the package is slow. The caller gives it back
// with leave, whether there was one or not.
func (g *guard) enter(ctx context.Context) (leave func(), err error) {
	g.mu.Lock()
	slow := time.Now().Before(g.slowUntil)
	g.mu.Unlock()
	if !slow {
		return func() {}, nil
	}
	select {
	case g.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave = func() { <-g.slot }
	if g.isQuarantined() { // while we waited
		leave()
		return nil, errQuarantined
	}
	return leave, nil
}

// spent tells what the package's own evaluation took, and why it was cut short
// when it was.
func (g *guard) spent(took time.Duration, cause error) {
	if took < g.budget/slowShare {
		return
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slowUntil = now.Add(quarantineWindow)
	if !errors.Is(cause, errBudget) || took < g.budget/blameShare {
		return
	}
	recent := g.timeouts[:0]
	for _, at := range g.timeouts {
		if now.Sub(at) < quarantineWindow {
			recent = append(recent, at)
		}
	}
	g.timeouts = append(recent, now)
	g.out = g.out || len(g.timeouts) >= quarantineAfter
}

// guards gives every organisation its guard: the last generation's when its
// files are still the same.
func (g *generation) guards(last *generation, budget time.Duration) {
	own := map[string]*sources{}
	for _, f := range g.files.rego {
		if own[f.owner] == nil {
			own[f.owner] = &sources{}
		}
		own[f.owner].rego = append(own[f.owner].rego, f)
	}
	for org, w := range g.orgs {
		digest := ""
		if own[org] != nil {
			digest = own[org].digest("")
		}
		w.guard = newGuard(digest, budget)
		if last == nil {
			continue
		}
		if before := last.orgs[org]; before != nil && before.guard != nil && before.guard.digest == digest {
			w.guard = before.guard
		}
	}
}
