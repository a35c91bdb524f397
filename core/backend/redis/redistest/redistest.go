// Package redistest starts real Redis servers for tests: processes of the
// machine's redis-server on free ports, without persistence unless asked for,
// ended with the test.
//
// A machine without redis-server fails the test: `make test` installs it.
//
// # Guarantees
//
// Servers listen on loopback only and keep their files in the test's temporary
// directory. When a constructor returns, its servers answer; a cluster serves all
// slots.
//
// # Failure
//
// Whatever goes wrong fails the test with the server's log.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

const (
	patience = 20 * time.Second // for a server or a cluster to come up
	lookEach = 20 * time.Millisecond
)

// Server is one process of redis-server.
type Server struct {
	Addr string // host:port

	t      testing.TB
	binary string
	dir    string
	args   []string
	cmd    *exec.Cmd
	exited chan struct{}
}

// Start starts one server. args are settings as redis-server takes them on its
// command line, such as "--appendonly", "yes".
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	s := newServer(tb, "redis-server", args)
	s.Restart()
	return s
}

func newServer(tb testing.TB, binary string, args []string) *Server {
	tb.Helper()
	path, err := exec.LookPath(binary)
	if err != nil {
		tb.Fatalf("%s is not installed: make test installs redis-server", binary)
	}
	port := freePort(tb)
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), t: tb, binary: path, dir: tb.TempDir()}
	s.args = append([]string{
		"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
		"--logfile", filepath.Join(s.dir, "log"), "--repl-diskless-sync-delay", "0",
	}, args...)
	tb.Cleanup(s.Kill)
	return s
}

// URL is the server's for Config.URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Client is a plain client of the server, closed with the test.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second})
	s.t.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
			s.t.Error(err)
		}
	})
	return c
}

// Restart starts the process, with the files that an earlier one left.
func (s *Server) Restart() {
	s.t.Helper()
	s.Launch()
	s.Await()
}

// Launch starts the process and does not wait until it answers.
func (s *Server) Launch() {
	s.t.Helper()
	s.Kill()
	s.cmd = exec.Command(s.binary, s.args...) //nolint:gosec,noctx // the test's own arguments; Kill ends it
	require.NoError(s.t, s.cmd.Start())
	exited := make(chan struct{})
	s.exited = exited
	cmd := s.cmd
	go func() {
		defer close(exited)
		_ = cmd.Wait() // an error is a signal, and that is how it ends
	}()
}

// Await waits until the server answers.
func (s *Server) Await() {
	s.t.Helper()
	c := s.Client()
	Eventually(s.t, func() error { return c.Ping(s.t.Context()).Err() }, s.Log)
}

// Kill ends the process at once, as kill -9 does. Its files stay.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended by itself
	select {
	case <-s.exited: // how it ended says nothing: it was killed
	case <-time.NewTimer(patience).C:
		s.t.Error("a server of Redis does not die")
	}
	s.cmd = nil
}

// Signal sends a signal to the process, such as SIGSTOP.
func (s *Server) Signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// Log is the end of the server's log.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4000):])
}

// StartReplica starts a replica of a server and waits for its first
// synchronisation.
func StartReplica(tb testing.TB, of *Server, args ...string) *Server {
	tb.Helper()
	host, port, err := net.SplitHostPort(of.Addr)
	require.NoError(tb, err)
	s := Start(tb, append([]string{"--replicaof", host + " " + port}, args...)...)
	c := s.Client()
	Eventually(tb, func() error {
		info, err := c.Info(tb.Context(), "replication").Result()
		if err == nil && !strings.Contains(info, "master_link_status:up") {
			err = fmt.Errorf("the replica is not in step: %s", info)
		}
		return err
	}, s.Log)
	return s
}

// Cluster is a Redis Cluster: masters first, then their replicas.
type Cluster struct {
	Nodes []*Server
}

// StartCluster starts a cluster with a number of masters, each with a number of
// replicas.
func StartCluster(tb testing.TB, masters, replicas int) *Cluster {
	tb.Helper()
	c := &Cluster{}
	command := []string{"--cluster", "create"}
	for range masters * (1 + replicas) {
		s := newServer(tb, "redis-server", []string{
			"--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", strconv.Itoa(freePort(tb)),
		})
		s.Launch()
		c.Nodes = append(c.Nodes, s)
		command = append(command, s.Addr)
	}
	for _, s := range c.Nodes {
		s.Await()
	}
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	command = append(command, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")
	out, err := exec.CommandContext(ctx, "redis-cli", command...).CombinedOutput()
	require.NoError(tb, err, "%s", out)
	for _, s := range c.Nodes {
		node := s.Client()
		Eventually(tb, func() error {
			info, err := node.ClusterInfo(tb.Context()).Result()
			if err == nil && (!strings.Contains(info, "cluster_state:ok") ||
				!strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes)))) {
				err = fmt.Errorf("the cluster is not whole: %s", info)
			}
			return err
		}, s.Log)
	}
	return c
}

// URL is the cluster's for Config.URL.
func (c *Cluster) URL() string {
	hosts := make([]string, len(c.Nodes))
	for i, s := range c.Nodes {
		hosts[i] = s.Addr
	}
	return "redis+cluster://" + strings.Join(hosts, ",")
}

