package embedded

import (
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/lockgate/lockgate/core/events"
)

// minTrim is how many old events every commit may drop at least.
const minTrim = 256

// appendEvents puts the events of one commit, of which the last has sequence tip.
func appendEvents(log *bbolt.Bucket, fresh []events.Event, tip uint64) error {
	log.FillPercent = 1 // keys only ever grow
	first := tip - uint64(len(fresh)) + 1
	for i := range fresh {
		e := &fresh[i]
		record := eventRecord{
			Type: e.Type, Time: stampOf(e.Time), Before: e.Before, Reason: e.Reason, By: e.By, Lock: e.Lock,
		}
		if err := put(log, sequenceKey(first+uint64(i)), &record); err != nil {
			return err
		}
	}
	return nil
}

// trim drops at most limit events from before the horizon. It looks only when
// oldest, which it answers for the next time, says that there are any.
func trim(log *bbolt.Bucket, oldest, horizon stamp, limit int) (stamp, error) {
	if oldest >= horizon {
		return oldest, nil
	}
	c := log.Cursor()
	for k, v := c.First(); k != nil; k, v = c.First() {
		var r struct {
			Time stamp `json:"time"`
		}
		if err := unseal(k, v, &r); err != nil {
			return 0, err
		}
		if r.Time >= horizon || limit == 0 {
			return r.Time, nil
		}
		if err := c.Delete(); err != nil {
			return 0, err
		}
		limit--
	}
	return oldest, nil
}

// events implements journal. It may run beside a commit.
func (f *file) events(after uint64, limit int) ([]events.Event, error) {
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
	if len(key) != 8 {
		return events.Event{}, fmt.Errorf("record %q: its key is no sequence", key)
	}
	var r eventRecord
	if err := unseal(key, value, &r); err != nil {
		return events.Event{}, err
	}
	return events.Event{
		Cursor: cursorOf(binary.BigEndian.Uint64(key)), Type: r.Type, Time: r.Time.time(),
		Namespace: r.Lock.Namespace, Lock: r.Lock, Before: r.Before, Reason: r.Reason, By: r.By,
	}, nil
}
