package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
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
	"github.com/lockgate/lockgate/gateway/wire"
)

// rules is a policy of a few lines of Go: everything is allowed as asked,
// unless a rule says something else.
type rules struct {
	mu   sync.Mutex
	rule func(*lock.Question, *lock.Decision) error
	last lock.Question
}

func (p *rules) set(rule func(*lock.Question, *lock.Decision) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rule = rule
}

// asked answers the last question about a lock request.
func (p *rules) asked() lock.Question {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

func (p *rules) Needs() lock.Needs { return lock.Needs{} }

func (p *rules) Decide(_ context.Context, q *lock.Question) (lock.Decision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = *q
	d := lock.Decision{Allow: true, Priority: q.Want.Priority, Value: q.Want.Priority.Base()}
	d.ID, d.Revision = "01JDECISION", "r1"
	if p.rule == nil {
		return d, nil
	}
	err := p.rule(q, &d)
	return d, err
}

func refuse(d *lock.Decision, msg string) {
	d.Allow = false
	d.Reasons = []lock.Reason{{Policy: "test", Code: "no", Msg: msg}}
}

// shelf is a decision log, a list of policies and a health report with fixed
// content.
type shelf struct {
	mu         sync.Mutex
	components []wire.Component
}

func (s *shelf) set(components ...wire.Component) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.components = components
}

func (s *shelf) Components() []wire.Component {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.components
}

func (s *shelf) Policies() wire.PolicySet {
	return wire.PolicySet{
		Revision: "r1", Source: "profile open", CompiledAt: wire.Time{Time: time.Unix(1, 0)},
		Items:     []wire.PolicyModule{{Path: "open.rego", Package: "lockgate.policy.open"}},
		LastError: &wire.PolicyFault{Message: "rego_parse_error", File: "x.rego", Line: 3, Column: 1},
		Reloads:   []wire.PolicyReload{{Error: "rego_parse_error"}},

		Organisations: []wire.PolicyOrg{{Name: "acme", State: "last_good", Error: "acme.rego:3:1: deny must be a set"}},
		Shadow:        &wire.PolicyShadow{Source: "/candidate", Revision: "r2"},
	}
}

func (s *shelf) Decisions(q gateway.DecisionQuery) ([]json.RawMessage, string, error) {
	if q.After != "" {
		return nil, "", lock.Invalid("cursor", "is not one of ours")
	}
	return []json.RawMessage{[]byte(`{"decision_id":"d1","requested_by":"ann"}`)}, "more", nil
}

func (s *shelf) Decision(id string) (json.RawMessage, string, bool) {
	if id != "d1" {
		return nil, "", false
	}
	return []byte(`{"decision_id":"d1","requested_by":"ann"}`), "ann", true
}

func (s *shelf) Explain(_ context.Context, id string) (json.RawMessage, bool, error) {
	if id == "d2" {
		return nil, false, nil
	}
	return []byte(`[{"resource":"` + vpc + `","allow":true,"grants":["test: yes"],"denials":[],"rules":[],"missing":[],"trace":["Enter"]}]`), true, nil
}

// shaky is a store that fails while it is told to.
type shaky struct {
	orchestrator.Store

	gap atomic.Bool // the next read of the log meets a gap

	mu   sync.Mutex
	fail error
}

func (s *shaky) Events(ctx context.Context, after events.Cursor, limit int) ([]events.Event, error) {
	if after == "7" && s.gap.CompareAndSwap(true, false) {
		return []events.Event{{Cursor: gapCursor, Type: events.Gap, Time: time.Unix(1, 0)}}, nil
	}
	return s.Store.Events(ctx, after, limit)
}

func (s *shaky) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *shaky) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

