package embedded

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

const kept = 24 * time.Hour

// written makes a file with many requests, keys and events, large enough to have
// branch pages, overflow pages and free pages, and answers what is in it.
func written(tb testing.TB, path string) state {
	tb.Helper()
	f, err := openFile(path, kept)
	require.NoError(tb, err)
	s, err := f.load()
	require.NoError(tb, err)
	table := restore(&s, lock.DefaultRules())
	for i := range 200 {
		table.now = stampOf(time.Now())
		a := &lock.Acquire{
			Lock: lock.Lock{
				ID: lock.ID(fmt.Sprintf("01%024d", i)), Namespace: "ns", Owner: lock.Owner(strconv.Itoa(i)),
				Resources: []lock.Resource{{Key: lock.Key(fmt.Sprintf("key%d", i%150))}}, Wait: time.Hour,
			},
			Idempotency: lock.Idempotency{Key: strconv.Itoa(i)},
		}
		if i%40 == 0 {
			a.Lock.Context = []byte(`"` + strings.Repeat("x", 9000) + `"`)
		}
		require.NoError(tb, table.apply(a).Err)
		if i%10 == 9 {
			require.NoError(tb, f.commit(&table.changes, marks{table.now, table.token, table.tip}))
			table.changes = newChanges()
		}
	}
	s, err = f.load()
	require.NoError(tb, err)
	require.NoError(tb, f.close())
	require.Len(tb, s.locks, 200)
	return s
}

// reopened reads a file that may be damaged, and works with it when it opens.
func reopened(path string) (state, error) {
	f, err := openFile(path, kept)
	if err != nil {
		return state{}, err
	}
	s, err := f.load()
	if err == nil {
		table := restore(&s, lock.DefaultRules())
		table.now++
		table.apply(&lock.EndOwner{Owner: "3"})
		_ = f.commit(&table.changes, marks{table.now, table.token, table.tip})
		_, _ = f.events(0, 1000)
	}
	_ = f.close()
	return s, err
}

func TestFile_holdsWhatWasCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockgate.db")
	want := written(t, path)
	got, err := reopened(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(state{}, memory{}, call{}), cmp.AllowUnexported(marks{})))
}

func TestOpen_usedByAnother(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockgate.db")
	f, err := openFile(path, kept)
	require.NoError(t, err)
	_, err = openFile(path, kept)
	require.EqualError(t, err, path+" is in use by another process: stop that one, or name another file")
	require.NoError(t, f.close())
}

func TestOpen_refuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		want string
	}{
		"text": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600))
		}, "invalid database"},
		"a few bytes": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		}, "cannot be used as a lock table"},
		"another program's": {func(t *testing.T, path string) {
			t.Helper()
			db, err := bbolt.Open(path, 0o600, nil)
			require.NoError(t, err)
			require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
				_, err := tx.CreateBucket([]byte("theirs"))
				return err
			}))
			require.NoError(t, db.Close())
		}, "of another program"},
		"another version": {func(t *testing.T, path string) {
			t.Helper()
			edit(t, path, func(tx *bbolt.Tx) error {
				return put(tx.Bucket(metaBucket()), headerKey(), &header{Format: 99})
			})
		}, "it has format 99, this program reads format 2"},
		"lost record": {func(t *testing.T, path string) {
			t.Helper()
			edit(t, path, func(tx *bbolt.Tx) error {
				return tx.Bucket(requestsBucket()).Delete(fmt.Appendf(nil, "01%024d", 7))
			})
		}, "it has 199 requests and 200 idempotency keys, but 200 and 200 were written"},
		"lost event": {func(t *testing.T, path string) {
			t.Helper()
			edit(t, path, func(tx *bbolt.Tx) error { return tx.Bucket(eventsBucket()).Delete(sequenceKey(50)) })
		}, "event 50 is gone"},
		"unreadable record": {func(t *testing.T, path string) {
			t.Helper()
			edit(t, path, func(tx *bbolt.Tx) error {
				key := fmt.Appendf(nil, "01%024d", 7)
				return tx.Bucket(requestsBucket()).Put(key, seal(key, []byte(`{"id":`)))
			})
		}, "unexpected end of JSON"},
		"held twice": {func(t *testing.T, path string) {
			t.Helper()
			edit(t, path, func(tx *bbolt.Tx) error {
				b, key := tx.Bucket(requestsBucket()), fmt.Appendf(nil, "01%024d", 7)
				var l lock.Lock
				if err := unseal(key, b.Get(key), &l); err != nil {
					return err
				}
				l.Resources = []lock.Resource{{Key: "key3"}}
				return put(b, key, &l)
			})
		}, `holds "key3" beside somebody else`},
		"cut off": {func(t *testing.T, path string) {
			t.Helper()
			require.NoError(t, os.Truncate(path, 64<<10))
		}, "it is cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "lockgate.db")
			if name != "text" && name != "a few bytes" && name != "another program's" {
				written(t, path)
			}
			test.make(t, path)
			_, err := reopened(path)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "restore a copy, or move it away")
		})
	}
	_, err := openFile(t.TempDir(), kept)
	require.ErrorContains(t, err, "is a directory")
	_, err = openFile(filepath.Join(t.TempDir(), "none", "lockgate.db"), kept)
	require.ErrorContains(t, err, "no such file or directory")
}

