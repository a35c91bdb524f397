package embedded

import (
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/lockgate/lockgate/core/lock"
)

// writeDeadlocks puts the declared waits and the newest deadlocks of one commit,
// and drops the deadlocks that are too old.
func (h *header) writeDeadlocks(tx *bbolt.Tx, c *changes) error {
	waits, deadlocks := tx.Bucket(waitsBucket()), tx.Bucket(deadlocksBucket())
	for id, w := range c.waits {
		var record any
		if w != nil {
			record = w
		}
		n, err := replace(waits, []byte(id), record)
		if err != nil {
			return err
		}
		h.Waits += n
	}
	for i := range c.deadlocks {
		h.DeadlockTip++
		n, err := replace(deadlocks, sequenceKey(h.DeadlockTip), &c.deadlocks[i])
		if err != nil {
			return err
		}
		dropped, err := replace(deadlocks, sequenceKey(h.DeadlockTip-keptDeadlocks), nil)
		if err != nil {
			return err
		}
		h.Deadlocks += n + dropped
	}
	return nil
}

// readDeadlocks reads what writeDeadlocks wrote.
func readDeadlocks(tx *bbolt.Tx, h *header, s *state) error {
	err := tx.Bucket(waitsBucket()).ForEach(func(k, v []byte) error {
		var w lock.Wait
		if err := unseal(k, v, &w); err != nil {
			return err
		}
		if string(w.ID) != string(k) {
			return fmt.Errorf("the record of declared wait %q is of another", k)
		}
		s.waits = append(s.waits, w)
		return nil
	})
	if err != nil {
		return err
	}
	err = tx.Bucket(deadlocksBucket()).ForEach(func(k, v []byte) error {
		var d lock.Deadlock
		err := unseal(k, v, &d)
		s.deadlocks = append(s.deadlocks, d)
		return err
	})
	if err == nil && (len(s.waits) != h.Waits || len(s.deadlocks) != h.Deadlocks) {
		err = fmt.Errorf("it has %d declared waits and %d deadlocks, but %d and %d were written",
			len(s.waits), len(s.deadlocks), h.Waits, h.Deadlocks)
	}
	return err
}
