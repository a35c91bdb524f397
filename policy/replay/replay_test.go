package replay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/logbook"
	"github.com/lockgate/lockgate/policy/replay"
)

const current = `package lockgate.policy.p

grant contains "a member of net" if "net" in input.actor.teams

deny contains {"code": "draft", "msg": "drafts wait"} if input.pull.draft

points contains {"why": "apply", "points": 40} if input.command.name == "apply"

max_ttl_s contains data.facts.ttl if input.resource.key == "broken"
`

// journal decides with a real engine and answers its log, oldest first.
func journal(tb testing.TB) []byte {
	tb.Helper()
	dir := tb.TempDir()
	for name, text := range map[string]string{"p.rego": current, "data.json": `{"facts": {"ttl": "1h"}}`} {
		require.NoError(tb, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	cfg := policy.DefaultConfig()
	cfg.Dir, cfg.Budget = dir, time.Minute
	e, err := policy.New(tb.Context(), cfg, policy.Options{
		Logger: slog.New(slog.DiscardHandler), Tracer: noop.NewTracerProvider().Tracer(""), Registerer: prometheus.NewRegistry(),
	})
	require.NoError(tb, err)
	var log bytes.Buffer
	ask := func(change func(*lock.Question)) {
		q := &lock.Question{
			Action: lock.ActAcquire, Time: time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC), Namespace: "acme/infra", Owner: "ci:1",
			Resources: []lock.Resource{{Key: "acme/infra/vpc/default/"}},
			Caller:    lock.Caller{Subject: lock.Subject{ID: "ann"}, Actor: lock.Actor{ID: "ann", Teams: []string{"net"}}},
			Context:   json.RawMessage(`{"command": "apply"}`),
		}
		change(q)
		d, err := e.Decide(tb.Context(), q)
		id := d.ID
		if refused := (&lock.PolicyError{}); err != nil {
			require.ErrorAs(tb, err, &refused)
			id = refused.DecisionID
		}
		entry, ok := e.Entry(id)
		require.True(tb, ok)
		log.Write(append(entry, '\n'))
	}
	ask(func(*lock.Question) {})
	ask(func(q *lock.Question) { q.Context = json.RawMessage(`{"pull": {"draft": true}}`) })
	ask(func(q *lock.Question) { q.Caller.Actor.Teams = nil })
	ask(func(q *lock.Question) { q.DryRun = true })
	ask(func(q *lock.Question) {
		q.Resources = append(q.Resources, lock.Resource{Key: "acme/infra/db/default/"})
		q.Context = json.RawMessage(`{"command": "plan"}`)
	})
	ask(func(q *lock.Question) { q.Caller.Subject.Claims = map[string]any{"groups": []any{"x"}} })
	ask(func(q *lock.Question) { q.Resources[0].Key = "broken" })
	return log.Bytes()
}

func against(t *testing.T, log []byte, text string) *replay.Report {
	t.Helper()
	cfg := policy.DefaultConfig()
	cfg.Budget = time.Minute
	c, err := policy.NewCandidate(t.Context(), fstest.MapFS{
		"p.rego": {Data: []byte(text)}, "data.json": {Data: []byte(`{"facts": {"ttl": "1h"}}`)},
	}, cfg)
	require.NoError(t, err)
	r, err := replay.Run(t.Context(), logbook.Read(bytes.NewReader(log)), time.Time{}, c)
	require.NoError(t, err)
	return r
}

func TestRun_theSamePoliciesChangeNothing(t *testing.T) {
	r := against(t, journal(t), current)
	require.Equal(t, &replay.Report{Decisions: 6, Same: 6, DryRuns: 1, Changes: []replay.Change{}}, r)
}

func TestRun_tellsWhoIsLetInAndKeptOut(t *testing.T) {
	log := journal(t)
	r := against(t, log, strings.NewReplacer(
		`if "net" in input.actor.teams`, "", `if input.pull.draft`, `if input.command.name == "plan"`, "max_ttl_s", "# max_ttl_s",
	).Replace(current))
	kinds := map[string]int{}
	for _, c := range r.Changes {
		kinds[string(c.Kind)]++
		require.NotEmpty(t, c.ID)
		require.Equal(t, "acquire", c.Action)
		require.Equal(t, "ann", c.By)
	}
	require.Equal(t, map[string]int{"allows": 3, "denies": 1}, kinds)
	require.Equal(t, 3, r.Count(replay.Allows))
	require.Equal(t, replay.Allows, r.Changes[0].Kind, "who is let in comes first")
	require.Equal(t, "error", r.Changes[0].Was, "the newest comes first")
	require.Equal(t, "broken", r.Changes[0].Resource)
	last := r.Changes[3]
	require.Equal(t, "allowed", last.Was)
	require.Equal(t, "drafts wait", last.Reasons[0].Msg)
	require.Equal(t, 2, r.Same)
}

func TestRun_tellsOfMovedPriorities(t *testing.T) {
	r := against(t, journal(t), strings.Replace(current, "40", "70", 1))
	require.Len(t, r.Changes, 2)
	for _, c := range r.Changes {
		require.Equal(t, replay.Moves, c.Kind)
		require.Equal(t, [2]int{440, 470}, [2]int{c.From, c.To})
	}
}

func TestRun_tellsWhereThereIsNoDecision(t *testing.T) {
	r := against(t, journal(t), current+"\nmax_wait_s contains data.facts.ttl if {\n\tinput.command.name == \"plan\"\n\tinput.resource.key == \"acme/infra/db/default/\"\n}\n")
	require.Len(t, r.Changes, 1)
	require.Equal(t, replay.Fails, r.Changes[0].Kind)
	require.Contains(t, r.Changes[0].Error, "max_wait_s of policy p")
}

// Claims are masked, so a policy that reads them cannot be asked.
func TestRun_doesNotGuessWhatWasMasked(t *testing.T) {
	r := against(t, journal(t), current+"\ndeny contains {\"code\": \"g\", \"msg\": \"m\"} if not input.subject.claims.groups\n")
	require.Equal(t, 1, r.Masked)
	require.Equal(t, 5, r.Decisions)
}

func TestRun_goesBackNoFurtherThanAsked(t *testing.T) {
	c, err := policy.NewCandidate(t.Context(), fstest.MapFS{"p.rego": {Data: []byte("package lockgate.policy.p\n\ngrant contains \"w\"\n")}}, policy.DefaultConfig())
	require.NoError(t, err)
	r, err := replay.Run(t.Context(), logbook.Read(bytes.NewReader(journal(t))), time.Now().Add(time.Hour), c)
	require.NoError(t, err)
	require.Zero(t, r.Decisions+r.DryRuns)
}

func TestRun_endsWithABrokenLogAndWithItsContext(t *testing.T) {
	c, err := policy.NewCandidate(t.Context(), fstest.MapFS{"p.rego": {Data: []byte("package lockgate.policy.p\n\ngrant contains \"w\"\n")}}, policy.DefaultConfig())
	require.NoError(t, err)
	for _, text := range []string{`{"decision_id": "x"} {`, `{"no": "id"}`, `[{"decision_id": "x"}, 5]`} {
		_, err = replay.Run(t.Context(), logbook.Read(strings.NewReader(text)), time.Time{}, c)
		require.ErrorContains(t, err, "document", text)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = replay.Run(ctx, logbook.Read(bytes.NewReader(journal(t))), time.Time{}, c)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRead_takesLinesListsAndGzip(t *testing.T) {
	lines := journal(t)
	list := append([]byte("["), bytes.ReplaceAll(bytes.TrimSpace(lines), []byte("\n"), []byte(","))...)
	list = append(list, ']')
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write(lines)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var all []map[string]string
	for _, text := range [][]byte{lines, list, zipped.Bytes()} {
		ids := map[string]string{}
		for e, err := range logbook.Read(bytes.NewReader(text)) {
			require.NoError(t, err)
			ids[e.ID] = e.By
		}
		require.Len(t, ids, 7)
		all = append(all, ids)
	}
	require.True(t, maps.Equal(all[0], all[1]) && maps.Equal(all[1], all[2]))
}

func TestTell_isForPeople(t *testing.T) {
	var out bytes.Buffer
	for e, err := range logbook.Read(bytes.NewReader(journal(t))) {
		require.NoError(t, err)
		require.NoError(t, logbook.Tell(&out, e))
	}
	for _, want := range []string{
		"ann, acquire acme/infra/vpc/default/ for apply: allowed\n",
		"  grant     p: a member of net\n",
		"  priority  normal, 440 (400, +40 p: apply)\n",
		"  denial    p draft: drafts wait\n",
		"  grant     none: nothing said means refused\n",
		"ann, acquire acme/infra/db/default/ for plan: allowed\n",
		"ann, acquire broken for apply: no decision\n",
		"  error     policy",
		"  masked    /input/subject/claims\n",
		"  rules     p.grant:3, p.points:7\n",
	} {
		require.Contains(t, out.String(), want)
	}
}
