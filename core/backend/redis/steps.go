package redis

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// task is one step of a batch: the calls it needs and what they come to. A step
// that names a request by its id goes to every namespace that the id can belong
// to; all but one answer that they do not know it.
type task struct {
	step  lock.Step
	calls []*call
	err   error // the step is refused before it is sent
}

func (s *Store) call(sc *script, ns lock.Namespace, args ...any) *call {
	return &call{script: sc, ns: ns, args: args}
}

// idsOf lists the requests that a step names.
func idsOf(step lock.Step) []lock.ID {
	switch st := step.(type) {
	case *lock.Confirm:
		return []lock.ID{st.ID}
	case *lock.Refuse:
		return []lock.ID{st.ID}
	case *lock.Renew:
		return []lock.ID{st.ID}
	case *lock.Verify:
		return []lock.ID{st.ID}
	case *lock.Release:
		return []lock.ID{st.ID}
	case *lock.Revoke:
		return []lock.ID{st.ID}
	case *lock.Reprioritize:
		return []lock.ID{st.ID}
	case *lock.Attend:
		return st.IDs
	}
	return nil
}

func (s *Store) taskOf(step lock.Step) *task {
	t := &task{step: step}
	one := func(id lock.ID, sc *script, args ...any) {
		for _, ns := range s.directory.of(id) {
			t.calls = append(t.calls, s.call(sc, ns, append([]any{string(id)}, args...)...))
		}
	}
	switch st := step.(type) {
	case *lock.Acquire:
		s.planAcquire(t, st)
	case *lock.Deny:
		s.planDeny(t, st)
	case *lock.Confirm:
		d, err := encodeDecision(&st.Decision)
		t.err = err
		one(st.ID, s.scripts[confirmLua], milliseconds(st.TTL), milliseconds(st.MaxTTL), d)
	case *lock.Refuse:
		d, err := encodeDecision(&st.Decision)
		t.err = err
		one(st.ID, s.scripts[refuseLua], d)
	case *lock.Renew:
		one(st.ID, s.scripts[renewLua], int64(st.Token), renewal(st.TTL))
	case *lock.Verify:
		one(st.ID, s.scripts[verifyLua], int64(st.Token))
	case *lock.Release:
		one(st.ID, s.scripts[releaseLua], int64(st.Token), encodeSubject(st.Subject), st.By)
	case *lock.Revoke:
		one(st.ID, s.scripts[revokeLua], st.By, st.Reason)
	case *lock.Reprioritize:
		d, err := encodeDecision(&st.Decision)
		t.err = err
		one(st.ID, s.scripts[reprioritizeLua], int(level(st.Priority)), clampValue(st.Value), d, st.By)
	case *lock.Announce:
		t.calls = []*call{s.call(s.scripts[noteLua], lock.SystemNamespace, st.Event, st.Reason)}
	case *lock.EndOwner:
		s.planEndOwner(t, st)
	case *lock.Attend:
		s.planAttend(t, st)
	default:
		t.err = fmt.Errorf("%s: %w", step.Name(), errUnsupported)
	}
	return t
}

// renewal is a lease in ms, -1 for the length that it has.
func renewal(ttl time.Duration) int64 {
	if ttl < 0 {
		return -1
	}
	return milliseconds(ttl)
}

func (s *Store) planAcquire(t *task, st *lock.Acquire) {
	if t.err = fault(&st.Lock, true); t.err != nil {
		return
	}
	if st.RetryOf != "" {
		t.err = lock.Invalid("/retry_of", "names no victim: the Redis store does not look for deadlocks")
		return
	}
	args, err := s.requestArgs(&st.Lock)
	t.err = err
	args = append(args, st.Idempotency.Key, st.Idempotency.Hash, st.MaxQueue, bit(st.Attend.Attended), milliseconds(max(st.Attend.Place, 0)))
	t.calls = []*call{s.call(s.scripts[acquireLua], st.Lock.Namespace, args...)}
}

func (s *Store) planDeny(t *task, st *lock.Deny) {
	if t.err = fault(&st.Lock, false); t.err != nil {
		return
	}
	args, err := s.requestArgs(&st.Lock)
	t.err = err
	t.calls = []*call{s.call(s.scripts[denyLua], st.Lock.Namespace, append(args, st.Lock.Reason, st.Action.String(), st.By)...)}
}

// requestArgs are the first nine ARGV of acquire.lua and deny.lua.
func (s *Store) requestArgs(l *lock.Lock) ([]any, error) {
	b, err := encodeBody(l)
	if err != nil {
		return nil, err
	}
	d, err := encodeDecision(&l.Decision)
	return []any{
		string(l.ID), encodeMatch(l), b, d, int(level(l.Priority)), clampValue(l.Value),
		milliseconds(max(l.TTL, 0)), milliseconds(max(l.MaxTTL, 0)), milliseconds(max(l.Wait, 0)),
	}, err
}

func (s *Store) planEndOwner(t *task, st *lock.EndOwner) {
	names := []lock.Namespace{st.Namespace}
	if st.Namespace == "" {
		names = s.directory.every()
		slices.Sort(names)
	}
	args := []any{string(st.Owner), st.By, bit(st.Only != nil)}
	for _, id := range st.Only {
		args = append(args, string(id))
	}
	for _, ns := range names {
		t.calls = append(t.calls, s.call(s.scripts[endOwnerLua], ns, args...))
	}
}

func (s *Store) planAttend(t *task, st *lock.Attend) {
	byNamespace := make(map[lock.Namespace]*call)
	for _, id := range st.IDs {
		for _, ns := range s.directory.of(id) {
			c := byNamespace[ns]
			if c == nil {
				c = s.call(s.scripts[attendLua], ns, bit(st.Attended), milliseconds(max(st.Place, 0)), bit(st.Beat))
				byNamespace[ns] = c
				t.calls = append(t.calls, c)
			}
			c.args = append(c.args, string(id))
		}
	}
}

func bit(b bool) int { //nolint:revive // flag: it is the conversion
	if b {
		return 1
	}
	return 0
}

// level folds a wish that was never stated, and whatever is no level, to normal.
func level(p lock.Priority) lock.Priority {
	if p < lock.Low || p > lock.Critical {
		return lock.Normal
	}
	return p
}

func clampValue(v int) int { return min(max(v, 0), lock.MaxValue) }

// fault refuses what a caller must not send: control characters would break the
// packed fields.
func fault(l *lock.Lock, live bool) error { //nolint:revive // flag: a denied request need not be whole
	var faults []lock.Fault
	add := func(pointer, detail string) {
		if detail != "" {
			faults = append(faults, lock.Fault{Pointer: pointer, Detail: detail})
		}
	}
	if live {
		add("/id", l.ID.Fault())
	}
	add("/namespace", l.Namespace.Fault())
	if live || l.Owner != "" {
		add("/owner", l.Owner.Fault())
	}
	if live && len(l.Resources) == 0 {
		add("/resources", "is empty")
	}
	for i, r := range l.Resources {
		add("/resources", r.Key.Fault())
		if i > 0 && r.Key <= l.Resources[i-1].Key {
			add("/resources", "is not in ascending order of keys")
		}
		if r.Mode > lock.Shared {
			add("/resources", "has an unknown mode")
		}
	}
	if l.Context != nil && !json.Valid(l.Context) {
		add("/context", "is no JSON")
	}
	if live && l.ID.Fault() == "" && l.ID.Tag() != l.Namespace.Tag() {
		add("/id", "was made for another namespace: make it with lock.NewID")
	}
	if faults == nil {
		return nil
	}
	return &lock.InvalidError{Faults: faults}
}
