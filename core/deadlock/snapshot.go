package deadlock

import (
	"cmp"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Snapshot is the part of the lock table that a search needs, as one atomic
// read of a namespace answered it. It must hold every live request of every
// owner in it that may take part in a cycle, and everybody who holds or waits
// for the same keys. The order of its slices means nothing.
type Snapshot struct {
	At       time.Time // the store's clock when it was read
	Requests []Request
	Waits    []Wait
}

// Request is one live request: queued, offered or held. Requests in other
// states are passed over.
type Request struct {
	ID        lock.ID
	Namespace lock.Namespace
	Owner     lock.Owner
	State     lock.State
	Resources []lock.Resource
	Token     lock.Token // 0 until held
	Score     int64      // place in every queue, lower first, ties by id
	Priority  lock.Priority
	Value     int       // priority value, 0 to 1000
	Enqueued  time.Time // a retry keeps the time of the request that it repeats
	Acquired  time.Time // zero until held
	Expires   time.Time // end of the lease; zero: none

	Losses      int  // how often the owner was victim already, along the chain of retries
	Preemptible bool // policy allows that a deadlock takes it
	Labels      map[string]string
}

// Wait is a declared wait: Owner waits for For outside of locks.
type Wait struct {
	ID        lock.ID
	Namespace lock.Namespace
	Owner     lock.Owner
	For       lock.Owner
	Declared  time.Time
}

// RequestOf is what a search needs to know of l. Score and losses are what the
// store keeps beside the lock.
func RequestOf(l *lock.Lock, score int64, losses int) Request {
	return Request{
		ID: l.ID, Namespace: l.Namespace, Owner: l.Owner, State: l.State, Resources: l.Resources, Token: l.Token,
		Score: score, Priority: l.Priority, Value: l.Value,
		Enqueued: l.RequestedAt, Acquired: l.AcquiredAt, Expires: l.ExpiresAt,
		Losses: losses, Preemptible: l.Preemptible, Labels: l.Labels,
	}
}

// Merge joins the reads of several namespaces. What two parts both name is
// taken from the later one; the time is the latest.
func Merge(parts ...Snapshot) Snapshot {
	var all Snapshot
	for _, p := range parts {
		if p.At.After(all.At) {
			all.At = p.At
		}
		all.Requests = append(all.Requests, p.Requests...)
		all.Waits = append(all.Waits, p.Waits...)
	}
	all.Requests = lastOfEach(all.Requests, func(r *Request) lock.ID { return r.ID })
	all.Waits = lastOfEach(all.Waits, func(w *Wait) lock.ID { return w.ID })
	return all
}

// With is the snapshot after r came too. The receiver is not changed.
func (s *Snapshot) With(r Request) Snapshot {
	return Merge(*s, Snapshot{At: s.At, Requests: []Request{r}})
}

// WithWait is the snapshot after w was declared. The receiver is not changed.
func (s *Snapshot) WithWait(w Wait) Snapshot {
	return Merge(*s, Snapshot{At: s.At, Waits: []Wait{w}})
}

// lastOfEach sorts by id and keeps the last of those that share one.
func lastOfEach[T any](all []T, id func(*T) lock.ID) []T {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(id(&a), id(&b)) })
	kept := all[:0]
	for i := range all {
		if i+1 < len(all) && id(&all[i]) == id(&all[i+1]) {
			continue
		}
		kept = append(kept, all[i])
	}
	return kept
}

// holds reports whether the request excludes others as a holder does.
func (r *Request) holds() bool { return r.State == lock.Held || r.State == lock.Offered }

// ahead reports whether r stands before other in the queues of a namespace.
func (r *Request) ahead(other *Request) bool {
	return r.Score < other.Score || r.Score == other.Score && r.ID < other.ID
}

// mode answers how the request wants a key, and whether it wants it at all.
func (r *Request) mode(key lock.Key) (lock.Mode, bool) {
	for _, res := range r.Resources {
		if res.Key == key {
			return res.Mode, true
		}
	}
	return lock.Exclusive, false
}

// conflicts reports whether two requests of different owners cannot both have
// some key.
func (r *Request) conflicts(other *Request) bool {
	if r.Owner == other.Owner || r.Namespace != other.Namespace {
		return false
	}
	for _, res := range r.Resources {
		if m, ok := other.mode(res.Key); ok && m.Conflicts(res.Mode) {
			return true
		}
	}
	return false
}
