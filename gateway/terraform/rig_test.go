package terraform_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/terraform"
	"github.com/lockgate/lockgate/gateway/wire"
)

// rules is a policy of a few lines of Go: everything is allowed as asked,
// unless a rule says something else.
type rules struct {
	mu    sync.Mutex
	rule  func(*lock.Question, *lock.Decision)
	asked []lock.Question
}

func (p *rules) set(rule func(*lock.Question, *lock.Decision)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = rule
}

// last is the newest question.
func (p *rules) last() lock.Question {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[len(p.asked)-1]
}

func (p *rules) Needs() lock.Needs { return lock.Needs{} }

func (p *rules) Decide(_ context.Context, q *lock.Question) (lock.Decision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, *q)
	d := lock.Decision{Allow: true, Priority: q.Want.Priority, Value: q.Want.Priority.Base()}
	d.ID = "decision"
	if p.rule != nil {
		p.rule(q, &d)
	}
	return d, nil
}

func deny(d *lock.Decision, msg string) {
	d.Allow = false
	d.Reasons = []lock.Reason{{Policy: "test", Code: "no", Msg: msg}}
}

// denyAction refuses one action and allows all others.
func denyAction(a lock.Action, msg string) func(*lock.Question, *lock.Decision) {
	return func(q *lock.Question, d *lock.Decision) {
		if q.Action == a {
			deny(d, msg)
		}
	}
}

// nothing stands for the parts of a gateway that this door does not touch.
type nothing struct{}

func (nothing) Policies() wire.PolicySet     { return wire.PolicySet{} }
func (nothing) Components() []wire.Component { return nil }
func (nothing) Decisions(gateway.DecisionQuery) ([]json.RawMessage, string, error) {
	return nil, "", nil
}
func (nothing) Decision(string) (json.RawMessage, string, bool) { return nil, "", false }
func (nothing) Explain(context.Context, string) (json.RawMessage, bool, error) {
	return nil, false, nil
}

// The subjects of the tests; a token is the subject's name and "-token".
const (
	ann = "ann"
	bob = "bob"
)

// journal keeps what was logged.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// rig is a gateway with this door on an embedded store.
type rig struct {
	t      *testing.T
	policy *rules
	log    *journal
	store  *embedded.Store
	orch   *orchestrator.Orchestrator
	server *gateway.Server
	stop   func()
}

type setup struct {
	path   string // of the store's file; "" is in memory
	listen string // "" serves without a socket
	queue  orchestrator.QueueConfig
}

func start(t *testing.T, s setup) *rig {
	t.Helper()
	r := &rig{t: t, policy: &rules{}, log: &journal{}}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if s.queue == (orchestrator.QueueConfig{}) {
		s.queue = orchestrator.DefaultQueueConfig()
	}
	registry := prometheus.NewRegistry()
	var err error
	r.store, err = embedded.Open(embedded.Config{Path: s.path, Rules: s.queue.Rules()}, logger)
	require.NoError(t, err)
	r.orch, err = orchestrator.New(orchestrator.DefaultConfig(), s.queue, orchestrator.Options{
		Deadlock: deadlock.DefaultConfig(),
		Store:    r.store, Policy: r.policy, OperationTimeout: 5 * time.Second, Logger: logger,
		Tracer: noop.NewTracerProvider().Tracer(""), Registerer: registry,
	})
	require.NoError(t, err)
	cfg := gateway.DefaultConfig()
	cfg.Auth.TokensFile = tokensFile(t, ann, bob)
	if s.listen != "" {
		cfg.HTTP.Listen = s.listen
	}
	r.server, err = gateway.New(cfg, gateway.Options{
		Orchestrator: r.orch, Policies: nothing{}, Decisions: nothing{}, Health: nothing{},
		Logger: logger, Registerer: registry, Gatherer: registry,
		Mounts: []func(gateway.Routes){terraform.New(r.orch, logger).Mount},
	})
	require.NoError(t, err)
	parts := []func(context.Context) error{r.store.Run, r.orch.Run}
	if s.listen != "" {
		require.NoError(t, r.server.Listen(t.Context()))
		parts = append(parts, r.server.Run)
	}
	r.run(parts)
	return r
}

// run starts the parts; stop ends the last one first, as an application does.
func (r *rig) run(parts []func(context.Context) error) {
	stops := make([]func(), 0, len(parts))
	for _, part := range parts {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- part(ctx) }()
		stops = append(stops, func() {
			cancel()
			require.NoError(r.t, <-done)
		})
	}
	r.stop = sync.OnceFunc(func() {
		for i := range stops {
			stops[len(stops)-1-i]()
		}
	})
	r.t.Cleanup(r.stop)
}

