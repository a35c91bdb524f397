package terraform_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// configuration is a root module whose apply takes until the file released is
// there.
const configuration = `
terraform {
  backend "http" {}
}

variable "released" { type = string }

resource "terraform_data" "x" {
  triggers_replace = timestamp()
  provisioner "local-exec" { command = "until test -e ${var.released}; do sleep 0.05; done" }
}
`

// workshop is a gateway on a socket, storage for states, and the binary.
type workshop struct {
	*rig

	binary   string
	released string // the file that applies wait for
	states   *httptest.Server
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("the terraform binary is not installed: ", err)
	}
	w := &workshop{binary: binary, released: filepath.Join(t.TempDir(), "released"), states: httptest.NewServer(storage())}
	t.Cleanup(w.states.Close)
	w.rig = start(t, setup{path: filepath.Join(t.TempDir(), "locks.db"), listen: freeAddress(t)})
	return w
}

// restart ends the gateway and starts another one on its file and address.
func (w *workshop) restart(path string) {
	w.t.Helper()
	address := w.server.Addr()
	w.stop()
	w.rig = start(w.t, setup{path: path, listen: address})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// storage keeps states in memory; it locks nothing.
func storage() http.Handler {
	var mu sync.Mutex
	states := map[string][]byte{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodGet {
			if states[r.URL.Path] == nil {
				w.WriteHeader(http.StatusNotFound)
			}
			_, _ = w.Write(states[r.URL.Path])
			return
		}
		states[r.URL.Path], _ = io.ReadAll(r.Body)
	})
}

func (w *workshop) release() {
	w.t.Helper()
	require.NoError(w.t, os.WriteFile(w.released, nil, 0o600))
}

// module is one checkout of the configuration, initialised for the state vpc.
type module struct {
	w       *workshop
	dir     string
	subject string
}

func (w *workshop) module(subject string, backend ...string) *module {
	w.t.Helper()
	m := &module{w: w, dir: w.t.TempDir(), subject: subject}
	require.NoError(w.t, os.WriteFile(filepath.Join(m.dir, "main.tf"), []byte(configuration), 0o600))
	arguments := []string{
		"init", "-backend-config=address=" + w.states.URL + "/vpc",
		"-backend-config=lock_address=" + w.server.URL() + vpc, "-backend-config=unlock_address=" + w.server.URL() + vpc,
	}
	for _, b := range backend {
		arguments = append(arguments, "-backend-config="+b)
	}
	m.succeeds(arguments...)
	return m
}

// process is one terraform under way. It writes to a file, so that what it
// leaves behind when it is killed keeps nobody waiting.
type process struct {
	*exec.Cmd

	t      *testing.T
	output string
}

func (m *module) start(arguments ...string) *process {
	m.w.t.Helper()
	out, err := os.CreateTemp(m.w.t.TempDir(), "output")
	require.NoError(m.w.t, err)
	defer out.Close()
	p := &process{Cmd: exec.CommandContext(m.w.t.Context(), m.w.binary, arguments...), t: m.w.t, output: out.Name()}
	p.Dir, p.Stdout, p.Stderr = m.dir, out, out
	p.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0",
		"TF_HTTP_USERNAME=terraform", "TF_HTTP_PASSWORD=" + m.subject + "-token", "TF_VAR_released=" + m.w.released,
	}
	require.NoError(m.w.t, p.Start())
	return p
}

// text is everything written, on one line: Terraform wraps and draws frames.
func (p *process) text() string {
	p.t.Helper()
	raw, err := os.ReadFile(p.output)
	require.NoError(p.t, err)
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(string(raw))), " ")
}

func (m *module) succeeds(arguments ...string) {
	m.w.t.Helper()
	p := m.start(arguments...)
	require.NoError(m.w.t, p.Wait(), "%s", p.text())
}

func (m *module) fails(arguments ...string) string {
	m.w.t.Helper()
	p := m.start(arguments...)
	var exit *exec.ExitError
	require.ErrorAs(m.w.t, p.Wait(), &exit)
	return p.text()
}

func apply(more ...string) []string {
	return append([]string{"apply", "-auto-approve", "-no-color"}, more...)
}

// until follows the log until an event of a type comes n times, and answers the
// last of them.
func (w *workshop) until(kind events.Type, n int) events.Event {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	var after events.Cursor
	for {
		batch, err := w.store.Events(ctx, after, 100)
		require.NoError(w.t, err, "waiting for %s", kind)
		for _, e := range batch {
			if after = e.Cursor; e.Type == kind {
				n--
			}
			if n == 0 {
				return e
			}
		}
	}
}

func idOf(l *lock.Lock) string { return strings.TrimPrefix(string(l.Owner), "terraform:") }

