package deadlock

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

func TestFlood_refusesUntilTheFirstIsAMinuteOld(t *testing.T) {
	f := NewFlood(&Config{MaxPerOwnerPerMinute: 3})
	now := time.Unix(1_800_000_000, 0)
	for i := range 3 {
		require.Zero(t, f.RetryAfter("a", now))
		f.Closed("a", now.Add(time.Duration(i)*time.Second))
	}
	now = now.Add(10 * time.Second)
	require.Equal(t, 50*time.Second, f.RetryAfter("a", now))
	require.Zero(t, f.RetryAfter("b", now))

	now = now.Add(50*time.Second + 500*time.Millisecond)
	require.Zero(t, f.RetryAfter("a", now), "two are left of the last minute")
	f.Closed("a", now)
	require.Equal(t, 500*time.Millisecond, f.RetryAfter("a", now))
}

func TestFlood_zeroRefusesNobody(t *testing.T) {
	f := NewFlood(&Config{})
	now := time.Unix(1_800_000_000, 0)
	for range 1000 {
		f.Closed("a", now)
	}
	require.Zero(t, f.RetryAfter("a", now))
}

func TestFlood_remembersABoundedNumberOfOwners(t *testing.T) {
	f := NewFlood(&Config{MaxPerOwnerPerMinute: 1})
	now := time.Unix(1_800_000_000, 0)
	for i := range floodOwners + 100 {
		now = now.Add(time.Millisecond)
		f.Closed(lock.Owner(fmt.Sprintf("o%d", i)), now)
	}
	require.Len(t, f.closed, floodOwners)
	require.Zero(t, f.RetryAfter("o0", now), "the quietest is forgotten")
	require.Positive(t, f.RetryAfter(lock.Owner(fmt.Sprintf("o%d", floodOwners+99)), now))

	f.Closed("late", now.Add(2*time.Minute))
	require.Len(t, f.closed, 1, "whose minute is over goes")
}
