package embedded

import "github.com/lockgate/lockgate/core/lock"

// call names one call that may be repeated.
type call struct {
	ns  lock.Namespace
	key string
}

// memory is which request a call made.
type memory struct {
	call
	id   lock.ID
	hash string
	at   stamp
}

// memories finds the request of an earlier call, and the oldest of them.
type memories struct {
	byCall map[call]*memory
	byTime ranked[*memory]
}

func newMemories() memories {
	return memories{byCall: map[call]*memory{}, byTime: ranked[*memory]{less: func(a, b *memory) bool {
		switch {
		case a.at != b.at:
			return a.at < b.at
		case a.ns != b.ns:
			return a.ns < b.ns
		}
		return a.key < b.key
	}}}
}

func (m *memories) put(n *memory) {
	m.drop(m.byCall[n.call])
	m.byCall[n.call] = n
	m.byTime.insert(n)
}

func (m *memories) drop(n *memory) {
	if n == nil {
		return
	}
	delete(m.byCall, n.call)
	m.byTime.remove(n)
}

// recall answers what an earlier call with this key left behind, and the request
// it made, which may have been forgotten since.
func (t *table) recall(ns lock.Namespace, i lock.Idempotency) (m *memory, made *entry) {
	m = t.memories.byCall[call{ns, i.Key}]
	if i.Key == "" || m == nil {
		return nil, nil
	}
	return m, t.entries[m.id]
}

// remember ties a call to the request it made.
func (t *table) remember(e *entry, i lock.Idempotency) {
	if i.Key == "" {
		return
	}
	m := &memory{call: call{e.ns.name, i.Key}, id: e.id, hash: i.Hash, at: t.now}
	t.memories.put(m)
	t.changes.recalled[m.call] = m
}

// maxRemembered bounds the idempotency keys that are kept. Rules.Idempotency
// alone would let a busy gateway remember a day of calls.
const maxRemembered = 1_000_000

// maxForgotten bounds how many idempotency keys one batch drops.
const maxForgotten = 1000

// forgetCalls drops idempotency keys that are older than the rules keep them, or
// the oldest of too many.
func (t *table) forgetCalls() {
	for range maxForgotten {
		m, ok := t.memories.byTime.first()
		if !ok || (m.at.plus(t.rules.Idempotency) > t.now && len(t.memories.byCall) <= maxRemembered) {
			return
		}
		t.memories.drop(m)
		t.changes.recalled[m.call] = nil
	}
}
