package embedded_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// TestFullDisk fills a small file system. What does not fit has not happened, the
// store says which file and why, and goes on once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs to mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, 0)) })
	filler := filepath.Join(dir, "filler")
	require.NoError(t, os.WriteFile(filler, make([]byte, 1<<20), 0o600))
	path := filepath.Join(dir, "lockgate.db")
	store := open(t, path, lock.DefaultRules())

	acquire := func(id lock.ID) (lock.Outcome, error) {
		out, err := store.Apply(t.Context(), []lock.Step{&lock.Acquire{Lock: lock.Lock{
			ID: id, Namespace: "ns", Owner: lock.Owner(id), Resources: []lock.Resource{{Key: lock.Key(id)}}, TTL: time.Hour,
		}}})
		if err != nil {
			return lock.Outcome{}, err
		}
		return out[0], nil
	}
	var good []lock.ID
	var refused error
	var lost lock.ID
	for refused == nil {
		id := lock.ID(ulid.Make().String())
		out, err := acquire(id)
		if err != nil {
			refused, lost = err, id
			break
		}
		require.NoError(t, out.Err)
		good = append(good, id)
		require.Less(t, len(good), 10_000, "the disk never was full")
	}
	var unavailable *lock.UnavailableError
	require.ErrorAs(t, refused, &unavailable)
	require.ErrorIs(t, refused, syscall.ENOSPC)
	require.ErrorContains(t, refused, path)

	require.ErrorAs(t, store.Ping(t.Context()), &unavailable)

	_, err := store.Get(t.Context(), lost)
	require.ErrorIs(t, err, lock.ErrNotFound, "nothing of it happened")
	for _, id := range good {
		l, err := store.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, lock.Held, l.State)
	}
	tip, err := store.Tip(t.Context())
	require.NoError(t, err)
	all, err := store.Events(t.Context(), "", 1000)
	require.NoError(t, err)
	require.NotEmpty(t, all)

	require.NoError(t, os.Remove(filler))
	out, err := acquire(lost)
	require.NoError(t, err, "there is room again")
	require.NoError(t, out.Err)
	require.NoError(t, store.Ping(t.Context()))
	after, err := store.Events(t.Context(), tip, 10)
	require.NoError(t, err)
	require.Len(t, after, 1, "no event of what did not happen")
}
