package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/load"
)

const (
	auditClients = 12
	auditMoves   = 40               // grants that show that waiters move
	auditWithin  = 30 * time.Second // after a fault
)

// chaos skips what breaks servers for minutes, unless it is asked for.
func chaos(t *testing.T) {
	t.Helper()
	if os.Getenv("LOCKGATE_CHAOS") == "" {
		t.Skip("breaks Redis under load: make chaos, or LOCKGATE_CHAOS=short go test ./e2e")
	}
}

// rounds is how often a fault is injected: `make chaos` sets LOCKGATE_CHAOS=long.
func rounds(short, long int) int {
	if os.Getenv("LOCKGATE_CHAOS") == "long" {
		return long
	}
	return short
}

// fleet is a number of gateways on one lock table.
type fleet struct {
	gateways  []*gatewayProcess
	addresses []string
	args      []string
}

// startFleet starts gateways on a store of the given URL.
func startFleet(t *testing.T, n int, store string, args ...string) *fleet {
	t.Helper()
	f := &fleet{args: append([]string{
		"--backend.url", store, "--backend.operation_timeout", "2s", "--rate_limit.per_subject", "off",
		"--queue.poll_offer_timeout", "1s", // an offer to a caller that left lasts so long
	}, args...)}
	for range n {
		address := freeAddress(t)
		f.addresses = append(f.addresses, address)
		f.gateways = append(f.gateways, startGateway(t, address, f.args...))
	}
	return f
}

// restart starts a gateway again that was killed, at the same address.
func (f *fleet) restart(t *testing.T, i int) {
	t.Helper()
	f.gateways[i] = startGateway(t, f.addresses[i], f.args...)
}

// client speaks to one gateway and repeats nothing.
func (f *fleet) client(t *testing.T, i int) *client.Client {
	t.Helper()
	return newClient(t, f.gateways[i].url)
}

// audit is a load.Audit that runs.
type audit struct {
	*load.Audit

	fleet  *fleet
	cancel context.CancelFunc
	ended  chan load.Report
}

// startAudit starts the load on all gateways and returns when locks are granted.
func (f *fleet) startAudit(t *testing.T) *audit {
	t.Helper()
	var targets []*load.Target
	for _, g := range f.gateways {
		target := load.NewTarget(g.url, "", 4*auditClients)
		t.Cleanup(target.Close)
		targets = append(targets, target)
	}
	ctx, cancel := context.WithCancel(t.Context())
	a := &audit{Audit: load.NewAudit(targets, auditClients, "audit"), fleet: f, cancel: cancel, ended: make(chan load.Report, 1)}
	go func() { a.ended <- a.Run(ctx) }()
	a.moves(t)
	return a
}

// moves returns when locks change hands again, and fails when that takes too long.
func (a *audit) moves(t *testing.T) {
	t.Helper()
	wanted := a.SoFar().Grants + auditMoves
	eventually(t, auditWithin, func() error {
		if r := a.SoFar(); r.Grants < wanted {
			return fmt.Errorf("%d grants, not %d: waiters do not move: %+v", r.Grants, wanted, r)
		}
		return nil
	})
}

// end stops the load, and holds its ledger and the lock table to what is promised
// when nothing acknowledged may be lost.
func (a *audit) end(t *testing.T) load.Report {
	t.Helper()
	r := a.endLossy(t)
	require.Zero(t, r.Doubled, "%q", r.Faults)
	require.Zero(t, r.Lost, "%q", r.Faults)
	a.leavesNothing(t)
	return r
}

// endLossy stops the load, and holds it to what is promised even when the store
// forgets: tokens grow, and callers get an answer.
func (a *audit) endLossy(t *testing.T) load.Report {
	t.Helper()
	a.cancel()
	r := <-a.ended
	t.Logf("%d grants, %d refused, %d repeats, doubled %d, lost %d, longest wait %v, longest silence %v",
		r.Grants, r.Refused, r.Repeats, r.Doubled, r.Lost, r.Wait.Round(time.Millisecond), r.Silence.Round(time.Millisecond))
	require.Zero(t, r.Backward, "%q", r.Faults)
	require.Zero(t, r.Stuck, "%q", r.Faults)
	return r
}

// leavesNothing: every client gave back what it had, and what was abandoned ended
// by itself.
func (a *audit) leavesNothing(t *testing.T) {
	t.Helper()
	c := a.fleet.client(t, 0)
	eventually(t, auditWithin, func() error {
		for _, ns := range a.Namespaces() {
			for l, err := range c.List(t.Context(), client.ListFilter{Namespace: ns}) {
				if err != nil {
					return err
				}
				return fmt.Errorf("%s of %s is still %s", l.ID, l.Owner, l.State)
			}
		}
		return nil
	})
}

// eventually tries until there is no error, and fails with the last one.
func eventually(t *testing.T, within time.Duration, try func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatal(err)
		}
	}
}
