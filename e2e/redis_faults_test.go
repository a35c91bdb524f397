package e2e

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
)

// TestRedis_killedGateways kills gateways in turn under load.
func TestRedis_killedGateways(t *testing.T) {
	chaos(t)
	server := redistest.Start(t)
	f := startFleet(t, 3, server.URL())
	a := f.startAudit(t)
	for i := range rounds(2, 20) {
		f.gateways[i%3].kill()
		a.moves(t)
		f.restart(t, i%3)
		a.moves(t)
	}
	require.NotZero(t, a.end(t).Repeats, "no call met a killed gateway")
}

// TestRedis_killedWithAOF: with appendfsync always, what was acknowledged is there
// after kill -9.
func TestRedis_killedWithAOF(t *testing.T) {
	chaos(t)
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	a := startFleet(t, 2, server.URL()).startAudit(t)
	for range rounds(2, 20) {
		server.Kill()
		server.Restart()
		a.moves(t)
	}
	a.end(t)
}

// TestRedis_killedWithoutAOF: everything is forgotten, so locks are lost; tokens
// grow all the same, and callers that wait get their locks.
func TestRedis_killedWithoutAOF(t *testing.T) {
	chaos(t)
	server := redistest.Start(t)
	f := startFleet(t, 2, server.URL())
	before, err := f.client(t, 0).Acquire(t.Context(), lockOf("forgotten", "first", 0))
	require.NoError(t, err)
	a := f.startAudit(t)
	for range rounds(1, 10) {
		server.Kill()
		server.Restart()
		a.moves(t)
	}
	a.endLossy(t)
	after, err := f.client(t, 1).Acquire(t.Context(), lockOf("forgotten", "second", 0))
	require.NoError(t, err, "the lock is forgotten")
	require.Greater(t, after.Token, before.Token)
	_, err = f.client(t, 0).Verify(t.Context(), before.ID, before.Token)
	require.Error(t, err, "the fencing check knows that the first holder lost it")
}

// TestRedis_stopped stops the server as a hypervisor does; callers wait it out.
func TestRedis_stopped(t *testing.T) {
	chaos(t)
	server := redistest.Start(t)
	a := startFleet(t, 2, server.URL()).startAudit(t)
	for i := range rounds(2, 10) {
		server.Signal(syscall.SIGSTOP)
		pause := time.NewTimer(time.Duration(i+1) * time.Second)
		<-pause.C
		server.Signal(syscall.SIGCONT)
		a.moves(t)
	}
	a.end(t)
}

// TestRedis_scriptsFlushed: SCRIPT FLUSH in the middle of the load changes nothing.
func TestRedis_scriptsFlushed(t *testing.T) {
	chaos(t)
	server := redistest.Start(t)
	a := startFleet(t, 2, server.URL()).startAudit(t)
	c := server.Client()
	for range rounds(10, 200) {
		require.NoError(t, c.ScriptFlush(t.Context()).Err())
		a.moves(t)
	}
	a.end(t)
}

// TestRedis_sentinelFailsOver kills the master under load. With durability fast a
// failover may lose what the replica had not got yet: tokens tell.
func TestRedis_sentinelFailsOver(t *testing.T) {
	chaos(t)
	set := redistest.StartSentinel(t, 1)
	a := startFleet(t, 2, set.URL()).startAudit(t)
	set.Master.Kill()
	a.moves(t)
	a.endLossy(t)
}

// TestRedis_sentinelFailsOverReplicated: with durability replicated nothing that
// was acknowledged is lost. Locks are granted again when the killed master is back
// as the replica of the new one.
func TestRedis_sentinelFailsOverReplicated(t *testing.T) {
	chaos(t)
	set := redistest.StartSentinel(t, 1)
	a := startFleet(t, 2, set.URL(), "--backend.durability", "replicated").startAudit(t)
	set.Master.Kill()
	for _, watch := range set.Sentinels { // a killed master without files must not be taken for the master again
		c := watch.Client()
		eventually(t, auditWithin, func() error {
			at, err := c.Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", redistest.MasterName).StringSlice()
			if err == nil && net.JoinHostPort(at[0], at[1]) != set.Replicas[0].Addr {
				err = fmt.Errorf("the master is still %s", at)
			}
			return err
		})
	}
	set.Master.Restart()
	a.moves(t)
	a.end(t)
}

// TestRedis_clusterFailsOver: a master is told to hand over, then one is killed,
// under load with durability replicated: nothing acknowledged is lost.
func TestRedis_clusterFailsOver(t *testing.T) {
	chaos(t)
	nodes := redistest.StartCluster(t, 3, 1)
	f := startFleet(t, 2, nodes.URL(), "--backend.durability", "replicated")
	a := f.startAudit(t)
	for i := range rounds(1, 5) {
		master, replica := shardOf(t, nodes, "lg:{"+a.Namespaces()[i%3]+"}:c")
		require.NoError(t, replica.Client().ClusterFailover(t.Context()).Err())
		eventually(t, auditWithin, func() error { return isMaster(t, replica) })
		a.moves(t)
		eventually(t, auditWithin, func() error { return inStep(t, master) })
		replica.Kill()
		eventually(t, auditWithin, func() error { return isMaster(t, master) })
		replica.Restart()
		a.moves(t)
		eventually(t, auditWithin, func() error { return inStep(t, replica) })
	}
	a.end(t)
}

// TestRedis_clusterSlotMoves moves the slot of a namespace under load.
func TestRedis_clusterSlotMoves(t *testing.T) {
	chaos(t)
	nodes := redistest.StartCluster(t, 3, 0)
	a := startFleet(t, 2, nodes.URL()).startAudit(t)
	for i := range rounds(3, 30) {
		nodes.MoveSlot(t, "lg:{"+a.Namespaces()[i%3]+"}:c")
		a.moves(t)
	}
	a.end(t)
}

// isMaster is nil when a server believes to be one.
func isMaster(t *testing.T, s *redistest.Server) error {
	t.Helper()
	info, err := s.Client().Info(t.Context(), "replication").Result()
	if err == nil && !strings.Contains(info, "role:master") {
		err = errors.New("the replica is no master yet")
	}
	return err
}

// inStep is nil when a server is a replica that has everything its master has.
func inStep(t *testing.T, s *redistest.Server) error {
	t.Helper()
	info, err := s.Client().Info(t.Context(), "replication").Result()
	if err == nil && !strings.Contains(info, "master_link_status:up") {
		err = fmt.Errorf("no replica in step: %s", info)
	}
	return err
}

// shardOf answers the master of a key's slot and its replica.
func shardOf(t *testing.T, nodes *redistest.Cluster, key string) (master, replica *redistest.Server) {
	t.Helper()
	c := nodes.Nodes[0].Client()
	slot, err := c.ClusterKeySlot(t.Context(), key).Result()
	require.NoError(t, err)
	byAddr := make(map[string]*redistest.Server)
	for _, s := range nodes.Nodes {
		byAddr[s.Addr] = s
	}
	eventually(t, auditWithin, func() error {
		ranges, err := c.ClusterSlots(t.Context()).Result() //nolint:staticcheck // Redis 6.2 knows no CLUSTER SHARDS
		for _, r := range ranges {
			if int64(r.Start) <= slot && slot <= int64(r.End) && len(r.Nodes) == 2 {
				master, replica = byAddr[r.Nodes[0].Addr], byAddr[r.Nodes[1].Addr]
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("slot %d has no master with a replica", slot))
	})
	return master, replica
}
