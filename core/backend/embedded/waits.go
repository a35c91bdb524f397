package embedded

import (
	"strconv"

	"github.com/lockgate/lockgate/core/lock"
)

// declarations are the declared waits. One that is over stays until the next
// batch of steps; nothing happens to anybody when it ends.
type declarations struct {
	byID    map[lock.ID]*lock.Wait
	byOwner map[lock.Owner]map[lock.ID]*lock.Wait
	targets map[lock.Owner]int // how many wait for the owner
	byEnd   ranked[*lock.Wait]
}

func newDeclarations() declarations {
	return declarations{
		byID:    map[lock.ID]*lock.Wait{},
		byOwner: map[lock.Owner]map[lock.ID]*lock.Wait{},
		targets: map[lock.Owner]int{},
		byEnd: ranked[*lock.Wait]{less: func(a, b *lock.Wait) bool {
			if !a.Until.Equal(b.Until) {
				return a.Until.Before(b.Until)
			}
			return a.ID < b.ID
		}},
	}
}

func (d *declarations) put(w *lock.Wait) {
	d.byID[w.ID] = w
	if d.byOwner[w.Owner] == nil {
		d.byOwner[w.Owner] = map[lock.ID]*lock.Wait{}
	}
	d.byOwner[w.Owner][w.ID] = w
	d.targets[w.For]++
	d.byEnd.insert(w)
}

func (d *declarations) drop(w *lock.Wait) {
	delete(d.byID, w.ID)
	delete(d.byOwner[w.Owner], w.ID)
	if len(d.byOwner[w.Owner]) == 0 {
		delete(d.byOwner, w.Owner)
	}
	if d.targets[w.For]--; d.targets[w.For] == 0 {
		delete(d.targets, w.For)
	}
	d.byEnd.remove(w)
}

func (t *table) declare(s *lock.Declare) lock.Outcome {
	if known := t.declared.byID[s.Wait.ID]; known != nil {
		return t.closedBy(known, lock.Outcome{Wait: *known, Repeat: true})
	}
	if faults := t.waitFaults(&s.Wait); faults != nil {
		return lock.Outcome{Err: &lock.InvalidError{Faults: faults}}
	}
	w := s.Wait
	w.Declared, w.Until = t.now.time(), t.now.plus(s.TTL).time()
	t.declared.put(&w)
	t.changes.waits[w.ID] = &w
	return t.closedBy(&w, lock.Outcome{Wait: w})
}

func (t *table) waitFaults(w *lock.Wait) []lock.Fault {
	var faults []lock.Fault
	for _, f := range []lock.Fault{
		{Pointer: "/id", Detail: w.ID.Fault()},
		{Pointer: "/namespace", Detail: w.Namespace.Fault()},
		{Pointer: "/owner", Detail: w.Owner.Fault()},
		{Pointer: "/waits_for", Detail: w.For.Fault()},
	} {
		if f.Detail != "" {
			faults = append(faults, f)
		}
	}
	standing := 0
	for _, other := range t.declared.byOwner[w.Owner] {
		if other.Namespace == w.Namespace {
			standing++
		}
	}
	if standing >= lock.MaxWaits {
		faults = append(faults, lock.Fault{
			Pointer: "/owner", Detail: "has declared " + strconv.Itoa(lock.MaxWaits) + " waits already: withdraw some",
		})
	}
	return faults
}

// closedBy names the owner when the one that it waits for waits as well.
func (t *table) closedBy(w *lock.Wait, out lock.Outcome) lock.Outcome {
	if t.live.byOwner[w.For] != nil || len(t.declared.byOwner[w.For]) > 0 {
		out.SearchFrom, out.At = []lock.Owner{w.Owner}, t.now.time()
	}
	return out
}

func (t *table) withdraw(s *lock.Withdraw) lock.Outcome {
	w := t.declared.byID[s.ID]
	switch {
	case w == nil:
		return lock.Outcome{Err: lock.ErrNotFound}
	case s.Subject != "" && w.Subject != s.Subject:
		return lock.Outcome{Err: lock.ErrNotYours}
	case s.Cycle != nil && !t.stands(s.Cycle):
		return lock.Outcome{Err: lock.ErrBroken}
	}
	if s.Deadlock != nil {
		t.keep(s.Deadlock, w.Namespace)
	}
	t.undeclare(w)
	return lock.Outcome{Wait: *w}
}

func (t *table) undeclare(w *lock.Wait) {
	t.declared.drop(w)
	t.changes.waits[w.ID] = nil
}

// forgetWaits drops the declared waits whose time is over.
func (t *table) forgetWaits() {
	for {
		w, ok := t.declared.byEnd.first()
		if !ok || stampOf(w.Until) > t.now {
			return
		}
		t.undeclare(w)
	}
}
