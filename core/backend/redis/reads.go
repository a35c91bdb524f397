package redis

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

const maxExamined = 5000 // requests looked at for one page

// ask runs scripts that only read.
func (s *Store) ask(ctx context.Context, calls ...*call) error {
	if s.ended.Load() {
		return unavailable(errStopped)
	}
	s.send(ctx, calls)
	for _, c := range calls {
		if c.err != nil {
			return unavailable(fmt.Errorf("%s in Redis: %w", c.script.name, c.err))
		}
	}
	return nil
}

// Get implements orchestrator.Table.
func (s *Store) Get(ctx context.Context, id lock.ID) (lock.Lock, error) {
	names := s.directory.of(id)
	if len(names) == 0 {
		if err := s.refreshNow(ctx); err != nil {
			return lock.Lock{}, err
		}
		names = s.directory.of(id)
	}
	calls := make([]*call, len(names))
	for i, ns := range names {
		calls[i] = s.call(s.scripts[getLua], ns, string(id))
	}
	if err := s.ask(ctx, calls...); err != nil {
		return lock.Lock{}, err
	}
	for _, c := range calls {
		if c.code == codeOK {
			l := c.reply.standing(c.ns)
			return l, c.reply.fault
		}
	}
	return lock.Lock{}, lock.ErrNotFound
}

func (s *Store) refreshNow(ctx context.Context) error {
	if s.ended.Load() {
		return unavailable(errStopped)
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.OperationTimeout)
	defer cancel()
	if err := s.refresh(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// within lists the namespaces that a query is about, ascending.
func (s *Store) within(ctx context.Context, ns lock.Namespace) ([]lock.Namespace, error) {
	if ns != "" {
		return []lock.Namespace{ns}, nil
	}
	if err := s.refreshNow(ctx); err != nil {
		return nil, err
	}
	names := s.directory.every()
	slices.Sort(names)
	return names, nil
}

// List implements orchestrator.Table: one page in ascending order of ids. What a
// page shows of one namespace was so at one moment. A page looks at a bounded
// number of requests, so it may be short and still have a next one.
func (s *Store) List(ctx context.Context, q lock.Query) (lock.Page, error) {
	if q.After != "" && lock.ID(q.After).Fault() != "" {
		return lock.Page{}, lock.Invalid("after", "is no cursor of a list of locks")
	}
	names, err := s.within(ctx, q.Namespace)
	if err != nil {
		return lock.Page{}, err
	}
	found, horizon, err := s.listFrom(ctx, &q, names)
	if err != nil {
		return lock.Page{}, err
	}
	return pageOf(found, horizon, &q), nil
}

// listFrom reads the first requests after the cursor in every namespace. horizon
// is the id up to which all of them are there, "" when there are no more.
func (s *Store) listFrom(ctx context.Context, q *lock.Query, names []lock.Namespace) ([]lock.Lock, string, error) {
	live, ended := len(q.States) == 0, false
	for _, st := range q.States {
		live, ended = live || st.Live(), ended || !st.Live()
	}
	each := max(pageSize(q.Limit)/max(len(names), 1), minChunk)
	var found []lock.Lock
	horizon := ""
	for len(names) > 0 {
		n := min(len(names), readChunk)
		calls := make([]*call, n)
		for i, ns := range names[:n] {
			calls[i] = s.call(s.scripts[listLua], ns, q.After, each, bit(live), bit(ended), string(q.Owner))
		}
		if err := s.ask(ctx, calls...); err != nil {
			return nil, "", err
		}
		for _, c := range calls {
			last := c.reply.text()
			if last != "" && (horizon == "" || last < horizon) {
				horizon = last
			}
			views := c.reply.array()
			for views.more() {
				found = append(found, views.standing(c.ns))
			}
			if views.fault != nil {
				return nil, "", views.fault
			}
		}
		names = names[n:]
	}
	return found, horizon, nil
}

// minChunk is how many requests are read of a namespace at least.
const minChunk = 16

// pageOf picks from what was read, up to the horizon.
func pageOf(found []lock.Lock, horizon string, q *lock.Query) lock.Page {
	slices.SortFunc(found, func(a, b lock.Lock) int { return strings.Compare(string(a.ID), string(b.ID)) })
	page := lock.Page{Next: horizon}
	for i := range found {
		l := &found[i]
		if horizon != "" && string(l.ID) > horizon {
			break
		}
		if i == maxExamined || len(page.Locks) == pageSize(q.Limit) {
			page.Next = string(found[i-1].ID)
			break
		}
		if matches(l, q) {
			page.Locks = append(page.Locks, *l)
		}
	}
	return page
}

func matches(l *lock.Lock, q *lock.Query) bool {
	switch {
	case len(q.States) == 0 && !l.State.Live(),
		len(q.States) > 0 && !slices.Contains(q.States, l.State),
		q.Owner != "" && l.Owner != q.Owner,
		q.Priority != lock.Unstated && l.Priority != q.Priority:
		return false
	}
	for k, v := range q.Labels {
		if got, ok := l.Labels[k]; !ok || got != v {
			return false
		}
	}
	return slices.ContainsFunc(l.Resources, func(r lock.Resource) bool {
		return (q.Resource == "" || r.Key == q.Resource) && strings.HasPrefix(string(r.Key), q.Prefix)
	})
}

// Queues implements orchestrator.Table: one page of the resources in use, by
// namespace and key.
func (s *Store) Queues(ctx context.Context, q lock.QueueQuery) (lock.QueuePage, error) {
	var afterNamespace lock.Namespace
	var afterKey lock.Key
	if q.After != "" {
		var ok bool
		if afterNamespace, afterKey, ok = parseQueueCursor(q.After); !ok {
			return lock.QueuePage{}, lock.Invalid("after", "is no cursor of a list of queues")
		}
	}
	names, err := s.within(ctx, q.Namespace)
	if err != nil {
		return lock.QueuePage{}, err
	}
	names = slices.DeleteFunc(names, func(ns lock.Namespace) bool { return ns < afterNamespace })
	page, limit := lock.QueuePage{}, pageSize(q.Limit)
	for len(names) > 0 && len(page.Queues) < limit {
		n := min(len(names), max(1, (limit-len(page.Queues))/minChunk))
		calls := make([]*call, n)
		for i, ns := range names[:n] {
			key := lock.Key("")
			if ns == afterNamespace {
				key = afterKey
			}
			calls[i] = s.call(s.scripts[queuesLua], ns, string(key), min(limit, queueChunk), min(max(q.Depth, 0), maxPage), string(q.Resource))
		}
		if err := s.ask(ctx, calls...); err != nil {
			return lock.QueuePage{}, err
		}
		for _, c := range calls {
			if err := addQueues(&page, c, limit); err != nil || page.Next != "" {
				return page, err
			}
		}
		names = names[n:]
	}
	if n := len(page.Queues); len(names) > 0 && n > 0 {
		page.Next = queueCursor(page.Queues[n-1].Namespace, page.Queues[n-1].Resource)
	}
	return page, nil
}

// addQueues adds what one namespace answered; a page that is full, or that did
// not get all of the namespace, has a next one.
func addQueues(page *lock.QueuePage, c *call, limit int) error {
	last := c.reply.text()
	for c.reply.more() {
		if n := len(page.Queues); n == limit {
			page.Next = queueCursor(page.Queues[n-1].Namespace, page.Queues[n-1].Resource)
			return nil
		}
		page.Queues = append(page.Queues, c.reply.queue(c.ns))
	}
	if last != "" {
		page.Next = queueCursor(c.ns, lock.Key(last))
	}
	return c.reply.fault
}

// queueChunk is how many queues are read of a namespace in one go.
const queueChunk = 100

func queueCursor(ns lock.Namespace, key lock.Key) string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(ns) + "\x00" + string(key)))
}

