package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// The codes that scripts answer.
const (
	codeOK           = "ok"
	codeHeld         = "held"
	codeQueued       = "queued"
	codeRepeat       = "repeat"
	codeMissing      = "missing"
	codeUnregistered = "unregistered"
	codeConflict     = "conflict"
	codeOther        = "other"
	codeLocked       = "locked"
	codeFull         = "full"
	codeStale        = "stale"
	codeNotYours     = "not_yours"
	codeNotOffered   = "not_offered"
	codeNotQueued    = "not_queued"
	codeEnded        = "ended"
	codeRetired      = "retired"
	codeMoving       = "moving"
)

// retryAfter is what callers are told when Redis did not answer.
const retryAfter = time.Second

func unavailable(err error) error { return &lock.UnavailableError{RetryAfter: retryAfter, Err: err} }

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

// Apply implements orchestrator.Table.
func (s *Store) Apply(ctx context.Context, batch []lock.Step) ([]lock.Outcome, error) {
	if s.ended.Load() {
		return nil, unavailable(errStopped)
	}
	tasks, err := s.plan(ctx, batch)
	if err != nil {
		return nil, unavailable(err)
	}
	s.dispatch(ctx, tasks)
	outcomes := make([]lock.Outcome, len(tasks))
	answered := false
	for i, t := range tasks {
		outcomes[i] = s.settle(ctx, t)
		_, lost := errors.AsType[*lock.UnavailableError](outcomes[i].Err)
		answered = answered || !lost || t.short()
	}
	if !answered && len(outcomes) > 0 {
		return nil, outcomes[0].Err
	}
	s.fillStanding(ctx, outcomes)
	return outcomes, nil
}

// plan turns steps into calls; namespaces that new requests go to are let in.
func (s *Store) plan(ctx context.Context, batch []lock.Step) ([]*task, error) {
	for _, step := range batch {
		if a, ok := step.(*lock.Acquire); ok && fault(&a.Lock, true) == nil {
			s.directory.meet(a.Lock.Namespace)
		}
	}
	if err := s.learn(ctx, batch); err != nil {
		return nil, err
	}
	tasks := make([]*task, len(batch))
	for i, step := range batch {
		tasks[i] = s.taskOf(step)
		for _, c := range tasks[i].calls {
			s.directory.touch(c.ns, time.Now())
		}
	}
	return tasks, nil
}

