package redis

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// body is what of a request only gateways read.
type body struct {
	Actor       string            `json:"actor,omitempty"`
	Preemptible bool              `json:"preemptible,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Context     json.RawMessage   `json:"context,omitempty"`
	Trace       lock.Trace        `json:"trace,omitzero"`
}

// encodeBody answers "" for a request that has none of it.
func encodeBody(l *lock.Lock) (string, error) {
	b := body{Actor: l.Actor, Preemptible: l.Preemptible, Labels: l.Labels, Context: l.Context, Trace: l.Trace}
	text, err := json.Marshal(&b)
	if err != nil {
		return "", fmt.Errorf("request %s: %w", l.ID, err)
	}
	if string(text) == "{}" {
		return "", nil
	}
	return string(text), nil
}

func encodeDecision(s *lock.Summary) (string, error) {
	if s.ID == "" && s.Revision == "" && len(s.Reasons) == 0 && len(s.Warnings) == 0 {
		return "", nil
	}
	text, err := json.Marshal(s)
	return string(text), err
}

// encodeMatch is field m: what scripts look at. Keys and owners have no control
// characters; a subject might.
func encodeMatch(l *lock.Lock) string {
	var b strings.Builder
	b.WriteString(string(l.Owner))
	b.WriteByte('\n')
	b.WriteString(encodeSubject(l.Subject))
	b.WriteByte('\n')
	for _, r := range l.Resources {
		if r.Mode == lock.Shared {
			b.WriteByte('s')
		} else {
			b.WriteByte('x')
		}
		b.WriteString(string(r.Key))
		b.WriteByte('\n')
	}
	return b.String()
}

// encodeSubject makes one line of it.
func encodeSubject(subject string) string {
	return strings.NewReplacer("%", "%25", "\n", "%0A").Replace(subject)
}

func decodeMatch(m string, l *lock.Lock) error {
	owner, rest, ok := strings.Cut(m, "\n")
	subject, rest, more := strings.Cut(rest, "\n")
	if !ok || !more {
		return errors.New("field m has no two lines")
	}
	l.Owner, l.Subject = lock.Owner(owner), subject
	if strings.Contains(subject, "%") {
		plain, err := url.PathUnescape(subject)
		if err != nil {
			return fmt.Errorf("field m: %w", err)
		}
		l.Subject = plain
	}
	for line := range strings.Lines(rest) {
		mode := lock.Exclusive
		if line[0] == 's' {
			mode = lock.Shared
		}
		l.Resources = append(l.Resources, lock.Resource{Key: lock.Key(strings.TrimSuffix(line[1:], "\n")), Mode: mode})
	}
	return nil
}

// stateFields is how many numbers field s has.
const stateFields = 17

// decodeState reads field s: the format is in prelude.lua.
func decodeState(s string, l *lock.Lock) error {
	var n [stateFields]int64
	words := strings.Fields(s)
	if len(words) != stateFields {
		return fmt.Errorf("field s has %d numbers, not %d", len(words), stateFields)
	}
	for i, w := range words {
		v, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return fmt.Errorf("field s: %w", err)
		}
		n[i] = v
	}
	l.State, l.Token = lock.State(n[0]), lock.Token(n[1]) //nolint:gosec // scripts write 0 to 10
	l.TTL, l.MaxTTL, l.Wait = length(n[2]), length(n[3]), length(n[4])
	l.RequestedAt, l.WaitUntil, l.OfferUntil = moment(n[5]), moment(n[6]), moment(n[7])
	l.AcquiredAt, l.ExpiresAt, l.EndedAt = moment(n[8]), moment(n[9]), moment(n[10])
	l.Attended, l.AliveUntil = n[11] == 1, moment(n[12])
	l.Lapses, l.Priority, l.Value = int(n[13]), lock.Priority(n[14]), int(n[15]) //nolint:gosec // 1 to 4
	return nil
}

func length(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// decodeBody reads fields b and d.
func decodeBody(b, d string, l *lock.Lock) error {
	if b != "" {
		var v body
		if err := json.Unmarshal([]byte(b), &v); err != nil {
			return fmt.Errorf("field b: %w", err)
		}
		l.Actor, l.Preemptible, l.Labels, l.Context, l.Trace = v.Actor, v.Preemptible, v.Labels, v.Context, v.Trace
	}
	if d != "" {
		if err := json.Unmarshal([]byte(d), &l.Decision); err != nil {
			return fmt.Errorf("field d: %w", err)
		}
	}
	return nil
}

// fields are the stored parts of one request.
type fields struct {
	id, s, m, b, d, y string
}

func (f *fields) decode(ns lock.Namespace) (lock.Lock, error) {
	l := lock.Lock{ID: lock.ID(f.id), Namespace: ns, Reason: f.y}
	if err := errors.Join(decodeState(f.s, &l), decodeMatch(f.m, &l), decodeBody(f.b, f.d, &l)); err != nil {
		return lock.Lock{}, fmt.Errorf("request %s of namespace %q in Redis: %w", f.id, ns, err)
	}
	return l, nil
}

// reply is an array that a script answered, read from the front. The first thing
// that is not as the script promises is kept as its fault.
type reply struct {
	items []any
	fault error
}

func replyOf(v any) *reply {
	items, ok := v.([]any)
	if !ok {
		return &reply{fault: fmt.Errorf("a script answered %T instead of an array", v)}
	}
	return &reply{items: items}
}

func (r *reply) more() bool { return r.fault == nil && len(r.items) > 0 }

func (r *reply) next() any {
	if len(r.items) == 0 {
		if r.fault == nil {
			r.fault = errors.New("a script answered too little")
		}
		return nil
	}
	v := r.items[0]
	r.items = r.items[1:]
	return v
}

func (r *reply) text() string {
	v := r.next()
	s, ok := v.(string)
	if !ok && r.fault == nil {
		r.fault = fmt.Errorf("a script answered %T instead of text", v)
	}
	return s
}

func (r *reply) number() int64 {
	v := r.next()
	n, ok := v.(int64)
	if !ok && r.fault == nil {
		r.fault = fmt.Errorf("a script answered %T instead of a number", v)
	}
	return n
}

func (r *reply) array() *reply {
	v := r.next()
	if r.fault != nil {
		return &reply{fault: r.fault}
	}
	inner := replyOf(v)
	r.fault = inner.fault
	return inner
}

// keep makes the fault of an inner array the outer one's.
func (r *reply) keep(err error) {
	if r.fault == nil {
		r.fault = err
	}
}

// view reads what the prelude's view answers.
func (r *reply) view(ns lock.Namespace) lock.Lock {
	return r.viewOf(r.array(), ns)
}

func (r *reply) viewOf(v *reply, ns lock.Namespace) lock.Lock {
	f := fields{id: v.text(), s: v.text(), m: v.text(), b: v.text(), d: v.text(), y: v.text()}
	if v.fault != nil {
		r.keep(v.fault)
		return lock.Lock{}
	}
	l, err := f.decode(ns)
	r.keep(err)
	return l
}

// standing reads what standing.lua answers.
func (r *reply) standing(ns lock.Namespace) lock.Lock {
	v := r.array()
	l := r.viewOf(v, ns)
	l.Position = int(v.number())
	v.blockers(&l)
	r.keep(v.fault)
	return l
}

// blockers reads whom a request waits for.
func (r *reply) blockers(l *lock.Lock) {
	list := r.array()
	l.BlockedByTotal = int(list.number())
	for list.more() {
		one := list.array()
		b := lock.Blocker{ID: lock.ID(one.text()), Resource: lock.Key(one.text()), Owner: lock.Owner(one.text())}
		var other lock.Lock
		if err := decodeState(one.text(), &other); err != nil {
			list.keep(err)
		}
		list.keep(one.fault)
		b.State, b.Priority, b.Since = other.State, other.Priority, other.RequestedAt
		if b.State == lock.Held {
			b.Since = other.AcquiredAt
		}
		l.BlockedBy = append(l.BlockedBy, b)
	}
	r.keep(list.fault)
}