func TestTerraform_locksWhileItApplies(t *testing.T) {
	t.Parallel()
	for name, methods := range map[string][]string{
		"LOCK and UNLOCK": nil,
		"PUT and DELETE":  {"lock_method=PUT", "unlock_method=DELETE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorkshop(t)
			w.release()
			w.module(ann, methods...).succeeds(apply()...)
			acquired, released := w.until(events.LockAcquired, 1).Lock, w.until(events.LockReleased, 1).Lock
			require.Equal(t, acquired.ID, released.ID)
			require.Equal(t, ann, acquired.Subject)
			require.Contains(t, string(acquired.Context), `"command":"apply"`)
			require.Empty(t, w.requests())
		})
	}
}

func TestTerraform_isToldWhoHoldsTheState(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	first := w.module(ann).start(apply()...)
	holder := w.until(events.LockAcquired, 1).Lock
	output := w.module(bob).fails(apply()...)
	require.Contains(t, output, "Error acquiring the state lock")
	require.Contains(t, output, "HTTP remote state already locked: ID="+idOf(&holder))
	w.release()
	require.NoError(t, first.Wait(), "%s", first.text())
}

func TestTerraform_waitsInOrderWithLockTimeout(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	first, second, third := w.module(ann), w.module(bob), w.module(ann)
	runs := []*process{first.start(apply()...)}
	w.until(events.LockAcquired, 1)
	var order []lock.ID
	for i, m := range []*module{second, third} {
		runs = append(runs, m.start(apply("-lock-timeout=2m")...))
		order = append(order, w.until(events.QueuedRequest, i+1).Lock.ID)
	}
	w.release()
	require.Equal(t, order[0], w.until(events.LockAcquired, 2).Lock.ID)
	require.Equal(t, order[1], w.until(events.LockAcquired, 3).Lock.ID)
	for _, p := range runs {
		require.NoError(t, p.Wait(), "%s", p.text())
	}
	require.Empty(t, w.requests())
}

// Terraform shows nothing of a denial but its status; the reason is in the
// gateway's log and events.
func TestTerraform_deniedPrintsNoReasonSoTheLogDoes(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	w.policy.set(denyAction(lock.ActAcquire, "apply is frozen until Monday"))
	output := w.module(ann).fails(apply("-lock-timeout=1m")...)
	require.Contains(t, output, "HTTP remote state endpoint invalid auth")
	require.NotContains(t, output, "frozen")
	require.Contains(t, w.log.String(), "apply is frozen until Monday")
	require.Equal(t, "apply is frozen until Monday", w.until(events.LockDenied, 1).Lock.Decision.Reasons[0].Msg)
}

func TestTerraform_forceUnlockAfterKillAndRestartOfTheGateway(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	path := filepath.Join(t.TempDir(), "moved.db")
	w.restart(path)
	killed := w.module(ann).start(apply()...)
	holder := w.until(events.LockAcquired, 1).Lock
	require.NoError(t, killed.Process.Kill())
	require.Error(t, killed.Wait())
	w.restart(path)
	w.release()

	next := w.module(bob)
	require.Contains(t, next.fails(apply()...), "ID="+idOf(&holder))
	w.until(events.QueueTimeout, 1) // the place of a run that did not wait is in nobody's way for long
	w.policy.set(denyAction(lock.ActForceRelease, "ask the platform team"))
	require.Contains(t, next.fails("force-unlock", "-no-color", "-force", idOf(&holder)), "403")
	require.Contains(t, w.log.String(), "ask the platform team")

	w.policy.set(nil)
	next.succeeds("force-unlock", "-no-color", "-force", idOf(&holder))
	require.Equal(t, "terraform force-unlock", w.until(events.LockRevoked, 1).Reason)
	next.succeeds(apply("-lock-timeout=1m")...)
}

func TestTerraform_forceUnlockWithDeleteBreaksNothing(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	run := w.module(ann).start(apply()...)
	holder := w.until(events.LockAcquired, 1).Lock
	output := w.module(ann, "unlock_method=DELETE").fails("force-unlock", "-no-color", "-force", idOf(&holder))
	require.Contains(t, output, "422")
	require.Equal(t, lock.Held, w.of(idOf(&holder)).State)
	w.release()
	require.NoError(t, run.Wait(), "%s", run.text())
}

func TestTerraform_unlocksAtAGatewayThatRestartedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	path := filepath.Join(t.TempDir(), "moved.db")
	w.restart(path)
	run := w.module(ann).start(apply()...)
	w.until(events.LockAcquired, 1)
	w.restart(path)
	w.release()
	require.NoError(t, run.Wait(), "%s", run.text())
	w.until(events.LockReleased, 1)
	require.Empty(t, w.requests())
}