func parseQueueCursor(cursor string) (lock.Namespace, lock.Key, bool) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return "", "", false
	}
	ns, key, ok := strings.Cut(string(text), "\x00")
	return lock.Namespace(ns), lock.Key(key), ok
}

func (r *reply) queue(ns lock.Namespace) lock.Queue {
	v := r.array()
	q := lock.Queue{Namespace: ns, Resource: lock.Key(v.text()), Length: int(v.number())}
	holders, waiters := v.array(), v.array()
	for holders.more() {
		q.Holders = append(q.Holders, holders.view(ns))
	}
	for waiters.more() {
		q.Waiters = append(q.Waiters, waiters.standing(ns))
	}
	for _, fault := range []error{holders.fault, waiters.fault, v.fault} {
		if fault != nil {
			r.keep(fault)
		}
	}
	return q
}

// Facts implements orchestrator.Table.
func (s *Store) Facts(ctx context.Context, q lock.FactsQuery) ([]lock.Facts, error) {
	args := []any{string(q.Owner), encodeSubject(q.Subject)}
	for _, r := range q.Resources {
		args = append(args, string(r.Key))
	}
	c := s.call(s.scripts[factsLua], q.Namespace, args...)
	if err := s.ask(ctx, c); err != nil {
		return nil, err
	}
	all := make([]lock.Facts, len(q.Resources))
	if c.code == codeMissing {
		return all, nil
	}
	bySubject, byOwner := int(c.reply.number()), int(c.reply.number())
	for i := range all {
		f, v := &all[i], c.reply.array()
		f.HeldBySubject, f.HeldByOwner = bySubject, byOwner
		if holder := v.array(); holder.more() {
			l := c.reply.viewOf(holder, q.Namespace)
			f.Holder = &l
		}
		f.QueueLength, f.Mine, f.Waited = int(v.number()), int(v.number()), length(v.number())
		if v.fault != nil {
			return nil, v.fault
		}
	}
	return all, c.reply.fault
}

// Stats implements orchestrator.Table. Each namespace is counted at one moment.
func (s *Store) Stats(ctx context.Context) (lock.Stats, error) {
	st := lock.Stats{Queued: make(map[lock.Priority]int), OldestWait: make(map[lock.Priority]time.Duration)}
	names, err := s.within(ctx, "")
	if err != nil {
		return st, err
	}
	for len(names) > 0 {
		n := min(len(names), readChunk)
		calls := make([]*call, n)
		for i, ns := range names[:n] {
			calls[i] = s.call(s.scripts[statsLua], ns)
		}
		if err := s.ask(ctx, calls...); err != nil {
			return st, err
		}
		for _, c := range calls {
			if c.code == codeMissing {
				continue
			}
			if err := c.reply.addTo(&st); err != nil {
				return st, err
			}
		}
		names = names[n:]
	}
	return st, nil
}

func (r *reply) addTo(st *lock.Stats) error {
	st.Held += int(r.number())
	st.Offered += int(r.number())
	if r.number() > 0 {
		st.Namespaces++
	}
	for _, p := range []lock.Priority{lock.Low, lock.Normal, lock.High, lock.Critical} {
		waiting := r.array()
		n, oldest := int(waiting.number()), length(waiting.number())
		st.Queued[p] += n
		if n > 0 {
			st.OldestWait[p] = max(st.OldestWait[p], oldest)
		}
		r.keep(waiting.fault)
	}
	return r.fault
}
