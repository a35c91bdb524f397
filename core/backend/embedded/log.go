package embedded

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/lockgate/lockgate/core/events"
)

// minTrim is how many old events every commit may drop at least.
const minTrim = 256

// appendEvents puts the events of one commit, of which the last has sequence tip.
func appendEvents(log *bbolt.Bucket, fresh []events.Event, tip int) error {
	log.FillPercent = 1 // keys only ever grow
	first := tip - len(fresh) + 1
	for i := range fresh {
		e := &fresh[i]
		record := eventRecord{
			Type: e.Type, Time: stampOf(e.Time), Before: e.Before, Reason: e.Reason, By: e.By, Lock: e.Lock,
		}
		if err := put(log, sequenceKey(first+i), &record); err != nil {
			return err
		}
	}
	return nil
}

// checkLog checks that the log is whole: every sequence from the first that is
// kept to the newest.
func checkLog(log *bbolt.Bucket, h *header) error {
	next, n := h.Tip-h.Events+1, 0
	c := log.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if !bytes.Equal(k, sequenceKey(next)) {
			return fmt.Errorf("event %d is gone from its log", next)
		}
		next++
		n++
	}
	if n != h.Events {
		return fmt.Errorf("it has %d events, but %d were written", n, h.Events)
	}
	return nil
}

// trimmer drops the oldest events of a log, a few at a time.
type trimmer struct {
	oldest  stamp // no event is older; nothing is looked at before that is due
	horizon stamp // what is older is dropped
	limit   int
}

func (t *trimmer) trim(log *bbolt.Bucket) (dropped int, err error) {
	if t.oldest >= t.horizon {
		return 0, nil
	}
	c := log.Cursor()
	for k, v := c.First(); k != nil && dropped < t.limit; k, v = c.First() {
		var r struct {
			Time stamp `json:"time"`
		}
		if err := unseal(k, v, &r); err != nil {
			return 0, err
		}
		t.oldest = r.Time
		if r.Time >= t.horizon {
			return dropped, nil
		}
		if err := c.Delete(); err != nil {
			return 0, err
		}
		dropped++
	}
	return dropped, nil
}

// events implements journal. It may run beside a commit.
func (f *file) events(after, limit int) ([]events.Event, error) {
	var found []events.Event
	err := f.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(eventsBucket()).Cursor()
		for k, v := c.Seek(sequenceKey(after + 1)); k != nil && len(found) < limit; k, v = c.Next() {
			e, err := readEvent(k, v)
			if err != nil {
				return err
			}
			found = append(found, e)
		}
		return nil
	})
	if err != nil {
		return nil, damaged(f.path, err)
	}
	return found, nil
}

func readEvent(key, value []byte) (events.Event, error) {
	var seq int64
	if n, err := binary.Decode(key, binary.BigEndian, &seq); err != nil || n != len(key) {
		return events.Event{}, fmt.Errorf("record %q: its key is no sequence", key)
	}
	var r eventRecord
	if err := unseal(key, value, &r); err != nil {
		return events.Event{}, err
	}
	return events.Event{
		Cursor: cursorOf(int(seq)), Type: r.Type, Time: r.Time.time(),
		Namespace: r.Lock.Namespace, Lock: r.Lock, Before: r.Before, Reason: r.Reason, By: r.By,
	}, nil
}
