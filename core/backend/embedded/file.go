package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
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
//
// Every value is a sum over key and text, and the text: JSON. See seal.
const format = 1

// openTimeout is how long another process may take to let go of the file.
const openTimeout = 2 * time.Second

func metaBucket() []byte     { return []byte("meta") }
func requestsBucket() []byte { return []byte("requests") }
func memoriesBucket() []byte { return []byte("memories") }
func eventsBucket() []byte   { return []byte("events") }
func headerKey() []byte      { return []byte("state") }

// header is written with every commit. The counts find records that damage has
// made unreachable.
type header struct {
	marks

	Format   int `json:"format"`
	Requests int `json:"requests"`
	Memories int `json:"memories"`
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

// openFile opens or creates the file and checks that nothing in it can mislead
// or crash who reads it.
func openFile(path string, keep time.Duration) (*file, error) {
	if err := inspect(path); err != nil {
		return nil, damaged(path, err)
	}
	f := &file{path: path, keep: keep}
	err := guard(func() (err error) {
		f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout: openTimeout, FreelistType: bbolt.FreelistMapType, NoStatistics: true,
		})
		return err
	})
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, fmt.Errorf("%s is in use by another process: stop that one, or name another file", path)
	case errors.As(err, new(*pageFault)):
		return nil, damaged(path, err)
	case err != nil:
		return nil, fmt.Errorf("open the lock table: %w", err)
	}
	if err := f.prepare(); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return f, nil
}

// prepare lays out a new file and checks the version of an old one.
func (f *file) prepare() error {
	err := f.update(func(tx *bbolt.Tx) error {
		if tx.Bucket(metaBucket()) != nil {
			return readHeader(tx, &f.header)
		}
		if name, _ := tx.Cursor().First(); name != nil {
			return errForeign
		}
		for _, name := range [][]byte{metaBucket(), requestsBucket(), memoriesBucket(), eventsBucket()} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		f.header.Format = format
		return put(tx.Bucket(metaBucket()), headerKey(), &f.header)
	})
	if err != nil {
		return damaged(f.path, err)
	}
	return nil
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
	for _, name := range [][]byte{requestsBucket(), memoriesBucket(), eventsBucket()} {
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
		if len(s.locks) != h.Requests || len(s.memories) != h.Memories {
			return fmt.Errorf("it has %d requests and %d idempotency keys, but %d and %d were written",
				len(s.locks), len(s.memories), h.Requests, h.Memories)
		}
		return s.check()
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
		if err := h.write(tx, c); err != nil {
			return err
		}
		log := tx.Bucket(eventsBucket())
		if err := appendEvents(log, c.events, m.Tip); err != nil {
			return err
		}
		var err error
		oldest, err = trim(log, oldest, m.Clock-stamp(f.keep.Milliseconds()), max(minTrim, 2*len(c.events)))
		return err
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

func sequenceKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
