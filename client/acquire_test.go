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

func live(t *testing.T, c *client.Client) []wire.Lock {
	t.Helper()
	var all []wire.Lock
	for l, err := range c.List(t.Context(), client.ListFilter{}) {
		require.NoError(t, err)
		all = append(all, l)
	}
	return all
}

func TestAcquire_waitsUntilTheHolderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, newFake())
		first, err := c.Acquire(t.Context(), ask("ann", 0, 0))
		require.NoError(t, err)
		time.AfterFunc(50*time.Second, func() { _, _ = c.Release(t.Context(), first.ID, first.Token) })
		start := time.Now()
		var seen []*wire.Lock
		second, err := c.Acquire(t.Context(), ask("bob", 0, time.Minute), client.OnProgress(func(l *wire.Lock) { seen = append(seen, l) }))
		require.NoError(t, err)
		require.Equal(t, client.Held, second.State)
		require.Greater(t, second.Token, first.Token)
		require.Equal(t, 50*time.Second, time.Since(start))
		require.Len(t, seen, 4, "at the start and after each waiting call")
		require.Equal(t, 1, seen[0].Position)
		require.Equal(t, "ann", seen[0].BlockedBy[0].Owner)
	})
}

func TestAcquire_theWaitRunsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, newFake())
		_, err := c.Acquire(t.Context(), ask("ann", 0, 0))
		require.NoError(t, err)
		start := time.Now()
		_, err = c.Acquire(t.Context(), ask("bob", 0, 40*time.Second))
		require.ErrorIs(t, err, client.ErrLocked)
		require.Equal(t, 40*time.Second, time.Since(start))
	})
}

func TestAcquire_theGatewayIsAwayForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, newFake())
		first, err := c.Acquire(t.Context(), ask("ann", 0, 0))
		require.NoError(t, err)
		got := make(chan *wire.Lock)
		go func() {
			l, _ := c.Acquire(t.Context(), ask("bob", 0, 10*time.Minute))
			got <- l
		}()
		synctest.Wait()
		p.down.Store(true)
		time.AfterFunc(40*time.Second, func() { p.down.Store(false) })
		time.AfterFunc(60*time.Second, func() { _, _ = c.Release(t.Context(), first.ID, first.Token) })
		l := <-got
		require.NotNil(t, l, "the place in the queue outlived the gateway's absence")
		require.Len(t, live(t, c), 1)
	})
}

func TestAcquire_aGatewayThatDoesNotKeepCallsOpenIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := newFake()
		var waits atomic.Int32
		c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/wait") {
				waits.Add(1)
				r.URL.RawQuery = "timeout=0s"
			}
			table.ServeHTTP(w, r)
		}))
		_, err := c.Acquire(t.Context(), ask("ann", 0, 0))
		require.NoError(t, err)
		_, err = c.Acquire(t.Context(), ask("bob", 0, 10*time.Second))
		require.ErrorIs(t, err, client.ErrLocked)
		require.LessOrEqual(t, waits.Load(), int32(11))
	})
}

func TestAcquire_contextEndsWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, newFake())
		_, err := c.Acquire(t.Context(), ask("ann", 0, 0))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err = c.Acquire(ctx, ask("bob", 0, time.Hour))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, live(t, c), 1, "the request was taken back")
	})
}

// The gateway grants while its caller leaves: the answer is lost, the lock is not
// kept.
func TestAcquire_contextEndsWhileTheLockIsGranted(t *testing.T) {
	for _, path := range []string{"/wait", "/v1/locks"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := newFake()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var first *wire.Lock
				c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, path) && ctx.Err() == nil && first != nil {
						r = r.WithContext(context.WithoutCancel(r.Context()))
						table.ServeHTTP(w, r)
						cancel()
						return
					}
					table.ServeHTTP(w, r)
				}))
				l, err := c.Acquire(t.Context(), ask("ann", 5*time.Second, 0))
				require.NoError(t, err)
				first = l
				_, err = c.Acquire(ctx, ask("bob", 0, time.Hour))
				require.ErrorIs(t, err, context.Canceled)
				for _, l := range live(t, c) {
					require.Equal(t, "ann", l.Owner)
				}
			})
		})
	}
}

// The first answer is awaited no longer: a lock that the owner had before stays.
func TestAcquire_contextEndsBeforeTheFirstAnswer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		owner string
		first bool // whether the first call reaches the gateway
		left  []string
	}{
		{"the request was never heard of", "bob", false, []string{"ann"}},
		{"the owner had the lock before", "ann", true, []string{"ann"}},
		{"it cannot be told from a lock of before", "bob", true, []string{"ann", "bob"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := newFake()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			interrupt := false
			c, _ := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !interrupt {
					table.ServeHTTP(w, r)
					return
				}
				interrupt = false
				if tt.first {
					table.ServeHTTP(w, r)
				}
				cancel()
			}))
			_, err := c.Acquire(t.Context(), ask("ann", 0, 0))
			require.NoError(t, err)
			interrupt = true
			mine := ask(tt.owner, 0, 0)
			if tt.owner == "bob" {
				mine.Resources[0].Key = "dns"
			}
			_, err = c.Acquire(ctx, mine)
			require.ErrorIs(t, err, context.Canceled)
			var owners []string
			for _, l := range live(t, c) {
				owners = append(owners, l.Owner)
			}
			require.Equal(t, tt.left, owners)
		})
	}
}
