package redis

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lockgate/lockgate/core/lock"
)

const (
	sweepIdle   = 500 * time.Millisecond // the agenda is looked at so often at least
	sweepAtOnce = 1000                   // requests one sweep ends at most
	sweepBatch  = 256                    // namespaces one pipeline sweeps
	sweepRetry  = time.Second
	retireEvery = 30 * time.Second
	orphanAfter = 10 * time.Minute // a namespace announced but never registered
)

// expect notes when something of a namespace ends by itself, in ms from now; -1
// says that nothing is known.
func (d *directory) expect(ns lock.Namespace, ms int64, now time.Time) {
	if ms < 0 {
		return
	}
	at := now.Add(time.Duration(ms) * time.Millisecond)
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.byName[ns]; s != nil && (s.due.IsZero() || at.Before(s.due)) {
		s.due = at
		d.wakeLocked(at)
	}
}

// wakeLocked wakes the sweeper when something is due before it wakes by itself.
func (d *directory) wakeLocked(due time.Time) {
	if due.IsZero() || !due.Before(d.wake) {
		return
	}
	select {
	case d.sooner <- struct{}{}:
	default:
	}
}

// takeDue lists the namespaces in which something is due, and says how long the
// next one has.
func (d *directory) takeDue(now time.Time) ([]lock.Namespace, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	next := sweepIdle
	var due []lock.Namespace
	for _, s := range d.byName {
		switch left := s.due.Sub(now); {
		case s.due.IsZero():
		case left <= 0 && len(due) < sweepBatch:
			due = append(due, s.name)
			s.due = time.Time{}
		default:
			next = min(next, max(left, 0))
		}
	}
	d.wake = now.Add(next)
	return due, next
}

// sweepDue ends what is due in namespaces that no transition goes to. Every
// gateway does so: nobody is elected, and a sweep that finds nothing is cheap.
// Deadlines are known from the answers of scripts and from events.
func (s *Store) sweepDue(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-s.directory.sooner:
		case <-ctx.Done():
			return
		}
		due, next := s.directory.takeDue(time.Now())
		s.sweep(ctx, due)
		timer.Reset(next)
	}
}

func (s *Store) sweep(ctx context.Context, names []lock.Namespace) {
	if len(names) == 0 {
		return
	}
	calls := make([]*call, len(names))
	for i, ns := range names {
		calls[i] = s.call(s.scripts[sweepLua], ns, sweepAtOnce)
	}
	s.send(ctx, calls)
	for _, c := range calls {
		switch {
		case c.err != nil:
			s.directory.expect(c.ns, sweepRetry.Milliseconds(), time.Now())
		case c.code == codeUnregistered:
			s.directory.unregister(c.ns)
		}
	}
}

// retireUnused takes namespaces that nobody has used for longer than events are
// kept out of the index.
func (s *Store) retireUnused(ctx context.Context) {
	for pause(ctx, retireEvery) {
		if err := s.retire(ctx); err != nil && ctx.Err() == nil {
			s.logger.WarnContext(ctx, "retiring unused namespaces", "error", err)
		}
	}
}

func (s *Store) retire(ctx context.Context) error {
	if err := s.readIndex(ctx, 0); err != nil {
		return err
	}
	now, err := s.serverTime(ctx)
	if err != nil {
		return err
	}
	unused := now.Add(-s.cfg.Rules.Events - hotFor).UnixMicro()
	orphan := now.Add(-orphanAfter).UnixMicro()
	for _, ns := range s.directory.names(func(sp *space) bool { return sp.score != 0 && sp.score < unused }) {
		score, err := s.client.ZScore(ctx, s.keys.index(), string(ns)).Result()
		if err == goredis.Nil { //nolint:errorlint // go-redis answers the sentinel itself
			s.directory.forget(ns) // another gateway has retired it
			continue
		}
		if err != nil {
			return err
		}
		if int64(score) >= unused {
			continue
		}
		c := s.call(s.scripts[retireLua], ns)
		s.send(ctx, []*call{c})
		if c.err != nil {
			return c.err
		}
		if c.code != codeRetired && (c.code != codeUnregistered || int64(score) >= orphan) {
			continue
		}
		s.directory.unregister(ns)
		if err := s.runOne(ctx, s.scripts[withdrawLua], s.keys.index(), string(ns), int64(score)).Err(); err != nil {
			return err
		}
		s.directory.forget(ns)
	}
	s.metrics.namespaces.Set(float64(len(s.directory.every())))
	return nil
}
