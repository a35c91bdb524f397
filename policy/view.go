package policy

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// view is one resource of a question as policies see it. What has to be worked
// out is worked out when a field first asks for it.
type view struct {
	q     *lock.Question
	res   lock.Resource
	facts lock.Facts
	known *facts // of the generation

	contexts *memo[attached] // nil: decode each

	resolved   bool
	at         place
	attached   *attached
	nothing    attached // what a question without context attached
	opened     bool
	all        map[string]any // the context as it stands
	contextErr error          // the context has a member of the wrong kind
	active     []*window
}

// attached is what the caller attached to its request as context.
type attached struct {
	pull     pull
	given    bool // there is a pull request
	command  string
	destroys int64
	reason   string
	incident string
}

// pull is a pull request as callers describe it in context.pull.
type pull struct {
	Num       int64    `json:"num"`
	URL       string   `json:"url"`
	Author    string   `json:"author"`
	Draft     bool     `json:"draft"`
	Fork      bool     `json:"fork"`
	Labels    []string `json:"labels"`
	Head      string   `json:"head_branch"`
	Base      string   `json:"base_branch"`
	Approvers []string `json:"approvers"`
}

// command is context.command: a name, or an object.
type command struct {
	Name     string `json:"name"`
	Destroys int64  `json:"destroys"`
}

func (c *command) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &c.Name)
	}
	type object command
	return json.Unmarshal(text, (*object)(c))
}

func (v *view) actor() *lock.Actor {
	return &v.q.Caller.Actor
}

func (v *view) holder() *lock.Lock {
	if v.facts.Holder == nil {
		return &lock.Lock{}
	}
	return v.facts.Holder
}

func (v *view) place() *place {
	if !v.resolved {
		v.at = v.known.resolve(v.q.Namespace, v.res.Key)
		v.resolved = true
	}
	return &v.at
}

func (v *view) activeWindows() []*window {
	v.active = v.known.calendar.active(v.active[:0], v.place(), v.q.Time)
	return v.active
}

func (v *view) localTime() time.Time {
	return v.q.Time.In(v.known.calendar.zone(v.place().environment))
}

func (v *view) reason() string {
	if v.q.Want.Reason != "" {
		return v.q.Want.Reason
	}
	return v.context().reason
}

func (v *view) incident() string {
	if v.q.Want.Incident != "" {
		return v.q.Want.Incident
	}
	return v.context().incident
}

// context decodes what the caller attached. A member of the wrong kind is kept
// as contextErr: no decision is made on a guess.
func (v *view) context() *attached {
	if v.attached != nil {
		return v.attached
	}
	if len(v.q.Context) == 0 {
		v.attached = &v.nothing
		return v.attached
	}
	if v.contexts != nil {
		if known := v.contexts.get(v.q.Context); known != nil {
			v.attached = known
			return known
		}
	}
	v.attached = &attached{}
	err := v.attached.decode(v.q.Context)
	switch {
	case err != nil:
		v.fail(err)
	case v.contexts != nil:
		v.contexts.put(v.q.Context, v.attached)
	}
	return v.attached
}

// document is the context as it stands.
func (v *view) document() map[string]any {
	if v.opened {
		return v.all
	}
	v.opened = true
	v.all = map[string]any{}
	if len(v.q.Context) > 0 {
		d := json.NewDecoder(bytes.NewReader(v.q.Context))
		d.UseNumber() // a float64 loses the end of large integers
		if err := d.Decode(&v.all); err != nil {
			v.fail(lock.Invalid("/context", "is no JSON object: "+err.Error()))
		}
	}
	return v.all
}

// fail keeps the first error.
func (v *view) fail(err error) {
	if v.contextErr == nil {
		v.contextErr = err
	}
}

func (a *attached) decode(text json.RawMessage) error {
	var known struct {
		Pull     *pull   `json:"pull"`
		Command  command `json:"command"`
		Reason   string  `json:"reason"`
		Incident string  `json:"incident"`
	}
	if err := json.Unmarshal(text, &known); err != nil {
		return lock.Invalid("/context", "cannot be read by policies: "+err.Error())
	}
	if known.Pull != nil {
		a.pull, a.given = *known.Pull, true
	}
	a.command, a.destroys = commandName(known.Command.Name), known.Command.Destroys
	a.reason, a.incident = known.Reason, known.Incident
	return nil
}

// pullSource says who stands behind the description of a pull request: the
// Atlantis door writes its own, at every other door it is the caller's word.
func (v *view) pullSource() string {
	switch {
	case !v.context().given:
		return ""
	case v.q.Caller.Source == lock.FromAtlantis:
		return "atlantis"
	}
	return "caller"
}

func commandName(name string) string {
	if slices.Contains(commandNames(), name) {
		return name
	}
	return "other"
}

// pullOf is the number of the pull request in an owner such as
// atlantis:acme/infra#42, or 0.
func pullOf(o lock.Owner) int64 {
	_, num, found := strings.Cut(string(o), "#")
	if !found {
		return 0
	}
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// reset points the view at one resource of a question.
func (v *view) reset(q *lock.Question, i int, known *facts) {
	active := v.active[:0]
	*v = view{q: q, known: known, active: active}
	if i < len(q.Resources) {
		v.res = q.Resources[i]
	}
	if i < len(q.Facts) {
		v.facts = q.Facts[i]
	}
}

// next moves the view to another resource of the same question and keeps what
// the question attached.
func (v *view) next(i int) {
	kept := *v
	v.reset(v.q, i, v.known)
	v.contexts, v.attached, v.contextErr = kept.contexts, kept.attached, kept.contextErr
	v.opened, v.all = kept.opened, kept.all
}

// release lets go of the question, so that a pooled view keeps nothing alive.
func (v *view) release() {
	active := v.active[:0]
	clear(active[:cap(active)])
	*v = view{active: active}
}
