package embedded

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime/debug"

	"github.com/lockgate/lockgate/core/lock"
)

var (
	errForeign = errors.New("it is a bbolt file of another program")
	errSum     = errors.New("its sum does not match")
)

// sumSize is the length of the sum in front of every value.
const sumSize = 4

// seal puts a sum over key and text in front of the text: bbolt has sums for its
// own two meta pages only, and a flipped bit in a token must not go unnoticed.
func seal(key, text []byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, sumSize+len(text)), sum(key, text)), text...)
}

func sum(key, text []byte) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, text)
}

// unseal reads what seal made into a record.
func unseal(key, value []byte, record any) error {
	if len(value) < sumSize {
		return fmt.Errorf("record %q: it is too short", key)
	}
	text := value[sumSize:]
	if binary.BigEndian.Uint32(value) != sum(key, text) {
		return fmt.Errorf("record %q: %w", key, errSum)
	}
	if err := json.Unmarshal(text, record); err != nil {
		return fmt.Errorf("record %q: %w", key, err)
	}
	return nil
}

func (c call) bytes() []byte { return []byte(string(c.ns) + "\x00" + c.key) }

func parseCall(key []byte) (call, error) {
	ns, name, ok := bytes.Cut(key, []byte{0})
	if !ok {
		return call{}, fmt.Errorf("record %q: its key names no call", key)
	}
	return call{lock.Namespace(ns), string(name)}, nil
}

// check refuses records that are well written and cannot be true.
func (s *state) check() error {
	t := newTable(lock.DefaultRules())
	for i := range s.locks {
		l := &s.locks[i]
		if err := t.fault(l); err != nil {
			return fmt.Errorf("request %s: %w", l.ID, err)
		}
		if l.State < lock.Queued || l.State > lock.Denied {
			return fmt.Errorf("request %s has no state", l.ID)
		}
		e := newEntry(t.namespace(l.Namespace), l)
		if l.State == lock.Held && l.Token > s.Token {
			return fmt.Errorf("request %s has token %d, the largest handed out was %d", l.ID, l.Token, s.Token)
		}
		if l.State == lock.Held || l.State == lock.Offered {
			for _, r := range l.Resources {
				if res := t.resource(l.Namespace, r.Key); res != nil && res.taken(e, r.Mode) {
					return fmt.Errorf("request %s holds %q beside somebody else", l.ID, r.Key)
				}
			}
			t.enter(e)
		}
	}
	return nil
}

// pageError is a page that bbolt could not make sense of.
type pageError struct{ cause any }

func (p *pageError) Error() string { return fmt.Sprintf("a page is damaged: %v", p.cause) }

// guard turns what bbolt does about damaged pages, a panic or a fault in the
// mapped file, into an error.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if cause := recover(); cause != nil {
			err = &pageError{cause}
		}
	}()
	return do()
}

// damaged says what is wrong with a file and how to go on.
func damaged(path string, err error) error {
	return fmt.Errorf("%s cannot be used as a lock table: %w; restore a copy, or move it away to start with an empty table", path, err)
}
