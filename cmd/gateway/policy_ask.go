package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/cmd/internal/output"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/logbook"
	"github.com/lockgate/lockgate/policy/replay"
)

func newPolicyEval() *cobra.Command {
	var (
		s    policySettings
		out  output.Format
		file string
	)
	c := &cobra.Command{
		Use: "eval --input FILE DIR", Short: "Decide one input, and say why",
		Long: "The input is JSON, as much of it as matters: what is left out is worked out as a gateway would\n" +
			"(the environment by the registry, the calendar by request.time, the actor by the subject) or\n" +
			"is zero. An entry of the decision log will do as well. A denial is a result: exit code 0.",
		Example: "  gateway policy eval --input request.json policies\n" +
			"  echo '{\"subject\": {\"id\": \"ann\"}}' | gateway policy eval --input - policies",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			candidate, err := s.load(c.Context(), args[0])
			if err != nil {
				return err
			}
			text, err := readAll(c, file)
			if err != nil {
				return err
			}
			input, err := wholeInput(candidate, text)
			if err != nil {
				return err
			}
			return evaluate(c, &out, candidate, input)
		},
	}
	s.addFlags(c.Flags(), 50*time.Millisecond)
	out.Flag(c)
	c.Flags().StringVar(&file, "input", "", "JSON file, - is standard input")
	mustHave(c, "input")
	return c
}

// wholeInput answers the input of a log entry as it is, and completes any other.
func wholeInput(candidate *policy.Candidate, text []byte) (json.RawMessage, error) {
	entry := &logbook.Entry{}
	if json.Unmarshal(text, entry) != nil {
		return candidate.Complete(text, time.Now())
	}
	if len(entry.Inputs) != 1 {
		return nil, fmt.Errorf("decision %s is about %d resources: give the input of one", entry.ID, len(entry.Inputs))
	}
	return entry.Inputs[0], nil
}

func evaluate(c *cobra.Command, out *output.Format, candidate *policy.Candidate, input json.RawMessage) error {
	outcome, err := candidate.Decide(c.Context(), input)
	if err != nil {
		return fmt.Errorf("no decision, so a gateway refuses: %w", err)
	}
	w := c.OutOrStdout()
	return out.Print(w, outcome, func() error {
		text, err := json.Marshal(outcome)
		if err != nil {
			return err
		}
		result := &logbook.Result{}
		if err := json.Unmarshal(text, result); err != nil {
			return err
		}
		if err := logbook.TellResult(w, input, result, outcome.Rules()); err != nil || result.Allow {
			return err
		}
		x, err := candidate.Explain(c.Context(), input)
		if err != nil {
			return err
		}
		return logbook.TellMissing(w, x)
	})
}

// gatewayOptions say where the decision log is.
type gatewayOptions struct{ url, token, log string }

func (o *gatewayOptions) addFlags(c *cobra.Command) {
	url := os.Getenv(prefix + "URL")
	if url == "" {
		url = "http://127.0.0.1:7480"
	}
	c.Flags().StringVar(&o.url, "url", url, "address of the gateway (LOCKGATE_URL)")
	c.Flags().StringVar(&o.token, "token", "", "bearer token of an administrator (default $LOCKGATE_TOKEN)")
	c.Flags().StringVar(&o.log, "log", "", "decision log to read instead: JSON lines, gzipped or not")
}

func (o *gatewayOptions) client() (*client.Client, error) {
	token := o.token
	if token == "" {
		token = os.Getenv(prefix + "TOKEN")
	}
	return client.New(client.Config{URL: o.url, Token: token})
}

