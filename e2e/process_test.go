package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	_ "github.com/lockgate/lockgate/app" // the binaries are built by a process that go test does not see: a change of theirs must not find a cached result
)

// bin is the folder with the two binaries, built once by TestMain.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "lockgate-e2e-*")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+"/", "../cmd/gateway", "../cmd/lockctl")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the binaries: %w\n%s", err, out)
	}
	bin = dir
	return m.Run(), nil
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// gatewayProcess is one running gateway.
type gatewayProcess struct {
	cmd    *exec.Cmd
	url    string
	out    *output
	exited chan struct{}
}

// output keeps what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// startGateway runs `gateway serve` and returns once it is ready.
func startGateway(t *testing.T, address string, args ...string) *gatewayProcess {
	t.Helper()
	return startGatewayIn(t, nil, address, args...)
}

// startGatewayIn is startGateway with additions to the environment.
func startGatewayIn(t *testing.T, env []string, address string, args ...string) *gatewayProcess {
	t.Helper()
	p := &gatewayProcess{url: "http://" + address, out: &output{}, exited: make(chan struct{})}
	p.cmd = exec.Command(filepath.Join(bin, "gateway"), append([]string{"serve", "--http.listen", address}, args...)...)
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(cleanEnv(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	p.awaitReady(t)
	return p
}

// awaitReady asks /readyz until it says yes, at most a minute.
func (p *gatewayProcess) awaitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/readyz", http.NoBody)
		require.NoError(t, err)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-again.C:
		case <-p.exited:
			t.Fatalf("the gateway ended before it was ready:\n%s", p.out)
		case <-ctx.Done():
			t.Fatalf("the gateway did not become ready:\n%s", p.out)
		}
	}
}

// stop asks the process to end, as an operator does, and answers how long it took
// and with which exit code.
func (p *gatewayProcess) stop(t *testing.T) (time.Duration, int) {
	t.Helper()
	asked := time.Now()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.exited
	return time.Since(asked), p.cmd.ProcessState.ExitCode()
}

// kill ends the process as a power cut would.
func (p *gatewayProcess) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// cleanEnv is this process' environment without what would configure a gateway.
func cleanEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir()}
}
