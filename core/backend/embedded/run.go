package embedded

import (
	"context"
	"time"
)

// Run owns the table until ctx ends; it then answers what has arrived, and
// closes the file. It may be called once.
func (s *Store) Run(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return errRunning
	}
	close(s.started)
	defer close(s.stopped)
	timer := time.NewTimer(s.untilDue())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.drain(ctx, s.arrived(nil))
			return s.journal.close()
		case j := <-s.jobs:
			s.drain(ctx, s.arrived(j))
		case <-timer.C:
			s.drain(ctx, nil)
		}
		timer.Reset(s.untilDue())
	}
}

// arrived lists the jobs that are there, without waiting for more.
func (s *Store) arrived(first *job) []*job {
	var jobs []*job
	if first != nil {
		jobs = append(jobs, first)
	}
	for len(jobs) < maxJobs {
		select {
		case j := <-s.jobs:
			jobs = append(jobs, j)
		default:
			return jobs
		}
	}
	return jobs
}

// drain does all transitions, commits once, and only then answers anybody: who
// reads sees nothing that is not durable. When the commit fails nothing of it
// has happened.
func (s *Store) drain(ctx context.Context, jobs []*job) {
	err := s.rebuilt()
	if err == nil {
		s.transit(jobs)
		if err = s.commit(); err != nil {
			s.fail(ctx, err)
		}
	}
	for _, j := range jobs {
		switch {
		case err != nil && j.read == nil, s.table == nil:
			j.outcomes, j.err = nil, unavailable(err)
		case j.read != nil:
			j.read(s.table)
		}
		close(j.done)
	}
}

// transit does what is due and then every batch, in memory.
func (s *Store) transit(jobs []*job) {
	t := s.table
	t.now = max(t.now, stampOf(time.Now()))
	t.sweep()
	t.forgetCalls()
	t.forgetWaits()
	for _, j := range jobs {
		for _, step := range j.batch {
			j.outcomes = append(j.outcomes, t.apply(step))
		}
	}
}

// commit makes what transit did durable and shows it to readers of events.
func (s *Store) commit() error {
	t := s.table
	trial := s.failed != nil && t.now >= s.backoff
	if t.changes.none() && !trial {
		return nil
	}
	if err := s.journal.commit(&t.changes, marks{Clock: t.now, Token: t.token, Tip: t.tip}); err != nil {
		return err
	}
	s.feed.publish(t.changes.events, t.now.time().Add(-s.rules.Events))
	t.changes = newChanges()
	s.failed = nil
	return nil
}

// fail goes back to the last committed state.
func (s *Store) fail(ctx context.Context, err error) {
	s.logger.ErrorContext(ctx, "commit of the lock table did not succeed, nothing was granted", "error", err)
	s.failed = err
	s.backoff = stampOf(time.Now().Add(retryAfter))
	s.table = nil
	if err := s.rebuilt(); err != nil {
		s.logger.ErrorContext(ctx, "lock table cannot be read back", "error", err)
	}
}

// rebuilt makes sure that there is a table.
func (s *Store) rebuilt() error {
	if s.table != nil {
		return nil
	}
	loaded, err := s.journal.load()
	if err != nil {
		return err
	}
	s.table = restore(&loaded, s.rules)
	return nil
}

// idle is how long the timer sleeps when nothing ever ends by itself.
const idle = time.Hour

// untilDue is how long nothing ends by itself. After a failed commit it is at
// least until the back-off has passed, lest a full disk keep a core busy.
func (s *Store) untilDue() time.Duration {
	if s.table == nil {
		return retryAfter
	}
	due := idle
	if e, ok := s.table.agenda.first(); ok {
		due = min(due, time.Until(max(e.due, s.backoff).time()))
	}
	return max(due, 0)
}