// entries answers the log, newest first from a gateway, in its own order from a
// file.
func (o *gatewayOptions) entries(ctx context.Context) (iter.Seq2[*logbook.Entry, error], func(), error) {
	if o.log != "" {
		f, err := os.Open(o.log)
		if err != nil {
			return nil, nil, err
		}
		return logbook.Read(f), func() { _ = f.Close() }, nil
	}
	gateway, err := o.client()
	if err != nil {
		return nil, nil, err
	}
	return func(yield func(*logbook.Entry, error) bool) {
		for text, err := range gateway.Decisions(ctx) {
			e := &logbook.Entry{}
			if err == nil {
				err = json.Unmarshal(text, e)
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}, func() {}, nil
}

func newPolicyExplain() *cobra.Command {
	var (
		s    policySettings
		at   gatewayOptions
		out  output.Format
		full bool
		dir  string
	)
	c := &cobra.Command{
		Use: "explain ID", Short: "Tell how a decision came about, and what would let the caller in",
		Long: "Asks a gateway for a decision of its log and the rules that fired, and lets it decide again with\n" +
			"a trace, by the policies of then. With --log it reads the entry from a file; --dir names the\n" +
			"policies to decide it again with.",
		Example: "  gateway policy explain 01JDB3V1M4N8R2T6W0X5Y7Z9AB\n" +
			"  gateway policy explain 01JDB3V1M4N8R2T6W0X5Y7Z9AB --log decisions.jsonl --dir policies --full",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			entry, err := at.entry(c.Context(), args[0])
			if err != nil {
				return err
			}
			if dir != "" {
				candidate, err := s.load(c.Context(), dir)
				if err != nil {
					return err
				}
				if err := explainAgain(c.Context(), candidate, entry); err != nil {
					return err
				}
			}
			return out.Print(c.OutOrStdout(), entry, func() error { return tellEntry(c.OutOrStdout(), entry, full) })
		},
	}
	at.addFlags(c)
	s.addFlags(c.Flags(), time.Second)
	out.Flag(c)
	c.Flags().BoolVar(&full, "full", false, "print the trace of the evaluation too")
	c.Flags().StringVar(&dir, "dir", "", "decide again with the policies of this folder")
	return c
}

func tellEntry(w io.Writer, entry *logbook.Entry, full bool) error { //nolint:revive // flag-parameter: it is a flag of the command
	if err := logbook.Tell(w, entry); err != nil || !full {
		return err
	}
	if len(entry.Explanation) == 0 {
		return errors.New("there is no trace: --dir names the policies to decide again with")
	}
	for i := range entry.Explanation {
		if _, err := fmt.Fprintf(w, "\n%s\n", strings.Join(entry.Explanation[i].Trace, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// entry finds one decision. Who is no administrator gets its own entries, as
// they are.
func (o *gatewayOptions) entry(ctx context.Context, id string) (*logbook.Entry, error) {
	if o.log != "" {
		entries, done, err := o.entries(ctx)
		if err != nil {
			return nil, err
		}
		defer done()
		for e, err := range entries {
			if err != nil || e.ID == id {
				return e, err
			}
		}
		return nil, fmt.Errorf("%s holds no decision %s", o.log, id)
	}
	gateway, err := o.client()
	if err != nil {
		return nil, err
	}
	text, err := gateway.ExplainedDecision(ctx, id)
	if errors.Is(err, client.ErrDenied) {
		text, err = gateway.Decision(ctx, id)
	}
	if err != nil {
		return nil, err
	}
	e := &logbook.Entry{}
	return e, json.Unmarshal(text, e)
}

// explainAgain puts into an entry how a candidate decides it.
func explainAgain(ctx context.Context, candidate *policy.Candidate, e *logbook.Entry) error {
	e.Explanation = nil
	for _, input := range e.Inputs {
		x, err := candidate.Explain(ctx, input)
		if err != nil {
			return err
		}
		e.Explanation = append(e.Explanation, *x)
	}
	return nil
}

func newPolicyReplay() *cobra.Command {
	var (
		s     policySettings
		at    gatewayOptions
		out   output.Format
		since string
		dir   string
	)
	c := &cobra.Command{
		Use: "replay --candidate DIR", Short: "Tell which past decisions other policies would have made otherwise",
		Long: "Reads the decision log of a gateway, or of a file, and decides everything again with the\n" +
			"candidate: first what it would let in, then what it would keep out, then moved priorities.\n" +
			"Changes are a result: exit code 0.",
		Example: "  gateway policy replay --since 7d --candidate policies\n" +
			"  gateway policy replay --log decisions.jsonl.gz --candidate policies --enforcement night=deny",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			after, err := ago(since, time.Now())
			if err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			candidate, err := s.load(c.Context(), dir)
			if err != nil {
				return err
			}
			entries, done, err := at.entries(c.Context())
			if err != nil {
				return err
			}
			defer done()
			report, err := replay.Run(c.Context(), entries, after, candidate)
			if err != nil {
				return err
			}
			return out.Print(c.OutOrStdout(), report, func() error { return tellReport(c.OutOrStdout(), report) })
		},
	}
	at.addFlags(c)
	s.addFlags(c.Flags(), time.Second)
	out.Flag(c)
	c.Flags().StringVar(&since, "since", "", "how far back, such as 12h or 7d (default everything)")
	c.Flags().StringVar(&dir, "candidate", "", "folder with the other policies")
	mustHave(c, "candidate")
	return c
}

// ago answers the time that lies a duration back; "" is the beginning.
func ago(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 {
			return time.Time{}, fmt.Errorf("%q is no number of days", text)
		}
		return now.AddDate(0, 0, -n), nil
	}
	d, err := time.ParseDuration(text)
	return now.Add(-d), err
}

func tellReport(w io.Writer, r *replay.Report) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i := range r.Changes {
		ch := &r.Changes[i]
		columns := []string{string(ch.Kind), ch.Time.UTC().Format(time.DateTime), ch.ID, ch.By, ch.Action, ch.Resource, why(ch)}
		if _, err := io.WriteString(t, strings.Join(columns, "\t")+"\n"); err != nil {
			return err
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d decisions: %d the same, %d now allowed, %d now denied, %d without a decision, %d with another priority\n",
		r.Decisions, r.Same, r.Count(replay.Allows), r.Count(replay.Denies), r.Count(replay.Fails), r.Count(replay.Moves))
	if err == nil && r.DryRuns+r.Masked > 0 {
		_, err = fmt.Fprintf(w, "passed over: %d dry runs, %d that masking hides from the candidate\n", r.DryRuns, r.Masked)
	}
	return err
}

func why(c *replay.Change) string {
	switch c.Kind {
	case replay.Moves:
		return fmt.Sprintf("%d to %d", c.From, c.To)
	case replay.Fails:
		return c.Error
	case replay.Allows:
		return "was " + c.Was
	case replay.Denies:
	}
	if len(c.Reasons) == 0 {
		return "nobody grants it"
	}
	return c.Reasons[0].Policy + ": " + c.Reasons[0].Msg
}
