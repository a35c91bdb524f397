package embedded_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

func TestOpen_unsetRules(t *testing.T) {
	_, err := embedded.Open(embedded.Config{}, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "offer_timeout must be at least 1ms")
}

func TestStore_callsBeforeRunWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := embedded.Open(embedded.Config{Rules: lock.DefaultRules()}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		for name, call := range map[string]func(context.Context) error{
			"apply":  func(ctx context.Context) error { _, err := store.Apply(ctx, nil); return err },
			"ping":   store.Ping,
			"events": func(ctx context.Context) error { _, err := store.Events(ctx, "", 1); return err },
			"tip":    func(ctx context.Context) error { _, err := store.Tip(ctx); return err },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			require.ErrorIs(t, call(ctx), context.DeadlineExceeded, name)
			cancel()
		}
		waiting := make(chan error)
		go func() { waiting <- store.Ping(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- store.Run(ctx) }()
		require.NoError(t, <-waiting)
		require.ErrorContains(t, store.Run(ctx), "once")
		cancel()
		require.NoError(t, <-ended)
	})
}

func TestStore_callsAfterRunFail(t *testing.T) {
	defer goleak.VerifyNone(t)
	store, stop := start(t, filepath.Join(t.TempDir(), "lockgate.db"), lock.DefaultRules())
	reader := make(chan error)
	go func() {
		_, err := store.Events(t.Context(), "", 1)
		reader <- err
	}()
	require.NoError(t, store.Ping(t.Context()))
	stop()
	var unavailable *lock.UnavailableError
	require.ErrorAs(t, <-reader, &unavailable)
	_, err := store.Apply(t.Context(), []lock.Step{acquireOf("a", "k", 0)})
	require.ErrorAs(t, err, &unavailable)
	require.NotZero(t, unavailable.RetryAfter)
	require.ErrorAs(t, store.Ping(t.Context()), &unavailable)
	_, err = store.Tip(t.Context())
	require.ErrorAs(t, err, &unavailable)
}

// TestStore_goesOnAfterRestart: requests, queues, keys, tombstones and the log are
// what they were, and neither tokens nor time nor the log's end go back.
func TestStore_goesOnAfterRestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockgate.db")
	store, stop := start(t, path, lock.DefaultRules())
	first := acquireOf("a", "k", 0)
	first.Idempotency = lock.Idempotency{Key: "key", Hash: "hash"}
	a := apply(t, store, first)[0].Lock
	b := apply(t, store, acquireOf("b", "k", time.Hour))[0].Lock
	gone := acquireOf("c", "other", 0)
	gone.Lock.Namespace = "soon empty"
	c := apply(t, store, gone)[0].Lock
	apply(t, store, &lock.Release{ID: c.ID, Token: c.Token})
	log, err := store.Events(t.Context(), "", 100)
	require.NoError(t, err)
	stop()

	store = open(t, path, lock.DefaultRules())
	again, err := store.Events(t.Context(), "", 100)
	require.NoError(t, err)
	require.Equal(t, log, again)
	for _, want := range []lock.Lock{a, b} {
		got, err := store.Get(t.Context(), want.ID)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	first.Lock.ID = lock.ID(ulid.Make().String())
	repeat := apply(t, store, first)[0]
	require.True(t, repeat.Repeat)
	require.Equal(t, a, repeat.Lock)
	require.True(t, apply(t, store, &lock.Release{ID: c.ID, Token: c.Token})[0].Repeat)
	gone.Lock.ID = lock.ID(ulid.Make().String())
	d := apply(t, store, gone)[0].Lock
	require.Greater(t, d.Token, c.Token)
	require.False(t, d.AcquiredAt.Before(c.AcquiredAt))
	next, err := store.Events(t.Context(), log[len(log)-1].Cursor, 100)
	require.NoError(t, err)
	require.Len(t, next, 1)
	require.Equal(t, d.ID, next[0].Lock.ID)
}

// TestEvents_olderThanMemory: a store without a file forgets events that it has
// no room for, and says so; one with a file reads them back.
func TestEvents_olderThanMemory(t *testing.T) {
	const many = 20_000
	for name, path := range map[string]string{"memory": "", "file": filepath.Join(t.TempDir(), "lockgate.db")} {
		store := open(t, path, lock.DefaultRules())
		batch := make([]lock.Step, many)
		for i := range batch {
			batch[i] = &lock.Deny{Lock: acquireOf(strconv.Itoa(i), "k", 0).Lock, Action: lock.ActAcquire}
		}
		apply(t, store, batch...)
		read, gaps := 0, 0
		for cursor := events.Cursor("0"); cursor != events.Cursor(strconv.Itoa(many)); {
			some, err := store.Events(t.Context(), cursor, 1000)
			require.NoError(t, err)
			for _, e := range some {
				if e.Type == events.Gap {
					gaps++
				} else {
					read++
				}
				cursor = e.Cursor
			}
		}
		if path == "" {
			require.Equal(t, 1, gaps, name)
			require.Less(t, read, many, name)
		} else {
			require.Equal(t, many, read, name)
		}
		_, err := store.Events(t.Context(), events.Cursor("-1"), 1)
		require.ErrorContains(t, err, "cursor")
	}
}

// TestHammer does everything at once; the race detector and the table's own rule,
// that no two holders conflict, are the judges.
func TestHammer(t *testing.T) {
	rules := lock.DefaultRules()
	rules.OfferTimeout, rules.PollOfferTimeout = time.Millisecond, time.Millisecond
	store := open(t, filepath.Join(t.TempDir(), "lockgate.db"), rules)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	done := make(chan int)
	for i := range 8 {
		go func() {
			n := 0
			defer func() { done <- n }()
			for ctx.Err() == nil {
				a := acquireOf(strconv.Itoa(i), "key"+strconv.Itoa(n%3), time.Second)
				a.Lock.TTL = time.Duration(n%4) * time.Millisecond
				if n%2 == 0 {
					a.Lock.Resources[0].Mode = lock.Shared
				}
				id := a.Lock.ID
				out, err := store.Apply(ctx, []lock.Step{a, &lock.Attend{IDs: []lock.ID{id}, Attendee: lock.Attendee{Attended: true}}, &lock.Confirm{ID: id}})
				if err == nil {
					_, _ = store.Apply(ctx, []lock.Step{&lock.Release{ID: id, Token: out[0].Lock.Token}, &lock.EndOwner{Owner: a.Lock.Owner}})
				}
				n++
			}
		}()
	}
	cursor := events.Cursor("")
	for ctx.Err() == nil {
		some, err := store.Events(ctx, cursor, 100)
		if err != nil {
			break
		}
		cursor = some[len(some)-1].Cursor
		page, err := store.Queues(t.Context(), lock.QueueQuery{Limit: 10, Depth: 10})
		require.NoError(t, err)
		for _, q := range page.Queues {
			for _, h := range q.Holders {
				mode, _ := h.Mode(q.Resource)
				for _, o := range q.Holders {
					other, _ := o.Mode(q.Resource)
					require.False(t, h.Owner != o.Owner && mode.Conflicts(other), "%s and %s hold %s", h.Owner, o.Owner, q.Resource)
				}
			}
		}
		_, err = store.Stats(t.Context())
		require.NoError(t, err)
	}
	total := 0
	for range 8 {
		total += <-done
	}
	require.NotZero(t, total)
}
