package load

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

const (
	auditNamespaces = 3
	auditKeys       = 4                // of each namespace
	auditWait       = 40 * time.Second // in the queue, before a request gives up
	auditCall       = 10 * time.Second // that a call may stay open
	auditLease      = 10 * time.Minute // longer than any fault: what a client holds does not expire
	abandonedLease  = time.Second
	auditPatience   = time.Minute // for somebody to answer
	auditPause      = 50 * time.Millisecond
	unrulyEach      = 100 // one round in so many is duplicated, and one abandoned
)

// Audit is a load whose clients contend for few keys at any of several gateways
// and keep a ledger of what they were told. A call without an answer is sent
// again to the next gateway, with its idempotency key, until somebody answers.
// Some requests are sent to two gateways at once; some callers leave without a word.
//
// Whatever breaks meanwhile, the report must count nothing doubled, lost,
// backward or stuck, unless the store was made to forget what it had acknowledged.
type Audit struct {
	targets    []*Target
	clients    int
	namespaces []string
	ledger     *ledger
}

// NewAudit makes a load of a number of clients on gateways, of which there is at
// least one. It starts nothing. Name tells the namespaces of this audit from others.
func NewAudit(gateways []*Target, clients int, name string) *Audit {
	a := &Audit{targets: gateways, clients: clients}
	for i := range auditNamespaces {
		a.namespaces = append(a.namespaces, fmt.Sprintf("%s-%d", name, i))
	}
	a.ledger = newLedger(a.namespaces)
	return a
}

// Namespaces are those whose locks the audit takes.
func (a *Audit) Namespaces() []string { return a.namespaces }

// SoFar is the report of the rounds that ended.
func (a *Audit) SoFar() Report { return a.ledger.soFar() }

// Run drives the load until ctx ends; rounds that are under way are finished, so
// that every lock is given back.
func (a *Audit) Run(ctx context.Context) Report {
	var clients sync.WaitGroup
	for range a.clients {
		clients.Go(func() {
			for ctx.Err() == nil {
				a.round(context.WithoutCancel(ctx))
			}
		})
	}
	clients.Wait()
	return a.ledger.soFar()
}

// round takes a lock, looks whether it has it, and gives it back.
func (a *Audit) round(ctx context.Context) {
	r, key := a.request(), rand.Text()
	newest, asked := a.ledger.newestToken(r.Namespace), time.Now()
	switch chance(unrulyEach) {
	case 0:
		a.abandon(ctx, r, key)
		return
	case 1:
		go func() { _, _ = a.any().ask(ctx, r, key, auditCall) }() // the same request, on its way a second time
	}
	g, ok := a.obtain(ctx, r, key)
	if !ok {
		return
	}
	a.ledger.grant(r, g, newest, asked)
	if chance(2) == 0 {
		a.confirmed(ctx, "verify", g, func(t *Target) error { return t.verify(ctx, g) })
	}
	a.ledger.giveBack(r, g.ID)
	a.confirmed(ctx, "release", g, func(t *Target) error { return t.release(ctx, g) })
}

// request wants one key, or sometimes two.
func (a *Audit) request() *wire.AcquireRequest {
	r := &wire.AcquireRequest{
		Namespace: a.namespaces[chance(len(a.namespaces))], Owner: "audit:" + rand.Text(),
		TTL: wire.Duration(auditLease), Wait: wire.Duration(auditWait),
	}
	first := chance(auditKeys)
	r.Resources = []wire.Resource{{Key: fmt.Sprintf("key/%d", first)}}
	if chance(4) == 0 {
		r.Resources = append(r.Resources, wire.Resource{Key: fmt.Sprintf("key/%d", (first+1)%auditKeys)})
	}
	return r
}

// abandon asks for a lock and leaves; the lock ends with its lease, the place in
// the queue with its wait.
func (a *Audit) abandon(ctx context.Context, r *wire.AcquireRequest, key string) {
	r.TTL, r.Wait = wire.Duration(abandonedLease), wire.Duration(abandonedLease)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(chance(20))*time.Millisecond)
	defer cancel()
	_, _ = a.any().ask(ctx, r, key, auditCall)
}

// obtain asks until the request is held, and answers false when it has ended otherwise.
func (a *Audit) obtain(ctx context.Context, r *wire.AcquireRequest, key string) (grant, bool) {
	for start := chance(len(a.targets)); ; start++ {
		var g grant
		err := a.persist(ctx, start, func(ctx context.Context, t *Target) (err error) {
			g, err = t.ask(ctx, r, key, auditCall)
			return err
		})
		var said *refusal
		switch {
		case err == nil && g.Token != 0:
			return g, true
		case err == nil: // still queued
			continue
		case errors.As(err, &said) && said.status == http.StatusLocked:
			a.ledger.refused()
		default:
			a.ledger.stuck("acquire in %s: %v", r.Namespace, err)
		}
		return grant{}, false
	}
}

// confirmed makes a call that its lock's holder is entitled to.
func (a *Audit) confirmed(ctx context.Context, what string, g grant, do func(*Target) error) {
	err := a.persist(ctx, chance(len(a.targets)), func(_ context.Context, t *Target) error { return do(t) })
	var said *refusal
	switch {
	case err == nil:
	case errors.As(err, &said) && !said.again():
		a.ledger.lost("%s of %s with token %d: %v", what, g.ID, g.Token, err)
	default:
		a.ledger.stuck("%s of %s: %v", what, g.ID, err)
	}
}

// persist makes a call at one gateway after the other until one has the last word.
func (a *Audit) persist(ctx context.Context, start int, do func(context.Context, *Target) error) error {
	ctx, cancel := context.WithTimeout(ctx, auditPatience)
	defer cancel()
	for n := start; ; n++ {
		err := do(ctx, a.targets[n%len(a.targets)])
		var said *refusal
		if err == nil || (errors.As(err, &said) && !said.again()) || ctx.Err() != nil {
			return err
		}
		a.ledger.repeated()
		again := time.NewTimer(auditPause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return err
		}
	}
}

func (a *Audit) any() *Target { return a.targets[chance(len(a.targets))] }

// chance is a number from 0 to n-1.
func chance(n int) int { return random.IntN(n) } //nolint:gosec // a load, not a secret
