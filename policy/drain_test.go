package policy

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// running starts an engine and answers what ends it.
func running(t *testing.T, e *Engine) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, e.Run(ctx)) })
	stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func lines(t *testing.T, name string) []string {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	var list []string
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		list = append(list, s.Text())
	}
	require.NoError(t, s.Err())
	return list
}

func TestDecisionLog_fileHoldsEveryDecisionMasked(t *testing.T) {
	name := filepath.Join(t.TempDir(), "decisions.jsonl")
	e := engine(t, map[string]string{"p.rego": grantAll}, func(c *Config) {
		c.DecisionLog.File.Path = name
		c.DecisionLog.Mask = []string{"/input/subject/claims/email", "/input/pull/labels/0", "/input/request/context", "/result/grants", "/requested_by", "/input/want/reason"}
	})
	stop := running(t, e)
	q := question()
	q.Caller.Subject.Claims = map[string]any{"email": "ann@example.org", "level": "3"}
	q.Context = json.RawMessage(`{"pull": {"labels": ["secret-label", "open"]}}`)
	q.Resources = append(q.Resources, lock.Resource{Key: "acme/infra/app/default/"})
	first := decide(t, e, q)
	second := decide(t, e, question())
	stop()
	got := lines(t, name)
	require.Len(t, got, 2)
	entry, ok := e.Entry(first.ID)
	require.True(t, ok)
	require.JSONEq(t, string(entry), got[0], "memory and file say the same")
	for _, secret := range []string{"ann@example.org", "secret-label", `"requested_by":"ann"`, `"grants"`} {
		require.NotContains(t, got[0], secret)
	}
	require.Contains(t, got[0], `"level":"3"`)
	var ev struct {
		Masked  []string `json:"masked"`
		ID      string   `json:"decision_id"`
		Bundles map[string]bundleRevision
	}
	require.NoError(t, json.Unmarshal([]byte(got[0]), &ev))
	require.Equal(t, []string{"/input/subject/claims/email", "/input/pull/labels/0", "/input/request/context", "/result/grants", "/requested_by"}, ev.Masked)
	require.NotEmpty(t, ev.Bundles["facts"].Revision)
	require.NoError(t, json.Unmarshal([]byte(got[1]), &ev))
	require.Equal(t, second.ID, ev.ID)
}

func TestRotated_keepsAsManyAsItMay(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	r := newRotated(LogFile{Path: name, MaxMB: 1, Keep: 2}, slog.New(slog.DiscardHandler), prometheus.NewCounter(prometheus.CounterOpts{}))
	feed := make(chan json.RawMessage, 10)
	for i := range 7 {
		feed <- json.RawMessage(fmt.Sprintf("\"%d%0400000d\"", i, 0))
	}
	close(feed)
	r.run(t.Context(), feed)
	for file, want := range map[string][]byte{name: {'6'}, name + ".1": {'4', '5'}, name + ".2": {'2', '3'}} {
		var got []byte
		for _, line := range lines(t, file) {
			got = append(got, line[1])
		}
		require.Equal(t, want, got, file)
	}
	require.NoFileExists(t, name+".3")
}

func TestRotated_whatCannotBeWrittenIsCounted(t *testing.T) {
	lost := prometheus.NewCounter(prometheus.CounterOpts{})
	r := newRotated(LogFile{Path: filepath.Join(t.TempDir(), "none", "log"), MaxMB: 1, Keep: 1}, slog.New(slog.DiscardHandler), lost)
	feed := make(chan json.RawMessage, 2)
	feed <- json.RawMessage("1")
	feed <- json.RawMessage("2")
	close(feed)
	r.run(t.Context(), feed)
	require.InDelta(t, 2, testutil.ToFloat64(lost), 0)
}

func TestDecisionLog_uploadIsOPAsAndTriedAgain(t *testing.T) {
	var failures atomic.Int32
	ids := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if failures.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.Method != http.MethodPost || r.Header.Get("Content-Encoding") != "gzip" || r.Header.Get("Content-Type") != "application/json" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		unzipped, err := gzip.NewReader(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var events []event
		if json.NewDecoder(unzipped).Decode(&events) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		for i := range events {
			ids <- events[i].DecisionID
		}
	}))
	t.Cleanup(server.Close)
	e := engine(t, map[string]string{"p.rego": grantAll}, func(c *Config) {
		c.DecisionLog.Upload = LogUpload{URL: server.URL, Interval: 100 * time.Millisecond}
	})
	failures.Store(1)
	stop := running(t, e)
	want := []string{decide(t, e, question()).ID, decide(t, e, question()).ID}
	require.Equal(t, want, []string{<-ids, <-ids})
	last := decide(t, e, question()).ID
	stop()
	require.Equal(t, last, <-ids, "what was decided before the end is sent")
	require.Negative(t, failures.Load())
	require.InDelta(t, 0, testutil.ToFloat64(e.metrics.logLost.WithLabelValues(sinkUpload)), 0)
}

func TestDecisionLog_decisionsDoNotWaitForItsSinks(t *testing.T) {
	e := engine(t, map[string]string{"p.rego": grantAll}, func(c *Config) {
		c.DecisionLog.File.Path = filepath.Join(t.TempDir(), "log")
	})
	for range drainBacklog + 5 { // nobody runs the engine
		decide(t, e, question())
	}
	require.InDelta(t, 5, testutil.ToFloat64(e.metrics.logLost.WithLabelValues(sinkFile)), 0)
}

func TestConfig_decisionLogFaults(t *testing.T) {
	c := DefaultConfig()
	c.DecisionLog = DecisionLog{Mask: []string{"input.subject"}, File: LogFile{Path: "x"}, Upload: LogUpload{URL: "x"}}
	err := c.Validate()
	for _, part := range []string{
		"decision_log.entries must", `decision_log.mask: "input.subject"`, "decision_log.file.max_mb must", "decision_log.file.keep must",
		"decision_log.upload.url must", "decision_log.upload.interval must",
	} {
		require.ErrorContains(t, err, part)
	}
}
