package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
)

// trial is an operator's: gateways under the load of `gateway bench`, and a
// transcript of what was done to them. `make chaos-trial` prints it.
type trial struct {
	began time.Time
	out   *output
}

func (r *trial) say(format string, args ...any) {
	fmt.Fprintf(r.out, "%5.1fs  -- %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// newTrial skips the test unless the long form is asked for.
func newTrial(t *testing.T) *trial {
	t.Helper()
	if os.Getenv("LOCKGATE_CHAOS") != "long" {
		t.Skip("a trial takes half a minute: make chaos-trial")
	}
	return &trial{out: &output{}}
}

// run starts the load, does something to the fleet, and holds the load
// generator's verdict.
func (r *trial) run(t *testing.T, f *fleet, length time.Duration, do func()) {
	t.Helper()
	r.began = time.Now()
	var urls []string
	for _, g := range f.gateways {
		urls = append(urls, g.url)
	}
	args := []string{"bench", "--scenario", "audit", "--url", strings.Join(urls, ","), "--clients", "16", "--duration", length.String()}
	r.say("gateway %s", strings.Join(args, " "))
	load := exec.Command(filepath.Join(bin, "gateway"), args...)
	load.Env = cleanEnv()
	load.Stdout, load.Stderr = r.out, r.out
	require.NoError(t, load.Start())
	t.Cleanup(func() { _ = load.Process.Kill() })
	do()
	err := load.Wait()
	t.Logf("transcript\n%s", r.out)
	require.NoError(t, err)
}

// letPass lets the load go on for a while.
func (r *trial) letPass(d time.Duration) {
	pass := time.NewTimer(d)
	<-pass.C
}

// TestTrial_cluster: three gateways on a cluster of six; a master is killed, a
// gateway is killed, a slot is moved.
func TestTrial_cluster(t *testing.T) {
	r := newTrial(t)
	nodes := redistest.StartCluster(t, 3, 1)
	f := startFleet(t, 3, nodes.URL(), "--backend.durability", "replicated")
	r.run(t, f, 30*time.Second, func() {
		r.letPass(4 * time.Second)
		master, replica := shardOf(t, nodes, "lg:{audit-0}:c")
		r.say("kill -9 the master of namespace audit-0, %s", master.Addr)
		master.Kill()
		eventually(t, auditWithin, func() error { return isMaster(t, replica) })
		r.say("its replica %s is master; the killed one comes back as replica", replica.Addr)
		master.Restart()
		eventually(t, auditWithin, func() error { return inStep(t, master) })
		r.say("the replica is in step")
		r.letPass(4 * time.Second)
		r.say("kill -9 a gateway, %s", f.addresses[0])
		f.gateways[0].kill()
		r.letPass(4 * time.Second)
		f.restart(t, 0)
		r.say("the gateway is back")
		r.letPass(2 * time.Second)
		r.say("move the slot of namespace audit-1 to another master")
		nodes.MoveSlot(t, "lg:{audit-1}:c")
		r.say("the slot is moved")
	})
}

// TestTrial_sentinel: three gateways on a master with two replicas; the master is
// killed, and a gateway.
func TestTrial_sentinel(t *testing.T) {
	r := newTrial(t)
	set := redistest.StartSentinel(t, 2)
	f := startFleet(t, 3, set.URL(), "--backend.durability", "replicated")
	r.run(t, f, 25*time.Second, func() {
		r.letPass(4 * time.Second)
		r.say("kill -9 the master, %s", set.Master.Addr)
		set.Master.Kill()
		r.letPass(8 * time.Second)
		r.say("kill -9 a gateway, %s", f.addresses[0])
		f.gateways[0].kill()
		r.letPass(4 * time.Second)
		f.restart(t, 0)
		r.say("the gateway is back")
	})
}
