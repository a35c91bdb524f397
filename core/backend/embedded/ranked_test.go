package embedded

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestRanked_likeASortedSlice also checks the weights: without them the tree is a
// list, and every promise about the cost of a queue is void.
func TestRanked_likeASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ranked[int]{less: func(a, b int) bool { return a < b }}
		var want []int
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			item := rapid.IntRange(0, 100).Draw(t, "item")
			at, inside := slices.BinarySearch(want, item)
			require.Equal(t, at, r.rank(item))
			if inside {
				require.Equal(t, item, r.find(item))
				r.remove(item)
				want = slices.Delete(want, at, at+1)
			} else {
				r.remove(item)
				r.insert(item)
				want = slices.Insert(want, at, item)
			}
			balanced(t, r.root)
		}
		require.Equal(t, len(want), r.len())
		require.Equal(t, want, append([]int{}, slices.Collect(r.all())...)[:len(want):len(want)])
		from := rapid.IntRange(0, 100).Draw(t, "from")
		at, _ := slices.BinarySearch(want, from)
		require.Equal(t, want[at:], append([]int{}, slices.Collect(r.since(func(i int) bool { return i < from }))...))
		if first, ok := r.first(); ok {
			require.Equal(t, want[0], first)
		}
	})
}

func balanced(t *rapid.T, n *node[int]) {
	if n == nil {
		return
	}
	left, right := n.left.len()+1, n.right.len()+1
	require.Equal(t, left+right-1, n.size)
	require.LessOrEqual(t, left, heavy*right)
	require.LessOrEqual(t, right, heavy*left)
	balanced(t, n.left)
	balanced(t, n.right)
}
