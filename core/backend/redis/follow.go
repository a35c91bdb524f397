package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lockgate/lockgate/core/lock"
)

const (
	maxFollowed = 64                     // namespaces of a cluster that wait for events on a connection of their own
	blockFor    = 100 * time.Millisecond // one wait; a namespace that becomes busy joins after at most that
	tickEvery   = time.Second            // the index is read so often
	roundEvery  = 5 * time.Second        // every stream is read so often, however quiet it is
	readEvery   = 20 * time.Millisecond  // streams that are too many to wait for are read so often
	readCount   = 1000                   // events of one stream read in one go
	readStreams = 512                    // streams one command names
	startBehind = 5 * time.Second        // the log of a gateway begins so long before it starts
	roundSlack  = time.Second            // the clock of a server may differ so much from itself
	followRetry = 200 * time.Millisecond
)

// follow reads the streams of all namespaces into the ring. Those in use wait
// for events (XREAD BLOCK); the others are read in rounds. A lost connection
// costs nothing but time: reading goes on after the last event that was seen.
func (s *Store) follow(ctx context.Context) {
	for err := s.begin(ctx); err != nil; err = s.begin(ctx) {
		s.fault(ctx, "following the event log begins", err)
		if !pause(ctx, followRetry) {
			return
		}
	}
	var parts sync.WaitGroup
	parts.Go(func() { s.round(ctx) })
	parts.Go(func() { s.tick(ctx) })
	if s.topology == cluster {
		parts.Go(func() { s.followApart(ctx) })
	} else {
		parts.Go(func() { s.followTogether(ctx) })
	}
	parts.Wait()
}

func (s *Store) fault(ctx context.Context, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	s.metrics.faults.Inc()
	s.logger.WarnContext(ctx, "redis did not answer, trying again", "doing", what, "error", err)
}

// begin makes the servers know the scripts, and finds where the log of this
// gateway begins: some seconds ago, so that readers who come from another gateway
// find their place.
func (s *Store) begin(ctx context.Context) error {
	if err := s.load(ctx); err != nil {
		return fmt.Errorf("load the scripts: %w", err)
	}
	now, err := s.serverTime(ctx)
	if err != nil {
		return err
	}
	at := now.Add(-startBehind).UnixMilli()
	s.directory.begin(strconv.FormatInt(at, 10) + "-0")
	if err := s.readIndex(ctx, 0); err != nil {
		return err
	}
	if err := s.readAll(ctx, s.directory.every()); err != nil {
		return err
	}
	s.ring.begin(at)
	return nil
}

// tick finds new namespaces, and says which ones are used here.
func (s *Store) tick(ctx context.Context) {
	for pause(ctx, tickEvery) {
		if err := errors.Join(s.announce(ctx), s.refresh(ctx)); err != nil {
			s.fault(ctx, "keeping the index of namespaces", err)
		}
		s.metrics.namespaces.Set(float64(len(s.directory.every())))
	}
}

// round reads every stream, so that whatever the followers have missed comes
// late but comes, and everybody knows up to when everything was read.
func (s *Store) round(ctx context.Context) {
	for pause(ctx, roundEvery) {
		began, err := s.serverTime(ctx)
		if err == nil {
			err = s.readIndex(ctx, 0)
		}
		if err == nil {
			err = s.readAll(ctx, s.directory.every())
		}
		if err != nil {
			s.fault(ctx, "reading all streams", err)
			continue
		}
		s.ring.sawAll(began.Add(-roundSlack).UnixMilli())
	}
}

// followTogether waits for the events of all namespaces in use with one command.
func (s *Store) followTogether(ctx context.Context) {
	for ctx.Err() == nil {
		names := s.inUse()
		var err error
		switch {
		case len(names) == 0:
			pause(ctx, readEvery)
		case len(names) <= readStreams:
			_, err = s.read(ctx, names, blockFor)
		default:
			err = s.readAll(ctx, names)
			pause(ctx, readEvery)
		}
		if err != nil {
			s.fault(ctx, "following the streams", err)
			pause(ctx, followRetry)
		}
	}
}

// followApart waits for each namespace on its own, since a cluster takes only
// keys of one slot in a command. When more than maxFollowed are in use the rest
// is read every readEvery.
func (s *Store) followApart(ctx context.Context) {
	var mu sync.Mutex
	followed := make(map[lock.Namespace]bool)
	var followers sync.WaitGroup
	defer followers.Wait()
	for pause(ctx, readEvery) {
		var rest []lock.Namespace
		mu.Lock()
		for _, ns := range s.inUse() {
			switch {
			case followed[ns]:
			case len(followed) >= maxFollowed:
				rest = append(rest, ns)
			default:
				followed[ns] = true
				followers.Go(func() {
					s.followOne(ctx, ns)
					mu.Lock()
					delete(followed, ns)
					mu.Unlock()
				})
			}
		}
		mu.Unlock()
		if err := s.readAll(ctx, rest); err != nil {
			s.fault(ctx, "reading the streams", err)
		}
	}
}

