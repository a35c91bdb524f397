package client_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestHold_outlivesItsLeaseUntilUnlocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newFake()
		var renewals atomic.Int32
		c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/renew") {
				renewals.Add(1)
			}
			table.ServeHTTP(w, r)
		}))
		h, err := c.Hold(t.Context(), ask("ann", 30*time.Second, 0))
		require.NoError(t, err)
		wait(t, 5*time.Minute)
		require.NoError(t, h.Context().Err())
		require.EqualValues(t, 30, renewals.Load(), "one every third of the lease, the last under way")
		require.NoError(t, h.Unlock(t.Context()))
		require.ErrorIs(t, context.Cause(h.Context()), context.Canceled)
		require.Empty(t, live(t, c))
	})
}

// wait lets a bubble's clock run.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	synctest.Wait()
}

func TestHold_isLostWhenRevoked(t *testing.T) {
	for _, ttl := range []time.Duration{30 * time.Second, 0} {
		t.Run(ttl.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := dial(t, newFake())
				h, err := c.Hold(t.Context(), ask("ann", ttl, 0))
				require.NoError(t, err)
				_, err = c.ForceRelease(t.Context(), h.Lock().ID, "rebuilding")
				require.NoError(t, err)
				start := time.Now()
				<-h.Context().Done()
				require.LessOrEqual(t, time.Since(start), 10*time.Second)
				require.ErrorIs(t, context.Cause(h.Context()), client.ErrLost)
				require.ErrorIs(t, context.Cause(h.Context()), client.ErrStaleToken)
				require.ErrorIs(t, h.Unlock(t.Context()), client.ErrLost)
			})
		})
	}
}

func TestHold_isLostWhenTheLeaseEndsUnrenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, newFake())
		h, err := c.Hold(t.Context(), ask("ann", time.Minute, 0))
		require.NoError(t, err)
		p.down.Store(true)
		start := time.Now()
		<-h.Context().Done()
		require.Equal(t, time.Minute, time.Since(start), "neither before the lease ends nor after")
		require.ErrorIs(t, context.Cause(h.Context()), client.ErrLost)
		require.ErrorIs(t, context.Cause(h.Context()), client.ErrUnreachable)
		require.ErrorIs(t, h.Unlock(t.Context()), client.ErrLost)
	})
}

func TestHold_survivesAGatewayThatComesBackInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, newFake())
		h, err := c.Hold(t.Context(), ask("ann", time.Minute, 0))
		require.NoError(t, err)
		p.down.Store(true)
		wait(t, 55*time.Second)
		p.down.Store(false)
		wait(t, 5*time.Minute)
		require.NoError(t, h.Context().Err())
		require.NoError(t, h.Unlock(t.Context()))
	})
}

// A lock without a lease ends only by the gateway's word.
func TestHold_withoutALeaseSurvivesALongAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, newFake())
		h, err := c.Hold(t.Context(), ask("ann", 0, 0))
		require.NoError(t, err)
		p.down.Store(true)
		wait(t, time.Hour)
		p.down.Store(false)
		require.NoError(t, h.Context().Err())
		require.NoError(t, h.Unlock(t.Context()))
	})
}

// Whoever is told to stop still holds the lock while stopping.
func TestHold_isRenewedAfterItsContextEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, newFake())
		ctx, cancel := context.WithCancel(t.Context())
		h, err := c.Hold(ctx, ask("ann", 10*time.Second, 0))
		require.NoError(t, err)
		cancel()
		require.ErrorIs(t, h.Context().Err(), context.Canceled)
		wait(t, time.Minute)
		require.Len(t, live(t, c), 1)
		require.NoError(t, h.Unlock(t.Context()))
	})
}

// The lock is granted early in a waiting call whose answer comes late: the lease
// is renewed before it is handed out.
func TestHold_knowsWhenTheLeaseBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newFake()
		c, p := dial(t, table)
		p.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			table.ServeHTTP(w, r)
			if strings.HasSuffix(r.URL.Path, "/wait") {
				wait(t, 8*time.Second)
			}
		})
		first, err := c.Acquire(t.Context(), ask("ann", 5*time.Second, 0))
		require.NoError(t, err)
		h, err := c.Hold(t.Context(), ask("bob", 10*time.Second, time.Minute))
		require.NoError(t, err)
		require.Greater(t, h.Lock().Token, first.Token)
		now, err := c.Get(t.Context(), h.Lock().ID, 0)
		require.NoError(t, err)
		require.Equal(t, 10*time.Second, time.Until(now.Expires.Time))
		p.down.Store(true)
		start := time.Now()
		<-h.Context().Done()
		require.Equal(t, 10*time.Second, time.Since(start))
		p.down.Store(false)
		require.ErrorIs(t, h.Unlock(t.Context()), client.ErrLost)
	})
}

func TestUnlock_tellsOfALossThatNoRenewalSaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, newFake())
		h, err := c.Hold(t.Context(), ask("ann", time.Minute, 0))
		require.NoError(t, err)
		_, err = c.ForceRelease(t.Context(), h.Lock().ID, "rebuilding")
		require.NoError(t, err)
		require.ErrorIs(t, h.Unlock(t.Context()), client.ErrLost)
	})
}

func TestUnlock_ofALockThatTheGatewayHasForgotten(t *testing.T) {
	for _, p := range []wire.Problem{{Status: 404, Code: wire.CodeNotFound}, {Status: 409, Code: wire.CodeStaleToken}} {
		table := newFake()
		c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodDelete {
				refuse(w, p)
				return
			}
			table.ServeHTTP(w, r)
		}))
		h, err := c.Hold(t.Context(), ask("ann", time.Minute, 0))
		require.NoError(t, err)
		require.ErrorIs(t, h.Unlock(t.Context()), client.ErrLost)
	}
}

func TestHold_isRefusedLikeAcquire(t *testing.T) {
	c, _ := dial(t, newFake())
	_, err := c.Hold(t.Context(), &wire.AcquireRequest{Namespace: "frozen", Resources: []wire.Resource{{Key: "vpc"}}, Owner: "ann"})
	require.ErrorIs(t, err, client.ErrDenied)
}