// Sentinel is a master with replicas and the sentinels that watch it.
type Sentinel struct {
	Master    *Server
	Replicas  []*Server
	Sentinels []*Server
}

// MasterName is how sentinels of this package call the master.
const MasterName = "lockgate"

// StartSentinel starts a master, a number of replicas, and three sentinels that
// hold a server for dead after a second.
func StartSentinel(tb testing.TB, replicas int) *Sentinel {
	tb.Helper()
	s := &Sentinel{Master: Start(tb)}
	for range replicas {
		s.Replicas = append(s.Replicas, StartReplica(tb, s.Master))
	}
	host, port, err := net.SplitHostPort(s.Master.Addr)
	require.NoError(tb, err)
	for range 3 {
		s.Sentinels = append(s.Sentinels, startWatch(tb, host, port))
	}
	for _, watch := range s.Sentinels {
		c := watch.Client()
		Eventually(tb, func() error {
			m, err := c.Do(tb.Context(), "SENTINEL", "CKQUORUM", MasterName).Text()
			if err == nil && !strings.HasPrefix(m, "OK 3 usable") {
				err = fmt.Errorf("the sentinels do not know each other: %s", m)
			}
			return err
		}, watch.Log)
		Eventually(tb, func() error {
			known, err := c.Do(tb.Context(), "SENTINEL", "REPLICAS", MasterName).Slice()
			if err == nil && len(known) != replicas {
				err = fmt.Errorf("a sentinel knows %d replicas, not %d", len(known), replicas)
			}
			return err
		}, watch.Log)
	}
	return s
}

func startWatch(tb testing.TB, host, port string) *Server {
	tb.Helper()
	s := newServer(tb, "redis-sentinel", nil)
	_, own, err := net.SplitHostPort(s.Addr)
	require.NoError(tb, err)
	conf := filepath.Join(s.dir, "sentinel.conf")
	text := fmt.Sprintf(`port %s
bind 127.0.0.1
dir %s
logfile %s
sentinel monitor %[4]s %s %s 2
sentinel down-after-milliseconds %[4]s 1000
sentinel failover-timeout %[4]s 5000
`, own, s.dir, filepath.Join(s.dir, "log"), MasterName, host, port)
	require.NoError(tb, os.WriteFile(conf, []byte(text), 0o600))
	s.args = []string{conf}
	s.Restart()
	return s
}

// URL is the master's for Config.URL, as the sentinels know it.
func (s *Sentinel) URL() string {
	hosts := make([]string, len(s.Sentinels))
	for i, w := range s.Sentinels {
		hosts[i] = w.Addr
	}
	return "redis+sentinel://" + strings.Join(hosts, ",") + "/" + MasterName
}

// Eventually tries until there is no error, and fails the test with the last
// one and a log when that takes too long.
func Eventually(tb testing.TB, try func() error, log func() string) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	look := time.NewTicker(lookEach)
	defer look.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-look.C:
		case <-deadline.C:
			tb.Fatalf("%v\n%s", err, log())
		}
	}
}

// freePort is a port that nobody listened on a moment ago.
func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	addr, ok := l.Addr().(*net.TCPAddr)
	require.True(tb, ok)
	require.NoError(tb, l.Close())
	return addr.Port
}

// MoveSlot moves the slot of a key from its master to the next one, key by key,
// as `redis-cli --cluster reshard` does.
func (c *Cluster) MoveSlot(tb testing.TB, key string) {
	tb.Helper()
	ctx := tb.Context()
	asked := c.Nodes[0].Client()
	slot, err := asked.ClusterKeySlot(ctx, key).Result()
	require.NoError(tb, err)
	ranges, err := asked.ClusterSlots(ctx).Result() //nolint:staticcheck // Redis 6.2 knows no CLUSTER SHARDS
	require.NoError(tb, err)
	var from, to *Server
	var ids [2]string
	for i, r := range ranges {
		if int64(r.Start) <= slot && slot <= int64(r.End) {
			next := ranges[(i+1)%len(ranges)].Nodes[0]
			for j := 2; next.ID == r.Nodes[0].ID; j++ {
				next = ranges[(i+j)%len(ranges)].Nodes[0]
			}
			from, to = c.at(r.Nodes[0].Addr), c.at(next.Addr)
			ids = [2]string{r.Nodes[0].ID, next.ID}
		}
	}
	require.NotNil(tb, from)
	require.NotNil(tb, to)
	source, target := from.Client(), to.Client()
	require.NoError(tb, target.Do(ctx, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0]).Err())
	require.NoError(tb, source.Do(ctx, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1]).Err())
	host, port, err := net.SplitHostPort(to.Addr)
	require.NoError(tb, err)
	for {
		keys, err := source.ClusterGetKeysInSlot(ctx, int(slot), 1).Result()
		require.NoError(tb, err)
		if len(keys) == 0 {
			break
		}
		require.NoError(tb, source.Migrate(ctx, host, port, keys[0], 0, patience).Err())
	}
	require.NoError(tb, target.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", ids[1]).Err())
	for _, r := range ranges { // replicas learn it from their masters
		master := c.at(r.Nodes[0].Addr)
		require.NoError(tb, master.Client().Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", ids[1]).Err())
	}
}

func (c *Cluster) at(addr string) *Server {
	for _, s := range c.Nodes {
		if s.Addr == addr {
			return s
		}
	}
	return nil
}
