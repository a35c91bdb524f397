package embedded

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// full is a lock in which every field that is kept has a value; a new field of
// lock.Lock fails here until the store carries it.
func full(t *testing.T) lock.Lock {
	t.Helper()
	at := time.UnixMilli(1_700_000_000_000).UTC()
	l := lock.Lock{
		ID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", State: lock.Offered, Namespace: "ns", Owner: "o", Subject: "s", Actor: "a",
		Resources: []lock.Resource{{Key: "k", Mode: lock.Shared}}, Priority: lock.High, Value: 700, Token: 9, Reason: "r",
		TTL: time.Second, MaxTTL: time.Minute, Wait: time.Hour,
		RequestedAt: at, WaitUntil: at.Add(1e6), OfferUntil: at.Add(2e6), AcquiredAt: at.Add(3e6), ExpiresAt: at.Add(4e6),
		EndedAt: at.Add(5e6), Attendance: lock.Attendance{Attended: true, AliveUntil: at.Add(6e6)}, Lapses: 1, Preemptible: true,
		Decision: lock.Summary{ID: "d", Revision: "v", Reasons: []lock.Reason{{Code: "c"}}, Warnings: []lock.Reason{{Code: "w"}}},
		Labels:   map[string]string{"k": "v"}, Context: json.RawMessage(`{"a":1}`), Trace: lock.Trace{Parent: "p", State: "s"},
		DeadlockAction: lock.RevokeLocks, RetryOf: "01ARZ3NDEKTSV4RRFFQ69G5FAW", Losses: 2, Lead: 3, Deadlock: &lock.Deadlock{ID: "d1"},
	}
	for i := range reflect.TypeOf(l).NumField() {
		f := reflect.TypeOf(l).Field(i)
		if f.Tag.Get("json") != "-" {
			require.False(t, reflect.ValueOf(l).Field(i).IsZero(), "this test does not know %s", f.Name)
		}
	}
	return l
}

func TestEntry_carriesEveryField(t *testing.T) {
	want := full(t)
	table := newTable(lock.DefaultRules())
	got := newEntry(table.namespace(want.Namespace), &want).snapshot()
	require.Empty(t, cmp.Diff(want, got))

	text, err := json.Marshal(got)
	require.NoError(t, err)
	var read lock.Lock
	require.NoError(t, json.Unmarshal(text, &read))
	require.Empty(t, cmp.Diff(want, read))
}

func TestStamp_plusRoundsUp(t *testing.T) {
	require.Equal(t, stamp(1), stamp(0).plus(time.Nanosecond))
	require.Equal(t, stamp(1), stamp(0).plus(time.Millisecond))
	require.Equal(t, stamp(2), stamp(0).plus(time.Millisecond+1))
}
