package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/lockgate/lockgate/core/lock"
)

func heldByBob() []lock.Facts {
	return []lock.Facts{{Holder: &lock.Lock{Owner: "atlantis:acme/infra#7", Subject: "bob"}}}
}

// gathered answers counters, gauges and counts of histograms by series.
func gathered(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+`="`+l.GetValue()+`"`)
			}
			out[f.GetName()+"{"+strings.Join(labels, ",")+"}"] =
				m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestEntry_tellsWhatWasAskedAndAnswered(t *testing.T) {
	e := engine(t, shippedFiles(t))
	q := question()
	q.Caller.Subject.Claims = map[string]any{"email": "ann@example.org"}
	q.Context = json.RawMessage(`{"command": "apply", "pull": {"num": 42, "base_branch": "main"}}`)
	d := decide(t, e, q)
	text, ok := e.Entry(d.ID)
	require.True(t, ok)
	var got struct {
		DecisionID string `json:"decision_id"`
		Timestamp  string `json:"timestamp"`
		Bundles    map[string]struct {
			Revision string `json:"revision"`
		} `json:"bundles"`
		Path        string                    `json:"path"`
		Input       map[string]map[string]any `json:"input"`
		Result      map[string]any            `json:"result"`
		RuleLabels  []map[string]string       `json:"rule_labels"`
		RequestedBy string                    `json:"requested_by"`
		Metrics     map[string]int64          `json:"metrics"`
		Stage       string                    `json:"stage"`
		Masked      []string                  `json:"masked"`
	}
	text = json.RawMessage(strings.NewReplacer(`"contract":"lockgate/v1",`, "", `"action":"acquire",`, "").Replace(string(text)))
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, d.ID, got.DecisionID)
	require.Equal(t, d.Revision, got.Bundles["lockgate"].Revision)
	require.Equal(t, "lockgate/decision", got.Path)
	require.Equal(t, "prod", got.Input["resource"]["environment"])
	require.Equal(t, "main", got.Input["pull"]["base"])
	require.Equal(t, "caller", got.Input["pull"]["source"])
	require.Equal(t, "apply", got.Input["command"]["name"])
	require.Equal(t, true, got.Result["allow"])
	require.Contains(t, got.RuleLabels, map[string]string{"rule": "rbac.grant.owner"})
	require.NotContains(t, got.RuleLabels, map[string]string{"rule": "rbac.grant.ci"})
	require.Equal(t, "ann", got.RequestedBy)
	require.Positive(t, got.Metrics["timer_decide_ns"])
	require.Equal(t, "enqueue", got.Stage)
	require.Equal(t, []string{"/input/subject/claims"}, got.Masked)
	require.NotContains(t, string(text), "ann@example.org")
}

func TestEntry_labelsRulesOfOthersByTheirPlace(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll})
	text, ok := e.Entry(decide(t, e, question()).ID)
	require.True(t, ok)
	require.Contains(t, string(text), `"rule_labels":[{"rule":"p.grant:3"}]`)
}

func TestEntries_newestFirstInPagesWithinTheBound(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll}, func(c *Config) { c.DecisionLog.Entries = 5 })
	var ids []string
	for i := range 8 {
		q := question()
		if i%2 == 0 {
			q.Owner = "other"
		}
		ids = append(ids, decide(t, e, q).ID)
	}
	page, next := e.Entries(LogQuery{}, 3, "")
	require.Equal(t, []string{ids[7], ids[6], ids[5]}, idsOf(t, page))
	require.Equal(t, ids[5], next)
	page, next = e.Entries(LogQuery{}, 3, next)
	require.Equal(t, []string{ids[4], ids[3]}, idsOf(t, page))
	require.Empty(t, next)
	page, _ = e.Entries(LogQuery{Owner: "other"}, 10, "")
	require.Equal(t, []string{ids[6], ids[4]}, idsOf(t, page))
	no := false
	for _, q := range []LogQuery{{Allow: &no}, {Subject: "bob"}, {Resource: "x"}, {Action: lock.ActRead}} {
		page, _ = e.Entries(q, 10, "")
		require.Empty(t, page, "%+v", q)
	}
	page, _ = e.Entries(LogQuery{Resource: "acme/infra/vpc/default/", Subject: "ann", Action: lock.ActAcquire}, 10, "")
	require.Len(t, page, 5)
	_, ok := e.Entry(ids[0])
	require.False(t, ok)
	page, next = e.Entries(LogQuery{}, 3, ids[0])
	require.Empty(t, page)
	require.Empty(t, next)
}

func TestEntries_leaveOutWhatIsListed(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll})
	q := question()
	q.Listed = true
	require.True(t, decide(t, e, q).Allow)
	page, _ := e.Entries(LogQuery{}, 10, "")
	require.Empty(t, page)
}

func TestEntry_severalResourcesAreLists(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll})
	q := question()
	q.Resources = append(q.Resources, lock.Resource{Key: "acme/infra/app/default/", Mode: lock.Shared})
	text, ok := e.Entry(decide(t, e, q).ID)
	require.True(t, ok)
	var got struct {
		Input, Result []map[string]any
	}
	require.NoError(t, json.Unmarshal(text, &got))
	require.Len(t, got.Input, 2)
	require.Len(t, got.Result, 2)
	require.Equal(t, "shared", got.Input[1]["resource"].(map[string]any)["mode"])
}

func idsOf(t *testing.T, page []json.RawMessage) []string {
	t.Helper()
	var ids []string
	for _, text := range page {
		var one struct {
			ID string `json:"decision_id"`
		}
		require.NoError(t, json.Unmarshal(text, &one))
		ids = append(ids, one.ID)
	}
	return ids
}

func TestDecide_isOneSpan(t *testing.T) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	o := options()
	o.Tracer = provider.Tracer("")
	e, err := New(t.Context(), DefaultConfig(), o)
	require.NoError(t, err)
	d := decide(t, e, question())
	decide(t, e, question())
	spans := recorder.Ended()
	require.Len(t, spans, 2)
	require.Equal(t, "policy.decide", spans[0].Name())
	attributes := map[string]string{}
	for _, a := range spans[0].Attributes() {
		attributes[string(a.Key)] = a.Value.String()
	}
	require.Equal(t, map[string]string{
		"lockgate.decision.id": d.ID, "lockgate.decision.allow": "true", "lockgate.decision.priority": "normal",
		"lockgate.decision.memo_hit": "false", "lockgate.decision.stage": "enqueue", "lockgate.action": "acquire",
	}, attributes)
	text, ok := e.Entry(d.ID)
	require.True(t, ok)
	require.Contains(t, string(text), `"trace_id":"`+spans[0].SpanContext().TraceID().String()+`"`)
}
