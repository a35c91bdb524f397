package orchestrator

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

func TestAdmission_drainsByUrgency(t *testing.T) {
	t.Parallel()
	a := newAdmission(10, 1)
	for _, l := range []lane{laneLow, laneNormal, laneEndings, laneCritical, laneNormal, laneHigh} {
		require.True(t, a.push(&ticket{lane: l}))
	}
	var got []lane
	for _, limit := range []int{4, 4} {
		for _, ticket := range a.pop(nil, limit) {
			got = append(got, ticket.lane)
		}
	}
	require.Equal(t, []lane{laneEndings, laneCritical, laneHigh, laneNormal, laneNormal, laneLow}, got)
	require.Zero(t, a.length())
}

func TestAdmission_aFloodOfAcquiresLeavesRoomForEndings(t *testing.T) {
	t.Parallel()
	a := newAdmission(2, 1)
	require.True(t, a.push(&ticket{lane: laneLow}))
	require.True(t, a.push(&ticket{lane: laneLow}))
	require.False(t, a.push(&ticket{lane: laneCritical}))
	require.True(t, a.push(&ticket{lane: laneEndings}))
	require.True(t, a.push(&ticket{lane: laneEndings}))
	require.False(t, a.push(&ticket{lane: laneEndings}))
	require.Equal(t, 4, a.length())
	a.pop(nil, 4)
	require.True(t, a.push(&ticket{lane: laneLow}))
}

func TestAdmission_whatIsLeftCallsAWorkerAgain(t *testing.T) {
	t.Parallel()
	a := newAdmission(10, 1)
	for range 3 {
		a.push(&ticket{lane: laneNormal})
	}
	for range 3 {
		select {
		case <-a.ready:
		default:
			t.Fatal("tickets wait and nobody is called")
		}
		require.Len(t, a.pop(nil, 1), 1)
	}
}

func TestLaneOf_followsPriority(t *testing.T) {
	t.Parallel()
	last := laneEndings
	for _, p := range lock.Priorities() {
		require.Greater(t, laneOf(p), last)
		last = laneOf(p)
	}
	require.Equal(t, laneNormal, laneOf(lock.Unstated))
}

func TestTicket_belongsToTheFirstThatClaimsIt(t *testing.T) {
	t.Parallel()
	left, stays := &ticket{}, &ticket{}
	require.True(t, left.claim())
	require.Equal(t, []*ticket{stays}, claimed([]*ticket{left, stays}))
}