// bubble runs a test with a fake clock, on a gateway without a socket.
func bubble(t *testing.T, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(start(t, setup{})) })
}

// pass lets time pass in the bubble.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // the bubble's clock: nothing really waits
	synctest.Wait()
}

func tokensFile(t *testing.T, subjects ...string) string {
	t.Helper()
	var b strings.Builder
	for _, s := range subjects {
		digest := sha256.Sum256([]byte(s + "-token"))
		fmt.Fprintf(&b, "- {sha256: %s, subject: %s}\n", hex.EncodeToString(digest[:]), s)
	}
	path := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

const vpc = "/terraform/acme%2Finfra/vpc"

// answer is what a call came back with.
type answer struct {
	status int
	header http.Header
	body   string
}

// call makes one call as a subject, authenticated as Terraform does.
func (r *rig) call(subject, method, path, body string) answer {
	r.t.Helper()
	request := httptest.NewRequestWithContext(r.t.Context(), method, path, strings.NewReader(body))
	if subject != "" {
		request.SetBasicAuth("terraform", subject+"-token")
	}
	recorder := httptest.NewRecorder()
	r.server.Handler().ServeHTTP(recorder, request)
	text, err := io.ReadAll(recorder.Body)
	require.NoError(r.t, err)
	return answer{status: recorder.Code, header: recorder.Header(), body: string(text)}
}

// info is the LockInfo of a run with an ID.
func info(id string) string {
	return fmt.Sprintf(`{"ID":%q,"Operation":"OperationTypeApply","Info":"","Who":"ci@runner-%s","Version":"1.11.4",`+
		`"Created":"2026-11-21T19:19:08.716402478Z","Path":""}`, id, id)
}

// bare is the LockInfo that tofu force-unlock sends.
func bare(id string) string {
	return fmt.Sprintf(`{"ID":%q,"Operation":"","Info":"","Who":"","Version":"","Created":"0001-01-01T00:00:00Z","Path":""}`, id)
}

func (r *rig) lock(subject, id string) answer {
	r.t.Helper()
	return r.call(subject, "LOCK", vpc, info(id))
}

func (r *rig) unlock(subject, id string) answer {
	r.t.Helper()
	return r.call(subject, "UNLOCK", vpc, info(id))
}

func (r *rig) locked(subject, id string) {
	r.t.Helper()
	got := r.lock(subject, id)
	require.Equal(r.t, http.StatusOK, got.status, got.body)
}

// refused is the LockInfo of a 423.
func (r *rig) refused(got answer) terraform.Info {
	r.t.Helper()
	require.Equal(r.t, http.StatusLocked, got.status, got.body)
	var i terraform.Info
	require.NoError(r.t, json.Unmarshal([]byte(got.body), &i))
	require.NotEmpty(r.t, i.ID, "without an ID OpenTofu gives up at once")
	return i
}

func (r *rig) problem(got answer, status int) wire.Problem {
	r.t.Helper()
	require.Equal(r.t, status, got.status, got.body)
	require.Equal(r.t, "application/problem+json", got.header.Get("Content-Type"))
	var p wire.Problem
	require.NoError(r.t, json.Unmarshal([]byte(got.body), &p))
	require.Equal(r.t, status, p.Status)
	return p
}

// requests lists what stands at the state, by id.
func (r *rig) requests() []lock.Lock {
	r.t.Helper()
	page, err := r.store.List(r.t.Context(), lock.Query{Namespace: "acme/infra", Resource: "terraform/vpc", Limit: 100})
	require.NoError(r.t, err)
	return page.Locks
}

// events lists the events so far.
func (r *rig) events() []events.Event {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Millisecond)
	defer cancel()
	all, err := r.store.Events(ctx, "", 1000)
	if errors.Is(err, context.DeadlineExceeded) { // it waits for the first one
		return nil
	}
	require.NoError(r.t, err)
	return all
}

// of finds the only live request of a lock ID.
func (r *rig) of(id string) lock.Lock {
	r.t.Helper()
	var found []lock.Lock
	for _, l := range r.requests() {
		if l.Owner == lock.Owner("terraform:"+id) {
			found = append(found, l)
		}
	}
	require.Len(r.t, found, 1)
	return found[0]
}
