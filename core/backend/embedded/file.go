package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// format is the version of the layout below. A file of another version is
// refused.
//
//	meta      "state"             header
//	requests  id                  lock.Lock
//	memories  namespace NUL key   memoryRecord
//	events    sequence (8 bytes)  eventRecord
//	waits     id                  lock.Wait
//	deadlocks sequence (8 bytes)  lock.Deadlock
//
// Every value is a sum over key and text, and the text: JSON. See seal.
const format = 2

// openTimeout is how long another process may take to let go of the file.
const openTimeout = 2 * time.Second

func metaBucket() []byte      { return []byte("meta") }
func requestsBucket() []byte  { return []byte("requests") }
func memoriesBucket() []byte  { return []byte("memories") }
func eventsBucket() []byte    { return []byte("events") }
func waitsBucket() []byte     { return []byte("waits") }
func deadlocksBucket() []byte { return []byte("deadlocks") }
func headerKey() []byte       { return []byte("state") }

// header is written with every commit. The counts find records that damage has
// made unreachable.
type header struct {
	marks

	Format   int `json:"format"`
	Requests int `json:"requests"`
	Memories int `json:"memories"`
	Events   int `json:"events"`
	Waits    int `json:"waits"`

	Deadlocks   int `json:"deadlocks"`    // kept
	DeadlockTip int `json:"deadlock_tip"` // sequence of the newest
}

type memoryRecord struct {
	ID   lock.ID `json:"id"`
	Hash string  `json:"hash"`
	At   stamp   `json:"at"`
}

type eventRecord struct {
	Type   events.Type `json:"type"`
	Time   stamp       `json:"time"`
	Before lock.State  `json:"before,omitempty"`
	Reason string      `json:"reason,omitempty"`
	By     string      `json:"by,omitempty"`
	Lock   lock.Lock   `json:"lock"`
}

// file is the journal in one bbolt file. A commit is one transaction.
type file struct {
	path   string
	db     *bbolt.DB
	keep   time.Duration // of events
	header header        // as of the last commit
	oldest stamp         // nothing is older among the kept events; 0 before the first look
}

// openFile opens or creates the file. It reads all of an old one first, to check
// that nothing in it can mislead or crash who works with it.
func openFile(path string, keep time.Duration) (*file, error) {
	if err := inspectFile(path); err != nil {
		return nil, err
	}
	f := &file{path: path, keep: keep}
	var err error
	if f.db, err = openBolt(path, false); err != nil {
		return nil, err
	}
	if err := f.prepare(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// inspectFile inspects a file while no other process can write to it. One that
// is not there, or empty, has nothing to inspect.
func inspectFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("open the lock table: %w", err)
	case info.IsDir():
		return fmt.Errorf("open the lock table: %s is a directory: name a file in it", path)
	case info.Size() == 0:
		return nil
	}
	// A read-only open takes the lock and looks at nothing but the meta pages.
	db, err := openBolt(path, true)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	pages, err := os.Open(filepath.Clean(path))
	if err != nil {
		return fmt.Errorf("open the lock table: %w", err)
	}
	defer func() { _ = pages.Close() }()
	if info, err = pages.Stat(); err != nil {
		return fmt.Errorf("open the lock table: %w", err)
	}
	if err := inspect(pages, info.Size()); err != nil {
		return damaged(path, err)
	}
	return nil
}

func openBolt(path string, readOnly bool) (*bbolt.DB, error) {
	var db *bbolt.DB
	err := guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: openTimeout, FreelistType: bbolt.FreelistMapType, NoStatistics: true, ReadOnly: readOnly,
		})
		return err
	})
	var system *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s is in use by another process: stop that one, or name another file", path)
	case errors.As(err, &system):
		return nil, fmt.Errorf("open the lock table: %w", err)
	case err != nil:
		return nil, damaged(path, err)
	}
	return db, nil
}

// prepare reads the header of an old file, or lays out a new one.
func (f *file) prepare() error {
	empty := false
	err := f.view(func(tx *bbolt.Tx) error {
		if name, _ := tx.Cursor().First(); name == nil {
			empty = true
			return nil
		}
		return readHeader(tx, &f.header)
	})
	if err == nil && empty {
		err = f.update(f.layOut)
	}
	if err != nil {
		return damaged(f.path, err)
	}
	return nil
}

func (f *file) layOut(tx *bbolt.Tx) error {
	for _, name := range [][]byte{
		metaBucket(), requestsBucket(), memoriesBucket(), eventsBucket(), waitsBucket(), deadlocksBucket(),
	} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	f.header.Format = format
	return put(tx.Bucket(metaBucket()), headerKey(), &f.header)
}

