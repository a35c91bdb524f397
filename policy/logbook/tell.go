package logbook

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/policy"
)

// Tell writes a decision for people: what was asked, what each policy said to
// it, and what is missing where the entry comes with an explanation.
func Tell(w io.Writer, e *Entry) error {
	t := &teller{}
	t.line("decision %s of %s", e.ID, e.Time.UTC().Format(time.RFC3339))
	if e.Stage != "" {
		t.pair("stage", e.Stage)
	}
	for i, input := range e.Inputs {
		t.line("")
		if i >= len(e.Results) {
			t.line("%s: no decision", subjectMatter(input))
			continue
		}
		t.result(input, &e.Results[i])
	}
	if e.Error != "" {
		t.pair("error", e.Error)
	}
	if len(e.Rules) > 0 {
		t.pair("rules", strings.Join(e.Rules, ", "))
	}
	if len(e.Masked) > 0 {
		t.pair("masked", strings.Join(e.Masked, ", "))
	}
	for i := range e.Explanation {
		t.missing(&e.Explanation[i])
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// TellResult writes what policies said to one input.
func TellResult(w io.Writer, input json.RawMessage, r *Result, rules []string) error {
	t := &teller{}
	t.result(input, r)
	if len(rules) > 0 {
		t.pair("rules", strings.Join(rules, ", "))
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// TellMissing writes what would let a caller in.
func TellMissing(w io.Writer, x *policy.Explanation) error {
	t := &teller{}
	t.missing(x)
	_, err := io.WriteString(w, t.String())
	return err
}

// teller writes lines.
type teller struct{ strings.Builder }

func (t *teller) line(format string, args ...any) { fmt.Fprintf(&t.Builder, format+"\n", args...) }

func (t *teller) pair(name, text string) { t.line("  %-9s %s", name, text) }

func (t *teller) result(input json.RawMessage, r *Result) {
	answer := "denied"
	if r.Allow {
		answer = "allowed"
	}
	t.line("%s: %s", subjectMatter(input), answer)
	t.reasons("denial", r.Deny)
	for _, g := range r.Grants {
		t.pair("grant", g.Policy+": "+g.Why)
	}
	if len(r.Grants) == 0 {
		t.pair("grant", "none: nothing said means refused")
	}
	t.reasons("warning", r.Warn)
	t.reasons("shadow", r.Shadow)
	t.pair("priority", priority(r))
	if text := limits(r); text != "" {
		t.pair("limits", text)
	}
	if r.Preempt.Allowed {
		t.pair("preempt", fmt.Sprintf("locks with a priority below %d", r.Preempt.Below))
	}
	if r.DeadlockAction == "revoke" {
		t.pair("deadlock", "the lock may be revoked")
	}
	for _, o := range r.Obligations {
		t.pair("duty", string(o))
	}
}

func (t *teller) reasons(name string, list []lock.Reason) {
	for _, r := range list {
		t.pair(name, fmt.Sprintf("%s %s: %s", r.Policy, r.Code, r.Msg))
	}
}

func priority(r *Result) string {
	base := r.Priority.Value
	var parts []string
	for _, p := range r.Priority.Points {
		base -= p.Points
		parts = append(parts, fmt.Sprintf("%+d %s: %s", p.Points, p.Policy, p.Why))
	}
	text := fmt.Sprintf("%s, %d", r.Priority.Level, r.Priority.Value)
	if len(parts) > 0 {
		text += fmt.Sprintf(" (%d, %s)", base, strings.Join(parts, ", "))
	}
	return text
}

func limits(r *Result) string {
	var parts []string
	if n := r.Limits.TTL; n != nil {
		parts = append(parts, "lease "+seconds(*n))
	}
	if n := r.Limits.Wait; n != nil {
		parts = append(parts, "wait "+seconds(*n))
	}
	if n := r.Limits.Queue; n != nil {
		parts = append(parts, fmt.Sprintf("queue %d", *n))
	}
	return strings.Join(parts, ", ")
}

// seconds writes 24h for 24h0m0s.
func seconds(n int) string {
	text := (time.Duration(n) * time.Second).String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}

// missing tells what would let the caller in.
func (t *teller) missing(x *policy.Explanation) {
	if x.Allow {
		return
	}
	t.line("\n%s", strings.TrimSpace("to be let in "+x.Resource))
	for _, d := range x.Denials {
		t.line("  %s must no longer deny: %s", d.Policy, d.Msg)
	}
	grant := ""
	for _, m := range x.Missing {
		if m.Grant != grant {
			grant = m.Grant
			t.line("  %s needs", grant)
		}
		t.line("    %s:%d: %s", m.File, m.Row, m.Line)
	}
}

// subjectMatter is what an input asks for: ann, acquire acme/infra/vpc/default/.
func subjectMatter(input json.RawMessage) string {
	var in struct {
		Action   string
		Actor    struct{ ID string }
		Resource struct{ Key string }
		Command  struct{ Name string }
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return "an input that cannot be read"
	}
	text := in.Actor.ID
	if text == "" {
		text = "nobody"
	}
	text += ", " + in.Action
	if in.Resource.Key != "" {
		text += " " + in.Resource.Key
	}
	if in.Command.Name != "" {
		text += " for " + in.Command.Name
	}
	return text
}
