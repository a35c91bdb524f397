package e2e

import (
	"context"
	"io"
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

	"github.com/lockgate/lockgate/client"
)

// configuration is a root module whose apply keeps a diary of its begin and end,
// and takes until the file released is there, or the diary is gone with its test.
const configuration = `
terraform {
  backend "http" {}
}

variable "name" { type = string }
variable "diary" { type = string }
variable "released" { type = string }

resource "terraform_data" "x" {
  triggers_replace = timestamp()
  provisioner "local-exec" {
    command = "echo begin ${var.name} >>${var.diary}; while test -e ${var.diary} && ! test -e ${var.released}; do sleep 0.05; done; echo end ${var.name} >>${var.diary}"
  }
}
`

// frozen denies the state frozen, and nothing else.
const frozen = `package lockgate.policy.frozen

grant contains "all states but one"

deny contains {"code": "frozen", "msg": "this state is frozen until Monday"} if {
	input.action == "acquire"
	input.resource.key == "terraform/frozen"
}
`

// bench is a gateway, a place for states, and what applies share.
type bench struct {
	t        *testing.T
	binary   string
	gateway  *gatewayProcess
	states   string
	diary    string
	released string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	binary, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("the terraform binary is not installed: ", err)
	}
	dir := t.TempDir()
	policies := filepath.Join(dir, "policies")
	require.NoError(t, os.Mkdir(policies, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(policies, "frozen.rego"), []byte(frozen), 0o600))
	states := httptest.NewServer(storage())
	t.Cleanup(states.Close)
	return &bench{
		t: t, binary: binary, states: states.URL, diary: filepath.Join(dir, "diary"), released: filepath.Join(dir, "released"),
		gateway: startGateway(t, freeAddress(t), "--backend.url", "file:"+filepath.Join(dir, "lockgate.db"), "--policy.dir", policies),
	}
}

// storage keeps states in memory; it locks nothing.
func storage() http.Handler {
	var states sync.Map
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			state, _ := io.ReadAll(r.Body)
			states.Store(r.URL.Path, state)
			return
		}
		state, ok := states.Load(r.URL.Path)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(state.([]byte))
	})
}

// checkout is one initialised copy of the configuration, for one state.
type checkout struct {
	*bench

	dir, name string
}

func (b *bench) checkout(name, state string) *checkout {
	b.t.Helper()
	c := &checkout{bench: b, dir: b.t.TempDir(), name: name}
	require.NoError(b.t, os.WriteFile(filepath.Join(c.dir, "main.tf"), []byte(configuration), 0o600))
	door := b.gateway.url + "/terraform/acme%2Finfra/" + state
	initialised := c.start("init", "-backend-config=address="+b.states+"/"+state,
		"-backend-config=lock_address="+door, "-backend-config=unlock_address="+door)
	require.NoError(b.t, initialised.Wait(), "%s", initialised.out)
	return c
}

// run is one terraform under way.
type run struct {
	*exec.Cmd

	out *output
}

func (c *checkout) start(args ...string) *run {
	c.t.Helper()
	r := &run{Cmd: exec.CommandContext(c.t.Context(), c.binary, args...), out: &output{}}
	r.Dir, r.Stdout, r.Stderr = c.dir, r.out, r.out
	r.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + c.dir, "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0",
		"TF_VAR_name=" + c.name, "TF_VAR_diary=" + c.diary, "TF_VAR_released=" + c.released,
	}
	require.NoError(c.t, r.Start())
	return r
}

func (c *checkout) apply() *run {
	c.t.Helper()
	return c.start("apply", "-auto-approve", "-no-color", "-lock-timeout=2m")
}

// await asks until a lock of the state vpc is in a state.
func (b *bench) await(state string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), time.Minute)
	defer cancel()
	gateway := newClient(b.t, b.gateway.url)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		for _, err := range gateway.List(ctx, client.ListFilter{Resource: "terraform/vpc", State: state}) {
			require.NoError(b.t, err, "waiting for a lock that is %s", state)
			return
		}
		<-again.C
	}
}

func (b *bench) lockctl(args ...string) string {
	b.t.Helper()
	cmd := exec.CommandContext(b.t.Context(), filepath.Join(bin, "lockctl"), args...)
	cmd.Env = append(cleanEnv(), "LOCKGATE_URL="+b.gateway.url)
	out, err := cmd.CombinedOutput()
	require.NoError(b.t, err, "%s", out)
	return string(out)
}

func TestTerraform_theSecondApplyWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, second := b.checkout("first", "vpc"), b.checkout("second", "vpc")
	runs := []*run{first.apply()}
	b.await(client.Held)
	runs = append(runs, second.apply())
	b.await(client.Queued)
	require.NoError(t, os.WriteFile(b.released, nil, 0o600))
	for _, r := range runs {
		require.NoError(t, r.Wait(), "%s", r.out)
	}
	diary, err := os.ReadFile(b.diary)
	require.NoError(t, err)
	require.Equal(t, "begin first\nend first\nbegin second\nend second\n", string(diary))
	for held, err := range newClient(t, b.gateway.url).List(t.Context(), client.ListFilter{Resource: "terraform/vpc"}) {
		require.NoError(t, err)
		t.Errorf("%s is still %s", held.Owner, held.State)
	}
}

// Terraform shows only that it was refused. The README of examples/terraform
// says where the reason is: this holds it to that.
func TestTerraform_theReasonOfADenialIsInTheLogAndTheDecisions(t *testing.T) {
	t.Parallel()
	const reason = "this state is frozen until Monday"
	b := newBench(t)
	denied := b.checkout("denied", "frozen").apply()
	require.Error(t, denied.Wait())
	require.Contains(t, denied.out.String(), "HTTP remote state endpoint invalid auth")
	require.NotContains(t, denied.out.String(), reason)
	require.NoFileExists(t, b.diary)

	require.Contains(t, b.lockctl("decisions"), reason)
	for line := range strings.Lines(b.gateway.out.String()) {
		if strings.Contains(line, "terraform lock denied") {
			require.Contains(t, line, reason)
			return
		}
	}
	t.Errorf("the gateway did not log the denial:\n%s", b.gateway.out)
}
