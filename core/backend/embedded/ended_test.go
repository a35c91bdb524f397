package embedded

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// TestTable_remembersABoundedNumberOfEndedRequests: the oldest end is forgotten
// first, and what is live never.
func TestTable_remembersABoundedNumberOfEndedRequests(t *testing.T) {
	t.Parallel()
	table := newTable(lock.DefaultRules())
	table.now = 1_800_000_000_000
	request := func(n int) *lock.Acquire {
		return &lock.Acquire{Lock: lock.Lock{
			ID: lock.ID(fmt.Sprintf("01JDA%021d", n)), Namespace: "n", Owner: "o", Subject: "s",
			Resources: []lock.Resource{{Key: lock.Key(strconv.Itoa(n))}},
		}}
	}
	held := table.acquire(request(0)).Lock
	const beyond = 10
	for n := 1; n <= maxEnded+beyond; n++ {
		table.now++
		l := table.acquire(request(n)).Lock
		require.NoError(t, table.apply(&lock.Release{ID: l.ID, Token: l.Token}).Err)
		table.changes = newChanges()
	}
	require.Len(t, table.entries, maxEnded+1)
	require.Len(t, table.passed, maxEnded)
	require.Contains(t, table.entries, held.ID)
	require.NotContains(t, table.entries, request(beyond).Lock.ID)
	require.Contains(t, table.entries, request(beyond+1).Lock.ID)

	table.now = table.now.plus(2 * lock.DefaultRules().Ended)
	table.sweep()
	l := table.acquire(request(maxEnded + beyond + 1)).Lock
	require.NoError(t, table.apply(&lock.Release{ID: l.ID, Token: l.Token}).Err)
	require.Len(t, table.passed, 1, "what was forgotten by its time is dropped from the list")
}
