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

// memo remembers the verdicts of one generation by exactly those values of the
// input that its policies can read. It is bounded: when a shard is full the
// clock hand takes the first entry that was not used since the hand passed.
type memo struct {
	seed   maphash.Seed
	shards [memoShards]memoShard
}

type memoShard struct {
	mu    sync.Mutex // guards the rest
	byKey map[string]*remembered
	ring  []*remembered
	hand  int
}

type remembered struct {
	key     string
	verdict *verdict
	used    bool
}

func newMemo() *memo {
	m := &memo{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].byKey = map[string]*remembered{}
	}
	return m
}

func (m *memo) shard(key []byte) *memoShard {
	return &m.shards[maphash.Bytes(m.seed, key)%memoShards]
}

// get answers what was remembered, or nil.
func (m *memo) get(key []byte) *verdict {
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byKey[string(key)]
	if r == nil {
		return nil
	}
	r.used = true
	return r.verdict
}

// put remembers a verdict. Two evaluations of one key gave the same, so the
// first stays.
func (m *memo) put(key []byte, v *verdict) {
	if len(key) > maxMemoKeySize {
		return
	}
	s := m.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[string(key)] != nil {
		return
	}
	r := &remembered{key: string(key), verdict: v}
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

func (m *memo) size() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.byKey)
		s.mu.Unlock()
	}
	return n
}
