package orchestrator

import (
	"slices"
	"sync"

	"github.com/lockgate/lockgate/core/lock"
)

// waiter is one open call that follows a request.
type waiter struct {
	id      lock.ID
	changed chan lock.Lock // the newest state only; buffered by one
	parked  bool           // the caller is waiting: its place is kept alive
}

// waiters are the open calls of this gateway by the request they follow.
type waiters struct {
	metrics *metrics

	mu   sync.Mutex
	byID map[lock.ID][]*waiter
}

func newWaiters(m *metrics) *waiters {
	return &waiters{metrics: m, byID: make(map[lock.ID][]*waiter)}
}

func (ws *waiters) add(id lock.ID) *waiter {
	w := &waiter{id: id, changed: make(chan lock.Lock, 1)}
	ws.mu.Lock()
	ws.byID[id] = append(ws.byID[id], w)
	ws.mu.Unlock()
	return w
}

func (ws *waiters) remove(w *waiter) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.removeLocked(w)
}

func (ws *waiters) removeLocked(w *waiter) {
	all := ws.byID[w.id]
	if len(all) == 1 {
		delete(ws.byID, w.id)
		return
	}
	kept := make([]*waiter, 0, len(all)-1)
	for _, other := range all {
		if other != w {
			kept = append(kept, other)
		}
	}
	ws.byID[w.id] = kept
}

// rename lets a waiter follow another request.
func (ws *waiters) rename(w *waiter, id lock.ID) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.removeLocked(w)
	w.id = id
	ws.byID[id] = append(ws.byID[id], w)
}

func (ws *waiters) park(w *waiter) {
	ws.mu.Lock()
	w.parked = true
	ws.mu.Unlock()
	ws.metrics.parked.Inc()
}

func (ws *waiters) unpark(w *waiter) {
	ws.mu.Lock()
	w.parked = false
	ws.mu.Unlock()
	ws.metrics.parked.Dec()
}

// tell hands the newest state of a request to whoever follows it.
func (ws *waiters) tell(l *lock.Lock) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.byID[l.ID] {
		select {
		case <-w.changed: // an older state nobody has read yet
		default:
		}
		w.changed <- *l
	}
}

// followed are the requests that open calls of this gateway follow, and whether
// a caller waits already: one that does not may not have enqueued its request yet.
func (ws *waiters) followed() map[lock.ID]bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ids := make(map[lock.ID]bool, len(ws.byID))
	for id, all := range ws.byID {
		ids[id] = slices.ContainsFunc(all, func(w *waiter) bool { return w.parked })
	}
	return ids
}

// parkedIDs are the requests whose callers wait here.
func (ws *waiters) parkedIDs() []lock.ID {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	var ids []lock.ID
	for id, all := range ws.byID {
		if slices.ContainsFunc(all, func(w *waiter) bool { return w.parked }) {
			ids = append(ids, id)
		}
	}
	return ids
}
