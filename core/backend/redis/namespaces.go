package redis

import (
	"context"
	"fmt"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lockgate/lockgate/core/lock"
)

const (
	hotFor        = time.Minute      // a namespace is followed closely that long after its last use anywhere
	announceEvery = 20 * time.Second // a namespace in use is announced so often
	indexPage     = 1000             // namespaces read in one go
	registerTries = 5
)

// space is what this gateway knows of one namespace.
type space struct {
	name       lock.Namespace
	score      int64     // in the index, µs of the server; 0: not read yet
	seen       time.Time // when the score was last seen to change
	touched    time.Time // last transition through this gateway
	announced  time.Time // by this gateway
	registered bool      // requests are let in
	due        time.Time // something ends by itself; zero: nothing is known to
	last       string    // id of the last event that was read
}

func (s *space) hot(now time.Time) bool {
	return now.Sub(s.touched) < hotFor || now.Sub(s.seen) < hotFor
}

// directory is the gateway's copy of the index of namespaces: which there are,
// and which a request id can belong to.
//
// The index is a zset of its own slot, so no script can change it together with
// a namespace. Three rules keep it whole all the same. A namespace lets requests
// in only after it was registered; a registration is good only if the namespace
// stands in the index afterwards; and a retired one leaves the index only if
// nobody announced it since.
type directory struct {
	sooner chan struct{} // holds one token when something may be due before the sweeper wakes

	mu     sync.Mutex
	byName map[lock.Namespace]*space
	byTag  map[uint32][]lock.Namespace
	top    int64     // largest score that was read
	wake   time.Time // when the sweeper looks at the agenda next
	origin string
}

// newDirectory makes an empty one. Namespaces found later are read from the
// event with id origin on.
func newDirectory() *directory {
	return &directory{
		sooner: make(chan struct{}, 1),
		byName: make(map[lock.Namespace]*space), byTag: make(map[uint32][]lock.Namespace), origin: "0-0",
	}
}

// spaceLocked answers the space of a name, a new one when it is not known.
func (d *directory) spaceLocked(ns lock.Namespace) *space {
	s := d.byName[ns]
	if s == nil {
		s = &space{name: ns, last: d.origin}
		d.byName[ns] = s
		d.byTag[ns.Tag()] = append(d.byTag[ns.Tag()], ns)
	}
	return s
}

// meet notes a namespace that a request is for: later steps may name its id.
func (d *directory) meet(ns lock.Namespace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spaceLocked(ns)
}

// begin says from which event on streams are read, and forgets what was read.
func (d *directory) begin(origin string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.origin = origin
	for _, s := range d.byName {
		s.last = origin
	}
}

// of lists the namespaces that a request may be in.
func (d *directory) of(id lock.ID) []lock.Namespace {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]lock.Namespace(nil), d.byTag[id.Tag()]...)
}

func (d *directory) names(keep func(*space) bool) []lock.Namespace {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []lock.Namespace
	for _, s := range d.byName {
		if keep(s) {
			names = append(names, s.name)
		}
	}
	return names
}

func (d *directory) every() []lock.Namespace { return d.names(func(*space) bool { return true }) }

// touch notes that a transition goes to a namespace.
func (d *directory) touch(ns lock.Namespace, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.byName[ns]; s != nil {
		s.touched = now
	}
}

func (d *directory) isRegistered(ns lock.Namespace) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.byName[ns]
	return s != nil && s.registered
}

func (d *directory) setRegistered(ns lock.Namespace, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.spaceLocked(ns)
	s.registered, s.announced, s.touched = true, now, now
}

// unregister forgets that a namespace lets requests in.
func (d *directory) unregister(ns lock.Namespace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.byName[ns]; s != nil {
		s.registered = false
	}
}

func (d *directory) forget(ns lock.Namespace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byName, ns)
	kept := d.byTag[ns.Tag()][:0]
	for _, other := range d.byTag[ns.Tag()] {
		if other != ns {
			kept = append(kept, other)
		}
	}
	if len(kept) == 0 {
		delete(d.byTag, ns.Tag())
		return
	}
	d.byTag[ns.Tag()] = kept
}

// read notes what the index says.
func (d *directory) read(page []goredis.Z, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, z := range page {
		name, ok := z.Member.(string)
		if !ok {
			continue
		}
		s := d.spaceLocked(lock.Namespace(name))
		if score := int64(z.Score); score != s.score {
			s.score, s.seen, s.due = score, now, now
			d.top = max(d.top, score)
		}
	}
}

// stale lists namespaces in use that have not been announced for a while.
func (d *directory) stale(now time.Time) []any {
	var names []any
	for _, ns := range d.names(func(s *space) bool {
		return s.registered && s.touched.After(s.announced) && now.Sub(s.announced) >= announceEvery
	}) {
		names = append(names, string(ns))
	}
	return names
}

func (d *directory) announcedAt(names []any, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		if text, ok := name.(string); ok {
			d.spaceLocked(lock.Namespace(text)).announced = now
		}
	}
}

// refresh reads what was announced since the last refresh.
func (s *Store) refresh(ctx context.Context) error {
	s.directory.mu.Lock()
	from := s.directory.top - indexSlack
	s.directory.mu.Unlock()
	return s.readIndex(ctx, from)
}

// readIndex reads the index from a score on; 0 is all of it.
func (s *Store) readIndex(ctx context.Context, from int64) error {
	key := s.keys.index()
	for {
		page, err := s.client.ZRangeByScoreWithScores(ctx, key, &goredis.ZRangeBy{
			Min: fmt.Sprintf("(%d", from), Max: "+inf", Count: indexPage,
		}).Result()
		if err != nil {
			return fmt.Errorf("read the index of namespaces: %w", err)
		}
		s.directory.read(page, time.Now())
		if len(page) < indexPage {
			return nil
		}
		from = int64(page[len(page)-1].Score)
	}
}

// indexSlack, in µs, is read again with every refresh: scores that another
// gateway wrote through an index whose clock was set back.
const indexSlack = 2_000_000

// register lets requests into a namespace.
func (s *Store) register(ctx context.Context, ns lock.Namespace) error {
	for range registerTries {
		if err := s.runOne(ctx, s.scripts[announceLua], s.keys.index(), string(ns)).Err(); err != nil {
			return fmt.Errorf("announce namespace %q: %w", ns, err)
		}
		if err := s.runOne(ctx, s.scripts[registerLua], s.keys.clock(ns)).Err(); err != nil {
			return fmt.Errorf("register namespace %q: %w", ns, err)
		}
		score, err := s.client.ZScore(ctx, s.keys.index(), string(ns)).Result()
		switch {
		case err == nil:
			s.directory.setRegistered(ns, time.Now())
			s.directory.read([]goredis.Z{{Member: string(ns), Score: score}}, time.Now())
			return nil
		case err != goredis.Nil: //nolint:errorlint // go-redis answers the sentinel itself
			return fmt.Errorf("register namespace %q: %w", ns, err)
		}
	}
	return fmt.Errorf("register namespace %q: it is retired again and again", ns)
}

// announce says of the namespaces in use that they are, and so that every
// gateway shall follow them.
func (s *Store) announce(ctx context.Context) error {
	names := s.directory.stale(time.Now())
	for len(names) > 0 {
		n := min(len(names), indexPage)
		if err := s.runOne(ctx, s.scripts[announceLua], s.keys.index(), names[:n]...).Err(); err != nil {
			return fmt.Errorf("announce namespaces: %w", err)
		}
		s.directory.announcedAt(names[:n], time.Now())
		names = names[n:]
	}
	return nil
}