// followOne waits for the events of one namespace while it is in use.
func (s *Store) followOne(ctx context.Context, ns lock.Namespace) {
	for ctx.Err() == nil && s.directory.isHot(ns, time.Now()) {
		if _, err := s.read(ctx, []lock.Namespace{ns}, blockFor); err != nil {
			s.fault(ctx, "following a stream", err)
			pause(ctx, followRetry)
		}
	}
}

func (s *Store) inUse() []lock.Namespace {
	now := time.Now()
	return s.directory.names(func(sp *space) bool { return sp.hot(now) })
}

func (d *directory) isHot(ns lock.Namespace, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.byName[ns]
	return s != nil && s.hot(now)
}

// places lists streams with the last event that was read of each, as XREAD wants
// them.
func (d *directory) places(k keyspace, names []lock.Namespace) ([]string, map[string]lock.Namespace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	streams := make([]string, 0, 2*len(names))
	of := make(map[string]lock.Namespace, len(names))
	var ids []string
	for _, ns := range names {
		if s := d.byName[ns]; s != nil {
			streams, ids = append(streams, k.events(ns)), append(ids, s.last)
			of[k.events(ns)] = ns
		}
	}
	return append(streams, ids...), of
}

// read reads streams of one slot, or of a server that has no slots, once, and
// waits at most block for the first event. It answers whether there may be more.
func (s *Store) read(ctx context.Context, names []lock.Namespace, block time.Duration) (bool, error) {
	streams, of := s.directory.places(s.keys, names)
	if len(streams) == 0 {
		return false, nil
	}
	found, err := s.client.XRead(ctx, &goredis.XReadArgs{Streams: streams, Count: readCount, Block: block}).Result()
	if errors.Is(err, goredis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read streams: %w", err)
	}
	return s.take(ctx, found, of), nil
}

// readAll reads whatever streams have now, without waiting.
func (s *Store) readAll(ctx context.Context, names []lock.Namespace) error {
	for len(names) > 0 {
		n := min(len(names), readStreams)
		for more := true; more; {
			var err error
			if more, err = s.readSome(ctx, names[:n]); err != nil {
				return err
			}
		}
		names = names[n:]
	}
	return nil
}

func (s *Store) readSome(ctx context.Context, names []lock.Namespace) (bool, error) {
	if s.topology != cluster {
		return s.read(ctx, names, -1)
	}
	pipe := s.client.Pipeline()
	cmds := make([]*goredis.XStreamSliceCmd, len(names))
	all := make([]map[string]lock.Namespace, len(names))
	for i := range names {
		streams, of := s.directory.places(s.keys, names[i:i+1])
		if len(streams) > 0 {
			cmds[i] = pipe.XRead(ctx, &goredis.XReadArgs{Streams: streams, Count: readCount, Block: -1})
			all[i] = of
		}
	}
	_, fault := pipe.Exec(ctx)
	more := false
	for i, cmd := range cmds {
		if cmd == nil || errors.Is(cmd.Err(), goredis.Nil) {
			continue
		}
		if err := cmd.Err(); err != nil {
			return false, errors.Join(err, fault)
		}
		more = s.take(ctx, cmd.Val(), all[i]) || more
	}
	return more, nil
}

// take publishes what was read. Two readers may have read the same events: only
// those after the last published one count, which also keeps each stream's order.
func (s *Store) take(ctx context.Context, found []goredis.XStream, of map[string]lock.Namespace) bool {
	more := false
	for _, stream := range found {
		more = more || len(stream.Messages) == readCount
		s.publish(ctx, of[stream.Stream], stream.Messages)
	}
	return more
}

func (s *Store) publish(ctx context.Context, ns lock.Namespace, messages []goredis.XMessage) {
	d := s.directory
	d.mu.Lock()
	defer d.mu.Unlock()
	sp := d.byName[ns]
	if sp == nil {
		return
	}
	last, err := parseEventID(sp.last)
	if err != nil {
		s.logger.ErrorContext(ctx, "a stream of redis has a place that is none", "error", err)
		return
	}
	var fresh []streamed
	for i := range messages {
		id, err := parseEventID(messages[i].ID)
		if err != nil || !id.after(last) {
			continue
		}
		last, sp.last = id, messages[i].ID
		e, err := decodeEvent(ns, &messages[i])
		if err != nil {
			s.logger.ErrorContext(ctx, "redis holds an event that this version cannot read", "error", err)
			continue
		}
		fresh = append(fresh, e)
		sp.foresee(&e, time.Now())
	}
	d.wakeLocked(sp.due)
	s.metrics.events.Add(float64(len(fresh)))
	s.ring.publish(fresh)
}

// foresee notes when the state that an event tells of ends by itself.
func (s *space) foresee(e *streamed, now time.Time) {
	s.seen = now
	end := e.event.Lock.Deadline()
	if end.IsZero() {
		return
	}
	if at := now.Add(end.Sub(e.event.Time)); s.due.IsZero() || at.Before(s.due) {
		s.due = at
	}
}
