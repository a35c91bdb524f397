package lock_test

import (
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/lock"
)

func TestNewID_isAULIDThatCarriesTheNamespace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := lock.Namespace(rapid.StringN(1, 20, 60).Draw(t, "namespace"))
		now := time.UnixMilli(rapid.Int64Range(0, 1<<47).Draw(t, "now"))
		serial := rapid.Uint64().Draw(t, "serial")

		id := lock.NewID(ns, now, serial)

		require.Empty(t, id.Fault())
		require.Equal(t, ns.Tag(), id.Tag())
		parsed, err := ulid.ParseStrict(string(id))
		require.NoError(t, err)
		require.Equal(t, now.UnixMilli(), parsed.Timestamp().UnixMilli())
		entropy := parsed.Entropy()
		require.Equal(t, byte(ns.Tag()>>24), entropy[0])
		require.Equal(t, byte(serial), entropy[9])
	})
}

func TestIDTag_ofTextThatIsNoIDIsHarmless(t *testing.T) {
	for _, id := range []lock.ID{"", "x", "0000000000äää0000000000000", "UUUUUUUUUUUUUUUUUUUUUUUUUU"} {
		require.NotPanics(t, func() { id.Tag() })
	}
}

func TestIDs_ascendWithinAMillisecondAndNeverRepeat(t *testing.T) {
	ids, now := lock.NewIDs(), time.UnixMilli(1_700_000_000_000)
	const makers, each = 8, 500
	made := make([][]lock.ID, makers)
	var wg sync.WaitGroup
	for i := range makers {
		wg.Go(func() {
			for range each {
				made[i] = append(made[i], ids.Next("acme/infra", now))
			}
		})
	}
	wg.Wait()

	seen := map[lock.ID]bool{}
	for _, list := range made {
		require.IsIncreasing(t, list)
		for _, id := range list {
			require.False(t, seen[id], "%s was made twice", id)
			seen[id] = true
		}
	}
	require.Len(t, seen, makers*each)
}