func (s *shaky) Get(ctx context.Context, id lock.ID) (lock.Lock, error) {
	if err := s.failure(); err != nil {
		return lock.Lock{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *shaky) Stats(ctx context.Context) (lock.Stats, error) {
	if err := s.failure(); err != nil {
		return lock.Stats{}, err
	}
	return s.Store.Stats(ctx)
}

type setup struct {
	config   gateway.Config
	options  gateway.Options
	workers  orchestrator.Config
	queue    orchestrator.QueueConfig
	deadlock deadlock.Config
	tls      *http.Transport
}

// rig is a gateway on an orchestrator and a store in memory.
type rig struct {
	*gateway.Server

	t        *testing.T
	policy   *rules
	shelf    *shelf
	store    *shaky
	registry *prometheus.Registry
	logs     *syncBuffer
	client   *http.Client
	document *contract
	headers  http.Header // sent with every call
	orch     *orchestrator.Orchestrator
	stop     func() error // ends the gateway alone and answers what Run did
}

// syncBuffer takes log lines from several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// assemble builds and runs everything but the socket.
func assemble(tb testing.TB, adjust ...func(*setup)) (*rig, *setup) {
	tb.Helper()
	s := setup{config: gateway.DefaultConfig(), workers: orchestrator.DefaultConfig(), queue: orchestrator.DefaultQueueConfig(), deadlock: deadlock.DefaultConfig()}
	s.config.HTTP.Listen = "127.0.0.1:0"
	for _, a := range adjust {
		a(&s)
	}
	r := &rig{policy: &rules{}, shelf: &shelf{}, registry: prometheus.NewRegistry(), logs: &syncBuffer{}}
	log := slog.New(slog.NewTextHandler(r.logs, nil))
	store, err := embedded.Open(embedded.Config{Rules: s.queue.Rules()}, log)
	require.NoError(tb, err)
	r.store = &shaky{Store: store}
	r.orch, err = orchestrator.New(s.workers, s.queue, orchestrator.Options{
		Deadlock: s.deadlock,
		Store:    r.store, Policy: r.policy, OperationTimeout: 5 * time.Second, Logger: log,
		Tracer: noop.NewTracerProvider().Tracer(""), Registerer: r.registry,
	})
	require.NoError(tb, err)
	o := s.options
	o.PolicyContract = json.RawMessage(`{"contract":"lockgate/v1","rules":{},"input":{},"output":{}}`)
	o.Orchestrator, o.Policies, o.Decisions, o.Health = r.orch, r.shelf, r.shelf, r.shelf
	o.Registerer, o.Gatherer, o.Build = r.registry, r.registry, wire.Build{Version: "v0", Go: "go1"}
	if o.Logger == nil {
		o.Logger = log
	}
	r.Server, err = gateway.New(s.config, o)
	require.NoError(tb, err)

	ctx, cancel := context.WithCancel(context.Background())
	storeCtx, stopStore := context.WithCancel(context.Background())
	var storing, working sync.WaitGroup
	storing.Go(func() { _ = store.Run(storeCtx) })
	working.Go(func() { _ = r.orch.Run(ctx) })
	tb.Cleanup(func() {
		cancel()
		working.Wait()
		stopStore()
		storing.Wait()
	})
	return r, &s
}

// start runs a gateway on a socket of its own.
func start(t *testing.T, adjust ...func(*setup)) *rig {
	t.Helper()
	r, s := assemble(t, adjust...)
	r.t = t
	require.NoError(t, r.Listen(t.Context()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	transport := s.tls
	if transport == nil {
		transport = &http.Transport{}
	}
	r.client = &http.Client{Transport: transport}
	r.document = document(t)
	r.headers = http.Header{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		require.NoError(t, r.stop())
	})
	return r
}

// within answers the rig for a subtest.
func (r *rig) within(t *testing.T) *rig {
	t.Helper()
	other := *r
	other.t = t
	return &other
}

// reply is what a call was answered.
type reply struct {
	status int
	header http.Header
	body   []byte
	t      *testing.T
}

func (a *reply) into(v any) {
	a.t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	require.NoError(a.t, d.Decode(v), "%s", a.body)
}

func (a *reply) lock(status int) wire.Lock {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "%s", a.body)
	var l wire.Lock
	a.into(&l)
	return l
}

func (a *reply) problem(status int, code string) wire.Problem {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "%s", a.body)
	require.Equal(a.t, "application/problem+json", a.header.Get("Content-Type"))
	var p wire.Problem
	a.into(&p)
	require.Equal(a.t, code, p.Code, "%s", a.body)
	require.Equal(a.t, status, p.Status)
	return p
}

// as answers the rig with headers for every call: pairs of name and value.
func (r *rig) as(pairs ...string) *rig {
	other := *r
	other.headers = maps.Clone(r.headers)
	for i := 0; i < len(pairs); i += 2 {
		other.headers.Add(pairs[i], pairs[i+1])
	}
	return &other
}

// do makes a call and holds the answer against the OpenAPI document. The body
// is text, or a value sent as JSON, or nil.
func (r *rig) do(method, target string, body any) *reply {
	r.t.Helper()
	a, err := r.try(r.t.Context(), method, target, body)
	require.NoError(r.t, err)
	return a
}

// try is do for other goroutines than the test's.
func (r *rig) try(ctx context.Context, method, target string, body any) (*reply, error) {
	req, err := r.request(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	return r.send(req)
}

// send makes a call and holds the answer against the OpenAPI document.
func (r *rig) send(req *http.Request) (*reply, error) {
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	a := &reply{status: resp.StatusCode, header: resp.Header, body: data, t: r.t}
	return a, r.document.holds(req, a)
}

func (r *rig) request(ctx context.Context, method, target string, body any) (*http.Request, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL()+target, reader)
	if err != nil {
		return nil, err
	}
	req.Header = r.headers.Clone()
	if reader != nil && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

// body is an acquire of an owner for keys.
func body(owner string, keys ...string) *wire.AcquireRequest {
	b := &wire.AcquireRequest{Namespace: "acme/infra", Owner: owner}
	for _, k := range keys {
		b.Resources = append(b.Resources, wire.Resource{Key: k})
	}
	return b
}

// acquireOf is what body asks for, without HTTP.
func acquireOf(owner lock.Owner, key lock.Key) *orchestrator.Request {
	return &orchestrator.Request{Owner: owner, Resources: []lock.Resource{{Key: key}}}
}

// waiting is body with a wait of ten minutes.
func waiting(owner string, keys ...string) *wire.AcquireRequest {
	b := body(owner, keys...)
	b.Wait = wire.Duration(10 * time.Minute)
	return b
}

func (r *rig) held(owner string, keys ...string) wire.Lock {
	r.t.Helper()
	return r.do("POST", "/v1/locks", body(owner, keys...)).lock(http.StatusCreated)
}

func (r *rig) queued(owner string, keys ...string) wire.Lock {
	r.t.Helper()
	return r.do("POST", "/v1/locks", waiting(owner, keys...)).lock(http.StatusAccepted)
}
