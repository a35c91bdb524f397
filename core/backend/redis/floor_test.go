package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
)

func TestFloor_countsPairsAndTheirTraffic(t *testing.T) {
	server := redistest.Start(t)
	f, err := NewFloor(server.URL())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	before, err := f.Traffic(t.Context())
	require.NoError(t, err)
	const clients, took = 2, 50 * time.Millisecond
	pairs, err := f.Pairs(t.Context(), clients, took)
	require.NoError(t, err)
	require.Positive(t, pairs)
	after, err := f.Traffic(t.Context())
	require.NoError(t, err)
	const least = 60 // bytes of SETNX and DEL with their answers
	require.Greater(t, after-before, int64(pairs*took.Seconds()*least))

	_, err = NewFloor("http://127.0.0.1")
	require.Error(t, err)
}
