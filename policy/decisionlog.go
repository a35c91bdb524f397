package policy

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"go.opentelemetry.io/otel/trace"

	"github.com/lockgate/lockgate/core/lock"
)

// entry is one decision as it is kept: enough to write its log event when
// somebody reads it. Question and verdicts never change.
type entry struct {
	id         string
	at         time.Time
	took       time.Duration
	question   lock.Question
	generation *generation
	verdicts   []*verdict
	allow      bool
	err        error
	trace      trace.TraceID
}

// ring keeps the newest decisions.
type ring struct {
	mu      sync.Mutex // guards the rest
	entries []entry
	next    int
	full    bool
	byID    map[string]int
}

func newRing(size int) *ring {
	return &ring{entries: make([]entry, size), byID: make(map[string]int, size)}
}

func (r *ring) add(en *entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		delete(r.byID, r.entries[r.next].id)
	}
	r.entries[r.next] = *en
	r.byID[en.id] = r.next
	if r.next++; r.next == len(r.entries) {
		r.next, r.full = 0, true
	}
}

func (r *ring) get(id string) (entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i, ok := r.byID[id]
	if !ok {
		return entry{}, false
	}
	return r.entries[i], true
}

// newest answers copies, newest first, of at most limit entries that match and
// are older than the entry named before; "" is all. It answers false when that
// entry is no longer kept.
func (r *ring) newest(before string, limit int, match func(*entry) bool) ([]entry, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.next
	if r.full {
		n = len(r.entries)
	}
	skip := 0
	if before != "" {
		i, ok := r.byID[before]
		if !ok {
			return nil, false
		}
		skip = (r.next - i + len(r.entries)) % len(r.entries)
		if skip == 0 {
			skip = len(r.entries)
		}
	}
	var out []entry
	for back := skip + 1; back <= n && len(out) < limit; back++ {
		en := &r.entries[(r.next-back+len(r.entries))%len(r.entries)]
		if match(en) {
			out = append(out, *en)
		}
	}
	return out, true
}

// LogQuery selects entries of the decision log; zero fields select all.
type LogQuery struct {
	Action   lock.Action
	Resource lock.Key
	Owner    lock.Owner
	Subject  string
	Allow    *bool
}

func (l *LogQuery) match(en *entry) bool {
	q := &en.question
	switch {
	case l.Action != 0 && q.Action != l.Action,
		l.Owner != "" && q.Owner != l.Owner,
		l.Subject != "" && q.Caller.Subject.ID != l.Subject,
		l.Allow != nil && en.allow != *l.Allow:
		return false
	}
	if l.Resource == "" {
		return true
	}
	for _, r := range q.Resources {
		if r.Key == l.Resource {
			return true
		}
	}
	return false
}

// MaxLogPage bounds one page of [Engine.Entries].
const MaxLogPage = 1000

// Entry answers the log event of one decision while it is kept.
func (e *Engine) Entry(id string) (json.RawMessage, bool) {
	en, ok := e.ring.get(id)
	if !ok {
		return nil, false
	}
	return en.event(), true
}

// Entries answers log events, newest first, and the cursor of the next page or
// "". A cursor whose entry is no longer kept answers an empty last page.
func (e *Engine) Entries(q LogQuery, limit int, cursor string) ([]json.RawMessage, string) {
	limit = min(max(limit, 1), MaxLogPage)
	list, ok := e.ring.newest(cursor, limit, q.match)
	if !ok {
		return nil, ""
	}
	out := make([]json.RawMessage, len(list))
	for i := range list {
		out[i] = list[i].event()
	}
	if len(list) < limit {
		return out, ""
	}
	return out, list[len(list)-1].id
}

// event is one decision in the fields of OPA's decision log. input and result
// are lists when the question named several resources.
type event struct {
	DecisionID  string                    `json:"decision_id"`
	TraceID     string                    `json:"trace_id,omitempty"`
	Timestamp   time.Time                 `json:"timestamp"`
	Bundles     map[string]bundleRevision `json:"bundles"`
	Path        string                    `json:"path"`
	Input       any                       `json:"input"`
	Result      any                       `json:"result,omitempty"`
	RuleLabels  []map[string]any          `json:"rule_labels,omitempty"`
	RequestedBy string                    `json:"requested_by"`
	Metrics     map[string]int64          `json:"metrics"`
	Stage       string                    `json:"stage"`
	Allow       bool                      `json:"allow"`
	Error       string                    `json:"error,omitempty"`
	Masked      []string                  `json:"masked"`
}

type bundleRevision struct {
	Revision string `json:"revision"`
}

// decisionPath is the document that a decision answers.
const decisionPath = "lockgate/decision"

func (en *entry) event() json.RawMessage {
	ev := event{
		DecisionID: en.id, Timestamp: en.at.UTC(), Path: decisionPath,
		Bundles:     map[string]bundleRevision{"lockgate": {Revision: en.generation.revision}},
		RequestedBy: requestedBy(&en.question.Caller),
		Metrics:     map[string]int64{"timer_decide_ns": en.took.Nanoseconds()},
		Stage:       en.question.Stage.String(), Allow: en.allow, Masked: []string{},
	}
	if en.trace.IsValid() {
		ev.TraceID = en.trace.String()
	}
	if en.err != nil {
		ev.Error = en.err.Error()
	}
	var inputs, results []any
	for i := range max(1, len(en.question.Resources)) {
		inputs = append(inputs, en.input(i, &ev))
	}
	for _, v := range en.verdicts {
		results = append(results, v)
		ev.RuleLabels = append(ev.RuleLabels, v.labels...)
	}
	ev.Input, ev.Result = oneOrAll(inputs), oneOrAll(results)
	text, err := json.Marshal(ev)
	if err != nil {
		return json.RawMessage(`{"decision_id":"` + en.id + `","error":"the event cannot be written"}`)
	}
	return text
}

func oneOrAll(list []any) any {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	return list
}

// input writes what policies saw of one resource, without what nobody may read
// in a log.
func (en *entry) input(i int, ev *event) any {
	v := &view{}
	v.reset(&en.question, i, en.generation.facts)
	value, err := en.generation.inputs.build(v)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	plain, err := ast.JSON(value.Value)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	return mask(plain, ev)
}

// mask replaces the claims of a token: they identify people, and some issuers
// put secrets there.
func mask(input any, ev *event) any {
	root, ok := input.(map[string]any)
	if !ok {
		return input
	}
	subject, ok := root["subject"].(map[string]any)
	if !ok {
		return input
	}
	if claims, ok := subject["claims"].(map[string]any); ok && len(claims) > 0 {
		subject["claims"] = map[string]any{}
		if pointer := "/input/subject/claims"; !strings.Contains(strings.Join(ev.Masked, "\n"), pointer) {
			ev.Masked = append(ev.Masked, pointer)
		}
	}
	return input
}

func requestedBy(c *lock.Caller) string {
	if c.Actor.ID != "" {
		return c.Actor.ID
	}
	return c.Subject.ID
}