func edit(t *testing.T, path string, change func(*bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
}

// TestOpen_damagedAnywhere flips, zeroes and scrambles random places of a file. A
// file that opens nevertheless holds what was written: the damage was in a page
// that is not in use. A damaged newest meta page looks like a write that power
// loss cut off, so the state is then that before the last commit.
func TestOpen_damagedAnywhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lockgate.db")
	want := written(t, path)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	rounds, refused := 40, 0
	if testing.Short() {
		rounds = 20
	}
	for round := range rounds {
		bad := append([]byte{}, whole...)
		at := rand.IntN(len(bad))
		length := 1 + rand.IntN(1<<rand.IntN(14))
		for i := at; i < min(at+length, len(bad)); i++ {
			switch round % 3 {
			case 0:
				bad[i] ^= 1 << rand.IntN(8)
			case 1:
				bad[i] = 0
			default:
				bad[i] = byte(rand.Uint32())
			}
		}
		victim := filepath.Join(dir, "damaged.db")
		require.NoError(t, os.WriteFile(victim, bad, 0o600))
		got, err := reopened(victim)
		switch {
		case err != nil:
			refused++
			require.ErrorContains(t, err, victim)
		case at >= 2*os.Getpagesize():
			require.Empty(t, cmp.Diff(want, got, cmp.AllowUnexported(state{}, memory{}, call{})), "damage at %d, %d bytes", at, length)
		}
	}
	require.NotZero(t, refused)
	t.Logf("%d of %d damaged files refused", refused, rounds)
}

// TestFile_vanishesUnderneath: a file that is cut off while it is open is a fault
// in mapped memory, which must not end the process.
func TestFile_vanishesUnderneath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockgate.db")
	written(t, path)
	f, err := openFile(path, kept)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 3*int64(os.Getpagesize())))
	_, err = f.events(0, 1000)
	require.ErrorContains(t, err, "a page is damaged")
	_, err = f.load()
	require.ErrorContains(t, err, path)
	_ = f.close()
}

func TestTrim_dropsOldEventsFewAtATime(t *testing.T) {
	f, err := openFile(filepath.Join(t.TempDir(), "lockgate.db"), time.Second)
	require.NoError(t, err)
	defer f.close()
	table := restore(&state{}, lock.DefaultRules())
	log := func(now stamp, n int) {
		table.now = now
		for range n {
			table.append(lock.Lock{}, happening{what: events.LockDenied})
		}
		require.NoError(t, f.commit(&table.changes, marks{table.now, table.token, table.tip}))
		table.changes = newChanges()
	}
	log(1000, 3*minTrim)
	log(5000, 1)
	found, err := f.events(0, 1)
	require.NoError(t, err)
	require.Equal(t, cursorOf(minTrim+1), found[0].Cursor)
	log(5000, 1)
	log(5000, 1)
	found, err = f.events(0, 10)
	require.NoError(t, err)
	require.Len(t, found, 3)
	require.Equal(t, 3, f.header.Events)
	_, err = f.load()
	require.NoError(t, err)
}