func readHeader(tx *bbolt.Tx, h *header) error {
	meta := tx.Bucket(metaBucket())
	if meta == nil {
		return errForeign
	}
	if err := unseal(headerKey(), meta.Get(headerKey()), h); err != nil {
		return err
	}
	if h.Format != format {
		return fmt.Errorf("it has format %d, this program reads format %d", h.Format, format)
	}
	for _, name := range [][]byte{requestsBucket(), memoriesBucket(), eventsBucket(), waitsBucket(), deadlocksBucket()} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("its bucket %q is gone", name)
		}
	}
	return nil
}

// load implements journal.
func (f *file) load() (state, error) {
	var s state
	err := f.view(func(tx *bbolt.Tx) error {
		var h header
		if err := readHeader(tx, &h); err != nil {
			return err
		}
		s.marks = h.marks
		if err := readRecords(tx, &s); err != nil {
			return err
		}
		if err := readDeadlocks(tx, &h, &s); err != nil {
			return err
		}
		if len(s.locks) != h.Requests || len(s.memories) != h.Memories {
			return fmt.Errorf("it has %d requests and %d idempotency keys, but %d and %d were written",
				len(s.locks), len(s.memories), h.Requests, h.Memories)
		}
		if err := s.check(); err != nil {
			return err
		}
		return checkLog(tx.Bucket(eventsBucket()), &h)
	})
	if err != nil {
		return state{}, damaged(f.path, err)
	}
	return s, nil
}

func readRecords(tx *bbolt.Tx, s *state) error {
	err := tx.Bucket(requestsBucket()).ForEach(func(k, v []byte) error {
		var l lock.Lock
		if err := unseal(k, v, &l); err != nil {
			return err
		}
		if string(l.ID) != string(k) {
			return fmt.Errorf("the record of request %q is of another", k)
		}
		s.locks = append(s.locks, l)
		return nil
	})
	if err != nil {
		return err
	}
	return tx.Bucket(memoriesBucket()).ForEach(func(k, v []byte) error {
		var r memoryRecord
		if err := unseal(k, v, &r); err != nil {
			return err
		}
		c, err := parseCall(k)
		s.memories = append(s.memories, memory{call: c, id: r.ID, hash: r.Hash, at: r.At})
		return err
	})
}

// commit implements journal.
func (f *file) commit(c *changes, m marks) error {
	h, oldest := f.header, f.oldest
	h.marks = m
	err := f.update(func(tx *bbolt.Tx) error {
		log := tx.Bucket(eventsBucket())
		if err := appendEvents(log, c.events, m.Tip); err != nil {
			return err
		}
		old := trimmer{oldest: oldest, horizon: m.Clock - stamp(f.keep.Milliseconds()), limit: max(minTrim, 2*len(c.events))}
		dropped, err := old.trim(log)
		if err != nil {
			return err
		}
		oldest = old.oldest
		h.Events += len(c.events) - dropped
		return h.write(tx, c)
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.header, f.oldest = h, oldest
	return nil
}

// write puts everything but the events, and the header with the new counts.
func (h *header) write(tx *bbolt.Tx, c *changes) error {
	requests, memories := tx.Bucket(requestsBucket()), tx.Bucket(memoriesBucket())
	for id, e := range c.entries {
		var record any
		if e != nil {
			record = e.snapshot()
		}
		n, err := replace(requests, []byte(id), record)
		if err != nil {
			return err
		}
		h.Requests += n
	}
	for name, m := range c.recalled {
		var record any
		if m != nil {
			record = memoryRecord{m.id, m.hash, m.at}
		}
		n, err := replace(memories, name.bytes(), record)
		if err != nil {
			return err
		}
		h.Memories += n
	}
	if err := h.writeDeadlocks(tx, c); err != nil {
		return err
	}
	return put(tx.Bucket(metaBucket()), headerKey(), h)
}

// replace puts a record, or deletes it for nil, and answers by how much the
// number of records grew.
func replace(b *bbolt.Bucket, key []byte, record any) (grown int, err error) {
	was := b.Get(key) != nil
	switch {
	case record != nil && !was:
		return 1, put(b, key, record)
	case record != nil:
		return 0, put(b, key, record)
	case was:
		return -1, b.Delete(key)
	}
	return 0, nil
}

// close implements journal.
func (f *file) close() error {
	return guard(func() error {
		if err := f.db.Close(); err != nil {
			return fmt.Errorf("close %s: %w", f.path, err)
		}
		return nil
	})
}

func (f *file) update(do func(*bbolt.Tx) error) error {
	return guard(func() error { return f.db.Update(do) })
}

func (f *file) view(do func(*bbolt.Tx) error) error {
	return guard(func() error { return f.db.View(do) })
}

func put(b *bbolt.Bucket, key []byte, record any) error {
	text, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return b.Put(key, seal(key, text))
}

// sequenceKey keeps events in order: bbolt compares keys byte by byte.
func sequenceKey(seq int) []byte {
	key := make([]byte, 8)
	_, _ = binary.Encode(key, binary.BigEndian, int64(seq)) // 8 bytes always do
	return key
}
