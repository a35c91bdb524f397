package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// stage is one store under test, with short names for requests.
type stage struct {
	t      *testing.T
	store  orchestrator.Store
	clock  clock
	cursor events.Cursor // of the last event that the test has seen
}

func newStage(t *testing.T, store orchestrator.Store) *stage {
	t.Helper()
	tip, err := store.Tip(t.Context())
	require.NoError(t, err)
	return &stage{t: t, store: store, cursor: tip}
}

// nameLength is how long names may be.
const nameLength = 9

// idOf is the id of a request in namespace "test" with a short name of letters
// and digits; the letters are those of a ULID but Z. Ids of names of one length
// are in their order.
func idOf(name string) lock.ID { return idIn("test", name) }

// idIn is idOf for another namespace, which every id carries.
func idIn(ns lock.Namespace, name string) lock.ID {
	carries := lock.NewID(ns, time.UnixMilli(0), 0)
	return lock.ID("0"+strings.ToUpper(name)+strings.Repeat("Z", nameLength-len(name))) + carries[1+nameLength:]
}

// nameOf is the name that idOf was given, in lower case.
func nameOf(id lock.ID) string {
	if len(id) <= nameLength {
		return ""
	}
	return strings.ToLower(strings.TrimRight(string(id[1:1+nameLength]), "Z"))
}

// elsewhere is the same request in another namespace.
func elsewhere(ns lock.Namespace, a *lock.Acquire) *lock.Acquire {
	a.Lock.Namespace, a.Lock.ID = ns, idIn(ns, nameOf(a.Lock.ID))
	return a
}

// apply does one step and answers its outcome.
func (s *stage) apply(step lock.Step) lock.Outcome {
	s.t.Helper()
	out, err := s.store.Apply(s.t.Context(), []lock.Step{step})
	require.NoError(s.t, err)
	require.Len(s.t, out, 1)
	return out[0]
}

// done is apply for a step that must succeed.
func (s *stage) done(step lock.Step) lock.Outcome {
	s.t.Helper()
	out := s.apply(step)
	require.NoError(s.t, out.Err, "%s", step.Name())
	return out
}

func (s *stage) get(name string) lock.Lock {
	s.t.Helper()
	l, err := s.store.Get(s.t.Context(), idOf(name))
	require.NoError(s.t, err)
	return l
}

// fresh answers the events since the last call that looked at events.
func (s *stage) fresh() []events.Event {
	s.t.Helper()
	tip, err := s.store.Tip(s.t.Context())
	require.NoError(s.t, err)
	var all []events.Event
	for s.cursor != tip {
		some, err := s.store.Events(s.t.Context(), s.cursor, 100)
		require.NoError(s.t, err)
		for _, e := range some {
			all = append(all, e)
			s.cursor = e.Cursor
			if e.Cursor == tip {
				break
			}
		}
	}
	return all
}

// await waits for an event of a request and answers it.
func (s *stage) await(what events.Type, name string) events.Event {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		some, err := s.store.Events(ctx, s.cursor, 1)
		require.NoError(s.t, err, "waiting for %s of %s", what, name)
		s.cursor = some[0].Cursor
		if some[0].Type == what && nameOf(some[0].Lock.ID) == strings.ToLower(name) {
			return some[0]
		}
	}
}

// ask is an acquire of keys in the namespace "test"; the owner is the name.
// Keys end in "~" when they are wanted in shared mode.
func ask(name string, wait time.Duration, keys ...string) *lock.Acquire {
	return &lock.Acquire{Lock: lock.Lock{
		ID: idOf(name), Namespace: "test", Owner: lock.Owner(name), Subject: "subject", Resources: resourcesOf(keys),
		Priority: lock.Normal, Value: lock.Normal.Base(), Wait: wait,
	}}
}

func resourcesOf(keys []string) []lock.Resource {
	list := make([]lock.Resource, len(keys))
	for i, k := range keys {
		name, shared := strings.CutSuffix(k, "~")
		list[i] = lock.Resource{Key: lock.Key(name)}
		if shared {
			list[i].Mode = lock.Shared
		}
	}
	return list
}

// held acquires what must be free.
func (s *stage) held(a *lock.Acquire) lock.Lock {
	s.t.Helper()
	out := s.done(a)
	require.Equal(s.t, lock.Held, out.Lock.State)
	return out.Lock
}

// queued acquires what must be taken.
func (s *stage) queued(a *lock.Acquire) lock.Lock {
	s.t.Helper()
	out := s.done(a)
	require.Equal(s.t, lock.Queued, out.Lock.State)
	return out.Lock
}

func (s *stage) release(l *lock.Lock) {
	s.t.Helper()
	s.done(&lock.Release{ID: l.ID, Token: l.Token})
}

// line describes an event in a trace.
func line(e *events.Event) string {
	text := fmt.Sprintf("%s %s", e.Type, nameOf(e.Lock.ID))
	if e.Reason != "" {
		text += fmt.Sprintf(" (%s)", e.Reason)
	}
	return text
}