// learn reads the index when a step names an id of a namespace that this gateway
// has not met, or everything of an owner.
func (s *Store) learn(ctx context.Context, batch []lock.Step) error {
	unknown := false
	for _, step := range batch {
		for _, id := range idsOf(step) {
			unknown = unknown || len(s.directory.of(id)) == 0
		}
		if e, ok := step.(*lock.EndOwner); ok && e.Namespace == "" {
			unknown = true
		}
	}
	if !unknown {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	return s.refresh(ctx)
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
		one(st.ID, s.scripts.confirm, milliseconds(st.TTL), milliseconds(st.MaxTTL), d)
	case *lock.Refuse:
		d, err := encodeDecision(&st.Decision)
		t.err = err
		one(st.ID, s.scripts.refuse, d)
	case *lock.Renew:
		one(st.ID, s.scripts.renew, int64(st.Token), renewal(st.TTL))
	case *lock.Verify:
		one(st.ID, s.scripts.verify, int64(st.Token))
	case *lock.Release:
		one(st.ID, s.scripts.release, int64(st.Token), encodeSubject(st.Subject), st.By)
	case *lock.Revoke:
		one(st.ID, s.scripts.revoke, st.By, st.Reason)
	case *lock.Reprioritize:
		d, err := encodeDecision(&st.Decision)
		t.err = err
		one(st.ID, s.scripts.reprioritize, int(level(st.Priority)), clampValue(st.Value), d, st.By)
	case *lock.EndOwner:
		s.planEndOwner(t, st)
	case *lock.Attend:
		s.planAttend(t, st)
	default:
		t.err = fmt.Errorf("the store of Redis does not know step %s", step.Name())
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
	args, err := s.requestArgs(&st.Lock)
	t.err = err
	args = append(args, st.Idempotency.Key, st.Idempotency.Hash, st.MaxQueue, bit(st.Attend.Attended), milliseconds(max(st.Attend.Place, 0)))
	t.calls = []*call{s.call(s.scripts.acquire, st.Lock.Namespace, args...)}
}

func (s *Store) planDeny(t *task, st *lock.Deny) {
	if t.err = fault(&st.Lock, false); t.err != nil {
		return
	}
	args, err := s.requestArgs(&st.Lock)
	t.err = err
	t.calls = []*call{s.call(s.scripts.deny, st.Lock.Namespace, append(args, st.Lock.Reason)...)}
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
	for _, ns := range names {
		t.calls = append(t.calls, s.call(s.scripts.endOwner, ns, string(st.Owner), st.By))
	}
}

func (s *Store) planAttend(t *task, st *lock.Attend) {
	byNamespace := make(map[lock.Namespace]*call)
	for _, id := range st.IDs {
		for _, ns := range s.directory.of(id) {
			c := byNamespace[ns]
			if c == nil {
				c = s.call(s.scripts.attend, ns, bit(st.Attended), milliseconds(max(st.Place, 0)), bit(st.Beat))
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

// dispatch sends what tasks need. Namespaces that nobody has registered yet, or
// that were retired meanwhile, are registered and their calls sent again.
func (s *Store) dispatch(ctx context.Context, tasks []*task) {
	var calls []*call
	for _, t := range tasks {
		if t.err == nil {
			calls = append(calls, t.calls...)
		}
	}
	for range registerTries {
		s.letIn(ctx, calls)
		if calls = slices.DeleteFunc(calls, func(c *call) bool { return c.err != nil }); len(calls) == 0 {
			break
		}
		s.transact(ctx, calls)
		calls = slices.DeleteFunc(calls, func(c *call) bool { return c.code != codeUnregistered })
		if len(calls) == 0 {
			break
		}
		for _, c := range calls {
			s.directory.unregister(c.ns)
		}
	}
	for _, c := range calls {
		if c.code == codeUnregistered {
			c.err = fmt.Errorf("namespace %q is retired again and again", c.ns)
		}
	}
	for _, t := range tasks {
		if t.short() {
			s.takeBack(ctx, t)
		}
	}
}

// transact sends calls as the configured durability wants it.
func (s *Store) transact(ctx context.Context, calls []*call) {
	if s.cfg.Durability == Replicated {
		s.sendReplicated(ctx, calls)
		return
	}
	s.send(ctx, calls)
}

// letIn registers the namespaces of calls that may bring the first request.
func (s *Store) letIn(ctx context.Context, calls []*call) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	for _, c := range calls {
		if (c.script != s.scripts.acquire && c.script != s.scripts.deny) || s.directory.isRegistered(c.ns) {
			continue
		}
		c.err = s.register(ctx, c.ns)
	}
}

// short reports whether the step was done, but too few replicas have it. A
// verified token changes nothing and needs none.
func (t *task) short() bool {
	if _, read := t.step.(*lock.Verify); read {
		return false
	}
	return slices.ContainsFunc(t.calls, func(c *call) bool { return c.short && c.code != codeMissing })
}

// settle turns what the calls of a step answered into its outcome.
func (s *Store) settle(ctx context.Context, t *task) lock.Outcome {
	if t.err != nil {
		return lock.Outcome{Err: t.err}
	}
	for _, c := range t.calls {
		if c.err != nil {
			return lock.Outcome{Err: unavailable(fmt.Errorf("%s in Redis: %w", t.step.Name(), c.err))}
		}
	}
	if t.short() {
		return lock.Outcome{Err: unavailable(fmt.Errorf("%s in Redis: %w", t.step.Name(), errShort))}
	}
	out, err := s.outcome(t)
	if err != nil {
		s.logger.ErrorContext(ctx, "redis holds what this version cannot read", "step", t.step.Name(), "error", err)
		return lock.Outcome{Err: err}
	}
	return out
}

func (s *Store) outcome(t *task) (lock.Outcome, error) {
	switch st := t.step.(type) {
	case *lock.Acquire:
		return acquired(t.calls[0], &st.Lock, st.MaxQueue)
	case *lock.Deny:
		l := st.Lock
		err := decodeState(t.calls[0].reply.text(), &l)
		return lock.Outcome{Lock: l}, err
	case *lock.Attend:
		return lock.Outcome{}, nil
	case *lock.EndOwner:
		return endedAll(t.calls)
	}
	for _, c := range t.calls {
		if c.code != codeMissing {
			return stood(c)
		}
	}
	return lock.Outcome{Err: lock.ErrNotFound}, nil
}

// acquired reads what acquire.lua answered about a new request l.
func acquired(c *call, want *lock.Lock, limit int) (lock.Outcome, error) {
	l, r := *want, c.reply
	l.Position, l.BlockedBy, l.BlockedByTotal, l.Reason = 0, nil, 0, ""
	switch c.code {
	case codeHeld:
		err := decodeState(r.text(), &l)
		return lock.Outcome{Lock: l}, errors.Join(err, r.fault)
	case codeQueued:
		err := decodeState(r.text(), &l)
		l.Position = int(r.number())
		return lock.Outcome{Lock: l}, errors.Join(err, r.fault)
	case codeRepeat:
		known := r.standing(c.ns)
		return lock.Outcome{Lock: known, Repeat: true}, r.fault
	case codeConflict:
		return lock.Outcome{Err: lock.ErrIdempotencyConflict}, nil
	case codeOther:
		return lock.Outcome{Err: lock.Invalid("/id", "names another request")}, nil
	case codeLocked:
		err := decodeState(r.text(), &l)
		r.blockers(&l)
		return lock.Outcome{Err: &lock.ConflictError{Lock: l}}, errors.Join(err, r.fault)
	case codeFull:
		return lock.Outcome{Err: &lock.QueueFullError{Resource: lock.Key(r.text()), Limit: limit}}, r.fault
	}
	return lock.Outcome{}, fmt.Errorf("script acquire answered %q", c.code)
}

// stood reads what a script answered about a known request.
func stood(c *call) (lock.Outcome, error) {
	out := lock.Outcome{Lock: c.reply.standing(c.ns)}
	switch c.code {
	case codeOK:
	case codeRepeat:
		out.Repeat = true
	case codeStale:
		out.Err = lock.ErrStaleToken
	case codeNotYours:
		out.Err = lock.ErrNotYours
	case codeNotOffered:
		out.Err = lock.ErrNotOffered
	case codeNotQueued:
		out.Err = lock.ErrNotQueued
	case codeEnded:
		out.Err = &lock.EndedError{Lock: out.Lock}
	default:
		return out, fmt.Errorf("script %s answered %q", c.script.name, c.code)
	}
	return out, c.reply.fault
}

func endedAll(calls []*call) (lock.Outcome, error) {
	out := lock.Outcome{Locks: []lock.Lock{}}
	for _, c := range calls {
		views := c.reply.array()
		for views.more() {
			out.Locks = append(out.Locks, views.view(c.ns))
		}
		if views.fault != nil {
			return out, views.fault
		}
	}
	slices.SortFunc(out.Locks, func(a, b lock.Lock) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return out, nil
}

// fillStanding reads whom the newly queued wait for. It is a read of its own so
// that enqueueing costs the same at every depth. Who moved on meanwhile waits
// for nobody any more.
func (s *Store) fillStanding(ctx context.Context, outcomes []lock.Outcome) {
	var calls []*call
	var waiting []*lock.Lock
	for i := range outcomes {
		l := &outcomes[i].Lock
		if l.State == lock.Queued && l.BlockedBy == nil && outcomes[i].Err == nil {
			calls = append(calls, s.call(s.scripts.get, l.Namespace, string(l.ID)))
			waiting = append(waiting, l)
		}
	}
	s.send(ctx, calls)
	for i, c := range calls {
		if c.err != nil || c.code != codeOK {
			continue
		}
		if now := c.reply.standing(c.ns); c.reply.fault == nil && now.State == lock.Queued {
			waiting[i].BlockedBy, waiting[i].BlockedByTotal = now.BlockedBy, now.BlockedByTotal
		}
	}
}
