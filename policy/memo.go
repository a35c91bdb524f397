package policy

import (
	"hash/maphash"
	"sync"
)

const (
	memoShards     = 16
	memoPerShard   = 1024
	maxMemoKeySize = 4 << 10 // longer keys are not worth their memory
)

// memo remembers what was worked out from a key, and only from that: verdicts
// by exactly those values of the input that the policies of a generation can
// read, contexts by their text. It is bounded: when a shard is full the clock
// hand takes the first entry that was not used since the hand passed.
type memo[V any] struct {
	seed   maphash.Seed
	shards [memoShards]memoShard[V]
}

type memoShard[V any] struct {
	mu    sync.Mutex // guards the rest
	byKey map[string]*remembered[V]
	ring  []*remembered[V]
	hand  int
}

type remembered[V any] struct {
	key   string
	value *V
	used  bool
}

func newMemo[V any]() *memo[V] {
	m := &memo[V]{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].byKey = map[string]*remembered[V]{}
	}
	return m
}

func (m *memo[V]) shard(key []byte) *memoShard[V] {
	return &m.shards[maphash.Bytes(m.seed, key)%memoShards]
}

// get answers what was remembered, or nil.
func (m *memo[V]) get(key []byte) *V {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byKey[string(key)]
	if r == nil {
		return nil
	}
	r.used = true
	return r.value
}

// put remembers a value. Two values of one key are the same, so the first
// stays.
func (m *memo[V]) put(key []byte, v *V) {
	if len(key) > maxMemoKeySize {
		return
	}
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[string(key)] != nil {
		return
	}
	r := &remembered[V]{key: string(key), value: v}
	s.byKey[r.key] = r
	if len(s.ring) < memoPerShard {
		s.ring = append(s.ring, r)
		return
	}
	for s.ring[s.hand].used {
		s.ring[s.hand].used = false
		s.hand = (s.hand + 1) % memoPerShard
	}
	delete(s.byKey, s.ring[s.hand].key)
	s.ring[s.hand] = r
	s.hand = (s.hand + 1) % memoPerShard
}

func (m *memo[V]) size() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.byKey)
		s.mu.Unlock()
	}
	return n
}