func FuzzOpen_damaged(f *testing.F) {
	dir := f.TempDir()
	path := filepath.Join(dir, "lockgate.db")
	written(f, path)
	whole, err := os.ReadFile(path)
	require.NoError(f, err)
	page := os.Getpagesize()
	for i := range uint32(30) {
		f.Add(i*uint32(page)+10, []byte{0xff, 0xff, 0xff, 0xff})
		f.Add(i*uint32(page)+16, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
	f.Fuzz(func(t *testing.T, at uint32, damage []byte) {
		bad := append([]byte{}, whole...)
		copy(bad[int(at)%len(bad):], damage)
		victim := filepath.Join(t.TempDir(), "damaged.db")
		require.NoError(t, os.WriteFile(victim, bad, 0o600))
		if _, err := reopened(victim); err != nil {
			require.ErrorContains(t, err, victim)
		}
	})
}

// FuzzRecord gives arbitrary bytes, with a sum that fits, to whatever reads
// records.
func FuzzRecord(f *testing.F) {
	l := full(&testing.T{})
	text, err := json.Marshal(&l)
	require.NoError(f, err)
	f.Add("01ARZ3NDEKTSV4RRFFQ69G5FAV", text)
	f.Add("ns\x00key", []byte(`{"id":"x","hash":"h","at":1}`))
	f.Add("\x00\x00\x00\x00\x00\x00\x00\x01", []byte(`{"type":"lock_acquired","time":-1,"lock":{}}`))
	f.Fuzz(func(t *testing.T, key string, text []byte) {
		sealed := seal([]byte(key), text)
		_, _ = readEvent([]byte(key), sealed)
		_, _ = parseCall([]byte(key))
		var r memoryRecord
		_ = unseal([]byte(key), sealed, &r)
		var l lock.Lock
		if unseal([]byte(key), sealed, &l) != nil {
			return
		}
		s := state{locks: []lock.Lock{l}, marks: marks{Token: l.Token}}
		if s.check() != nil {
			return
		}
		table := restore(&s, lock.DefaultRules())
		table.sweep()
		table.apply(&lock.EndOwner{Owner: l.Owner})
		_, err := table.get(l.ID)
		require.True(t, err == nil || table.entries[l.ID] == nil)
	})
}

// TestFile_keepsDeadlocks: the newest hundred and the declared waits are read
// back as they were, and counted on from.
func TestFile_keepsDeadlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lockgate.db")
	f, err := openFile(path, kept)
	require.NoError(t, err)
	s, err := f.load()
	require.NoError(t, err)
	table := restore(&s, lock.DefaultRules())
	table.now = stampOf(time.Now())
	stays := lock.Wait{ID: lock.ID(fmt.Sprintf("01%024d", 0)), Namespace: "ns", Owner: "a", For: "b", Subject: "s"}
	require.NoError(t, table.apply(&lock.Declare{Wait: stays, TTL: time.Hour}).Err)
	for i := range keptDeadlocks + 5 {
		w := lock.Wait{ID: lock.ID(fmt.Sprintf("01%024d", i+1)), Namespace: "ns", Owner: "a", For: "b"}
		require.NoError(t, table.apply(&lock.Declare{Wait: w, TTL: time.Hour}).Err)
		d := &lock.Deadlock{ID: strconv.Itoa(i), Cycle: lock.Cycle{{From: "a", To: "b", Kind: lock.Declared}}}
		require.NoError(t, table.apply(&lock.Withdraw{ID: w.ID, Deadlock: d}).Err)
		require.NoError(t, f.commit(&table.changes, marks{table.now, table.token, table.tip}))
		table.changes = newChanges()
	}
	want := table.newestDeadlocks()
	require.Len(t, want, keptDeadlocks)
	require.NoError(t, f.close())

	f, err = openFile(path, kept)
	require.NoError(t, err)
	s, err = f.load()
	require.NoError(t, err)
	require.NoError(t, f.close())
	again := restore(&s, lock.DefaultRules())
	require.Empty(t, cmp.Diff(want, again.newestDeadlocks()))
	require.Len(t, s.waits, 1)
	require.Equal(t, stays.ID, s.waits[0].ID)
	require.Equal(t, 1, again.declared.targets["b"])
}
