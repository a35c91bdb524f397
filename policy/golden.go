package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/lockgate/lockgate/core/lock"
)

const (
	goldenInputs   = 96          // of one part
	goldenForOrgs  = 4096        // of all organisations together
	goldenAtLeast  = 4           // of one organisation
	goldenPlaces   = 8           // projects of the registry that golden inputs name
	goldenPatience = time.Second // a busy machine refuses no policy
)

// golden asks every fresh part about typical requests, with rule indexing and
// without: OPA's index has given silent wrong answers. A policy that cannot
// answer one of them is refused now, and not when somebody needs a lock.
func (c *candidate) golden(ctx context.Context, fresh map[string]bool) error {
	orgs := max(1, len(fresh))
	n := min(goldenInputs, max(goldenAtLeast, goldenForOrgs/orgs))
	var faults []error
	keys := goldenKeys(c.facts)
	for _, owner := range sortedKeys(fresh) {
		p, org, count := c.platform.plans[0], "acme", goldenInputs
		if owner != thePlatform {
			w := c.orgs[owner]
			if w == nil {
				continue // only tests
			}
			p, org, count = w.plans[1], owner, n
		}
		if err := c.goldenPart(ctx, p, goldenQuestions(append(keys[owner], lock.Key(org+"/infra/unheard/of/default/")), goldenTimes(c.facts), count)); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// goldenPart stops at the first fault of a part.
func (c *candidate) goldenPart(ctx context.Context, p *plan, questions []*lock.Question) error {
	if len(p.voices) == 0 {
		return nil
	}
	v := &view{}
	for _, q := range questions {
		v.reset(q, 0, c.facts)
		input, err := c.inputs.build(v)
		if err != nil {
			return fmt.Errorf("golden input: %w", err)
		}
		if err := c.goldenInput(ctx, p, asked{question: q, input: input.Value}); err != nil {
			return err
		}
	}
	return nil
}

// asked is one golden input, as question and as policies see it.
type asked struct {
	question *lock.Question
	input    ast.Value
}

func (c *candidate) goldenInput(ctx context.Context, p *plan, a asked) error {
	bounded, cancel := context.WithTimeout(ctx, goldenPatience)
	defer cancel()
	said, err := p.eval(bounded, a.input)
	if err != nil {
		return c.goldenFault(ctx, p, a, err)
	}
	if weigh(said, maxResultBytes) < 0 {
		return c.placed(longest(p, said), "golden_input", fmt.Sprintf("says more than %d bytes%s", maxResultBytes, a.where()))
	}
	b := newBallot(a.question.Want.Priority)
	for i := range p.voices {
		if err := b.count(&p.voices[i], said.Elem(i).Value, c.modes(p.voices[i].scope.label())); err != nil {
			return c.placed(&p.voices[i], "golden_input", err.Error()+a.where())
		}
	}
	unindexed, err := p.eval(bounded, a.input, rego.EvalRuleIndexing(false))
	if err != nil {
		return c.goldenFault(ctx, p, a, err)
	}
	if i := difference(said, unindexed); i >= 0 {
		return c.placed(&p.voices[i], "rule_index", fmt.Sprintf(
			"%s answers otherwise without OPA's rule index%s: write the rule another way and report this", p.voices[i].rule, a.where()))
	}
	return nil
}

// difference answers the first place where two answers differ, or -1.
func difference(a, b *ast.Array) int {
	for i := range a.Len() {
		if a.Elem(i).Value.Compare(b.Elem(i).Value) != 0 {
			return i
		}
	}
	return -1
}

// goldenFault says where an evaluation failed.
func (c *candidate) goldenFault(ctx context.Context, p *plan, a asked, err error) error {
	where := a.where()
	failed, ok := errors.AsType[*topdown.Error](err)
	switch {
	case ok && failed.Code == topdown.CancelErr, errors.Is(err, context.DeadlineExceeded):
		return c.placed(c.unending(ctx, p, a.input), "golden_input", "does not come to an end"+where)
	case ok && failed.Location != nil && failed.Location.File != "":
		return &faultError{faultAt(failed.Location, "golden_input", strings.Join(strings.Fields(failed.Message), " ")+where)}
	}
	return c.placed(&p.voices[0], "golden_input", err.Error()+where)
}

// placed is a fault in the first file of a voice's package.
func (c *candidate) placed(v *voice, code, msg string) error {
	for _, m := range c.modules {
		if m.scope != v.scope {
			continue
		}
		for _, r := range m.parsed.Rules {
			if ruleName(r) == v.rule {
				return &faultError{faultAt(r.Location, code, msg)}
			}
		}
	}
	return fault("", 0, 0, code, msg)
}

func (a asked) where() string {
	q := a.question
	return fmt.Sprintf(", when asked about %s of %s by %s", q.Action, q.Resources[0].Key, q.Caller.Subject.ID)
}

// unending finds the voice that does not come to an end, by asking each alone.
func (c *candidate) unending(ctx context.Context, p *plan, input ast.Value) *voice {
	for i := range p.voices {
		alone, err := c.plan(ctx, p.voices[i:i+1])
		if err != nil {
			break
		}
		bounded, cancel := context.WithTimeout(ctx, goldenPatience/2)
		_, err = alone.eval(bounded, input)
		cancel()
		if err != nil {
			return &p.voices[i]
		}
	}
	return &p.voices[0]
}

// longest answers the voice that says most.
func longest(p *plan, said *ast.Array) *voice {
	most, at := math.MaxInt, 0
	for i := range p.voices {
		if left := weigh(said.Elem(i).Value, maxResultBytes); left < most {
			most, at = left, i
		}
	}
	return &p.voices[at]
}

// goldenQuestions are n requests as they come: every action, level, door and
// command, about projects of the registry and one that is not in it. The same
// facts give the same questions.
func goldenQuestions(places []lock.Key, moments []time.Time, n int) []*lock.Question {
	list := make([]*lock.Question, n)
	for i := range list {
		subject := goldenSubject(i)
		caller := lock.Caller{
			Subject: subject, Actor: lock.Actor{ID: subject.ID, Teams: subject.Teams},
			Source: lock.Source(i % 5), IP: "192.0.2." + strconv.Itoa(1+i%200),
		}
		key := places[i%len(places)]
		list[i] = &lock.Question{
			Action: lock.ActAcquire + lock.Action(i)%lock.ActAdmin, Stage: lock.Stage(i / 2 % 2),
			RequestID: "01JDA0000000000000000000AA", Time: moments[i/3%len(moments)], Caller: caller,
			Namespace: namespaceOf(key), Resources: []lock.Resource{{Key: key, Mode: goldenMode(i)}},
			Owner:  lock.Owner("atlantis:" + string(namespaceOf(key)) + "#" + strconv.Itoa(i)),
			Want:   lock.Want{Priority: lock.Priorities()[i/5%4], TTL: time.Duration(i) * time.Minute, Wait: time.Duration(i%7) * time.Minute, Reason: goldenReason(i)},
			Labels: map[string]string{"ticket": "OPS-" + strconv.Itoa(i)}, Context: goldenContext(i),
			Facts: []lock.Facts{goldenFacts(i)},
		}
	}
	return list
}

func goldenMode(i int) lock.Mode {
	if i%6 == 5 {
		return lock.Shared
	}
	return lock.Exclusive
}

func goldenReason(i int) string {
	if i%4 == 0 {
		return ""
	}
	return "roll back the release"
}

// goldenKeys names a few projects of the registry by organisation, one of each
// environment first, and under the platform's name a few of all.
func goldenKeys(f *facts) map[string][]lock.Key {
	keys := map[string][]lock.Key{}
	seen := map[string]bool{}
	for _, pass := range []string{"an environment's first", "any"} {
		for _, name := range sortedKeys(f.projects) {
			org := spelled("", name).org
			for _, owner := range []string{org, thePlatform} {
				first := !seen[owner+" "+f.projects[name].Environment]
				if (first || pass == "any") && len(keys[owner]) < goldenPlaces && !slices.Contains(keys[owner], lock.Key(name)) {
					keys[owner] = append(keys[owner], lock.Key(name))
				}
				seen[owner+" "+f.projects[name].Environment] = true
			}
		}
	}
	return keys
}

// namespaceOf is the repository that a key begins with.
func namespaceOf(key lock.Key) lock.Namespace {
	return lock.Namespace(spelled("", string(key)).repo)
}

// goldenTimes are a working day, a night of a weekend and the beginning of
// every freeze.
func goldenTimes(f *facts) []time.Time {
	list := []time.Time{time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC), time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}
	for _, environment := range sortedKeys(f.calendar.windows) {
		for _, w := range f.calendar.windows[environment] {
			if begin := time.Unix(0, w.from).UTC(); len(list) < goldenPlaces && !slices.Contains(list, begin) {
				list = append(list, begin)
			}
		}
	}
	return list
}

func goldenSubject(i int) lock.Subject {
	switch i % 4 {
	case 0:
		return lock.Subject{ID: "ann", Kind: lock.StaticToken, Teams: []string{"net"}}
	case 1:
		return lock.Subject{ID: "bob", Kind: lock.JWT, Name: "Bob", Teams: []string{"app", "oncall"}, Claims: map[string]any{"email": "bob@example.org", "level": "3"}}
	case 2:
		return lock.Subject{ID: "root", Kind: lock.StaticToken, Roles: []string{"admin"}}
	}
	return lock.Subject{ID: "anonymous", Kind: lock.Anonymous}
}

func goldenContext(i int) json.RawMessage {
	if i%3 == 2 {
		return nil
	}
	names := commandNames()
	text, err := json.Marshal(map[string]any{
		"command": map[string]any{"name": names[i%len(names)], "destroys": i % 5},
		"pull": map[string]any{
			"num": i, "author": "ann", "draft": i%5 == 1, "fork": i%7 == 1, "labels": []string{"hotfix"},
			"head_branch": "fix", "base_branch": "main", "approvers": []string{"bob"},
		},
	})
	if err != nil {
		return nil
	}
	return text
}

func goldenFacts(i int) lock.Facts {
	if i%3 == 0 {
		return lock.Facts{}
	}
	return lock.Facts{
		Holder:      &lock.Lock{Owner: "atlantis:acme/infra#7", Subject: "bob", Priority: lock.Normal, Value: lock.Normal.Base()},
		QueueLength: i, Mine: i % 2, HeldBySubject: i % 4, HeldByOwner: i % 3, Waited: time.Duration(i) * time.Second,
	}
}
