package deadlock

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// table is a small lock table for tests: it keeps what it is told and grants
// nothing by itself.
type table struct {
	snap Snapshot
	seq  int
}

func newTable() *table {
	return &table{snap: Snapshot{At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}
}

// add appends a request a second after the one before; its keys are written
// "vpc" or "vpc:shared".
func (t *table) add(state lock.State, owner string, keys ...string) *Request {
	t.seq++
	t.snap.At = t.snap.At.Add(time.Second)
	r := Request{
		ID: lock.ID(fmt.Sprintf("r%05d", t.seq)), Namespace: "ns", Owner: lock.Owner(owner), State: state,
		Priority: lock.Normal, Value: 400, Enqueued: t.snap.At, Score: t.snap.At.UnixMilli(),
	}
	if state == lock.Held {
		r.Acquired, r.Token = t.snap.At, lock.Token(t.seq)
	}
	for _, k := range keys {
		key, mode, _ := strings.Cut(k, ":")
		res := lock.Resource{Key: lock.Key(key)}
		if mode == "shared" {
			res.Mode = lock.Shared
		}
		r.Resources = append(r.Resources, res)
	}
	t.snap.Requests = append(t.snap.Requests, r)
	return &t.snap.Requests[len(t.snap.Requests)-1]
}

func (t *table) hold(owner string, keys ...string) *Request {
	return t.add(lock.Held, owner, keys...)
}

func (t *table) wait(owner string, keys ...string) *Request {
	return t.add(lock.Queued, owner, keys...)
}

func (t *table) declare(owner, whom string) *Wait {
	t.seq++
	t.snap.At = t.snap.At.Add(time.Second)
	t.snap.Waits = append(t.snap.Waits, Wait{
		ID: lock.ID(fmt.Sprintf("w%05d", t.seq)), Namespace: "ns", Owner: lock.Owner(owner), For: lock.Owner(whom), Declared: t.snap.At,
	})
	return &t.snap.Waits[len(t.snap.Waits)-1]
}

func (t *table) graph() *Graph { return NewGraph(&t.snap) }

// end takes requests and declared waits out.
func (t *table) end(ids ...lock.ID) {
	t.snap.Requests = slices.DeleteFunc(slices.Clone(t.snap.Requests), func(r Request) bool { return slices.Contains(ids, r.ID) })
	t.snap.Waits = slices.DeleteFunc(slices.Clone(t.snap.Waits), func(w Wait) bool { return slices.Contains(ids, w.ID) })
}

// apply does what a finding says.
func (t *table) apply(f *Finding) {
	for _, m := range f.Moves {
		for i := range t.snap.Requests {
			if t.snap.Requests[i].ID == m.Request {
				t.snap.Requests[i].Score = m.Score
			}
		}
	}
	for _, v := range f.Victims {
		t.end(v.Requests...)
	}
	t.end(f.Withdraw...)
}

// ring makes n owners o0, o1, … of which each holds k<i> and waits for the next
// one's.
func (t *table) ring(n int) {
	for i := range n {
		t.hold(fmt.Sprintf("o%05d", i), fmt.Sprintf("k%05d", i))
	}
	for i := range n {
		t.wait(fmt.Sprintf("o%05d", i), fmt.Sprintf("k%05d", (i+1)%n))
	}
}

func allEdges(g *Graph) []Edge {
	all, _ := g.Edges(math.MaxInt)
	return all
}

func TestEdges_stopAtALimit(t *testing.T) {
	table := newTable()
	table.ring(4)
	some, truncated := table.graph().Edges(2)
	require.True(t, truncated)
	require.Len(t, some, 2)
	all, truncated := table.graph().Edges(5)
	require.False(t, truncated)
	require.Len(t, all, 4)
}
