package embedded_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/embedded"
	"github.com/lockgate/lockgate/core/lock"
)

// childFile makes the test binary a child of the kill test: it works on that
// file until it is killed.
const childFile = "LOCKGATE_KILL_TEST_FILE"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		if err := work(context.Background(), path, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1) // only a kill ends a child
	}
	os.Exit(m.Run())
}

// acknowledged is one line that a child prints after the store has answered, or,
// with Asked, before it asks for a release: from then on the lock may be gone.
type acknowledged struct {
	ID    lock.ID
	Owner lock.Owner
	State lock.State
	Token lock.Token
	Asked bool
}

// work lets many callers acquire, confirm and release a few keys.
func work(ctx context.Context, path string, out io.Writer) error {
	rules := lock.DefaultRules()
	rules.OfferTimeout = 50 * time.Millisecond
	store, err := embedded.Open(embedded.Config{Path: path, Rules: rules}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(a acknowledged) {
		mu.Lock()
		defer mu.Unlock()
		_ = json.NewEncoder(out).Encode(a)
	}
	for range 16 {
		go caller(ctx, store, say)
	}
	return store.Run(ctx)
}

func caller(ctx context.Context, store *embedded.Store, say func(acknowledged)) {
	for {
		id := lock.ID(ulid.Make().String())
		key := lock.Key(fmt.Sprintf("key%d", rand.IntN(40)))
		l, ok := one(ctx, store, &lock.Acquire{
			Lock: lock.Lock{
				ID: id, Namespace: "kill", Owner: lock.Owner(id), Subject: "child",
				Resources: []lock.Resource{{Key: key}}, Wait: time.Hour,
			},
			Attend: lock.Attendee{Attended: true},
		})
		for range 5 { // waits by polling, so that others take part in the batches
			if !ok || l.State == lock.Held {
				break
			}
			l, ok = one(ctx, store, &lock.Confirm{ID: id})
		}
		if !ok || l.State != lock.Held {
			_, _ = one(ctx, store, &lock.Release{ID: id})
			continue
		}
		say(acknowledged{ID: id, Owner: l.Owner, State: l.State, Token: l.Token})
		if rand.IntN(4) == 0 && key != "key0" {
			continue // held for good
		}
		say(acknowledged{ID: id, Asked: true})
		if l, ok = one(ctx, store, &lock.Release{ID: id, Token: l.Token}); ok {
			say(acknowledged{ID: id, State: l.State, Token: l.Token})
		}
	}
}

// one does one step; a refusal of its own is answered as the request stands.
func one(ctx context.Context, store *embedded.Store, step lock.Step) (lock.Lock, bool) {
	out, err := store.Apply(ctx, []lock.Step{step})
	if err != nil {
		return lock.Lock{}, false
	}
	return out[0].Lock, out[0].Lock.ID != ""
}

// TestKill kills a process that works on the file at random moments. Whatever it
// was told must be in the file afterwards.
func TestKill(t *testing.T) {
	rounds := 30 // a hundred over HTTP: package e2e
	if testing.Short() {
		rounds = 10
	}
	k := &killed{path: filepath.Join(t.TempDir(), "lockgate.db"), held: map[lock.ID]acknowledged{}}
	for round := range rounds {
		k.round(t, time.Duration(5+rand.IntN(300))*time.Millisecond)
		k.check(t, round)
	}
	require.NotEmpty(t, k.held, "the children got nothing done")
	t.Logf("%d kills, %d acknowledged grants, %d of them held at the end", rounds, k.grants, len(k.held))
}

// killed is what all children together were told.
type killed struct {
	path   string
	held   map[lock.ID]acknowledged
	unsure map[lock.ID]bool // a release was asked for and not acknowledged
	token  lock.Token
	grants int
}

// round runs one child and kills it a while after its first answer.
func (k *killed) round(t *testing.T, life time.Duration) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childFile+"="+k.path)
	child.Stderr = os.Stderr
	pipe, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	k.unsure = map[lock.ID]bool{}
	lines := bufio.NewScanner(pipe)
	var end *time.Timer
	for lines.Scan() {
		if end == nil {
			end = time.AfterFunc(life, func() { _ = child.Process.Kill() })
		}
		var a acknowledged
		if json.Unmarshal(lines.Bytes(), &a) != nil {
			break // the line that the kill cut off
		}
		k.hear(t, a)
	}
	require.NotNil(t, end, "the child answered nothing")
	require.Error(t, child.Wait(), "a child ends by a kill only")
}

func (k *killed) hear(t *testing.T, a acknowledged) {
	t.Helper()
	switch {
	case a.Asked:
		k.unsure[a.ID] = true
	case a.State == lock.Held:
		k.grants++
		require.Greater(t, int64(a.Token), int64(0))
		k.held[a.ID] = a
	default:
		delete(k.held, a.ID)
		delete(k.unsure, a.ID)
	}
}

// check opens the file as the next process would.
func (k *killed) check(t *testing.T, round int) {
	t.Helper()
	store, stop := start(t, k.path, lock.DefaultRules())
	defer stop()
	highest := k.token
	for id, a := range k.held {
		l, err := store.Get(t.Context(), id)
		require.NoError(t, err, "round %d: %s was held", round, id)
		require.Equal(t, a.Token, l.Token, "round %d", round)
		if l.State == lock.Held {
			continue
		}
		require.True(t, k.unsure[id], "round %d: %s is %s and nobody released it", round, id, l.State)
		delete(k.held, id)
	}
	taken := map[lock.Key]lock.ID{}
	for q := (lock.Query{Limit: 1000}); ; {
		page, err := store.List(t.Context(), q)
		require.NoError(t, err)
		for _, l := range page.Locks {
			highest = max(highest, l.Token)
			if l.State == lock.Queued {
				continue
			}
			require.Empty(t, taken[l.Resources[0].Key], "round %d: %s is held twice", round, l.Resources[0].Key)
			taken[l.Resources[0].Key] = l.ID
		}
		if q.After = page.Next; q.After == "" {
			break
		}
	}
	k.probe(t, store, highest)
}

// probe gets one more lock: its token must be larger than every one before. It
// also frees what children held for good, so that the next has something to do.
func (k *killed) probe(t *testing.T, store *embedded.Store, highest lock.Token) {
	t.Helper()
	for _, a := range k.held {
		highest = max(highest, a.Token)
	}
	id := lock.ID(ulid.Make().String())
	l, ok := one(t.Context(), store, &lock.Acquire{Lock: lock.Lock{
		ID: id, Namespace: "kill", Owner: "probe", Resources: []lock.Resource{{Key: "probe"}},
	}})
	require.True(t, ok)
	require.Greater(t, l.Token, highest)
	k.token = l.Token
	_, _ = one(t.Context(), store, &lock.Release{ID: id, Token: l.Token})
	if len(k.held) < 30 {
		return
	}
	for id, a := range k.held {
		l, _ := one(t.Context(), store, &lock.Release{ID: id, Token: a.Token})
		require.Equal(t, lock.Released, l.State)
		delete(k.held, id)
	}
}
