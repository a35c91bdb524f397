package orchestrator

import (
	"sync"
	"time"

	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
)

// maxLessons bounds the victims whose retries are watched for.
const maxLessons = 1000

// lessons watch how the victims that this gateway chose get on, for the adaptive
// policy to learn from.
type lessons struct {
	learn func(deadlock.Experience)

	mu   sync.Mutex
	open map[lock.ID]lesson // by victim
}

type lesson struct {
	class  deadlock.Class
	policy deadlock.Policy
	since  time.Time
}

func newLessons(learn func(deadlock.Experience)) *lessons {
	return &lessons{learn: learn, open: make(map[lock.ID]lesson)}
}

// note remembers the requests that gave way. When there are too many, one that
// was never repeated makes room.
func (ls *lessons) note(f *deadlock.Finding, ended []lock.Lock) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i := range ended {
		if ended[i].State != lock.Victim {
			continue
		}
		for id := range ls.open {
			if len(ls.open) < maxLessons {
				break
			}
			delete(ls.open, id)
		}
		ls.open[ended[i].ID] = lesson{class: f.Class, policy: f.Policy, since: ended[i].EndedAt}
	}
}

// follow learns when the retry of a victim was granted, or has ended otherwise.
func (ls *lessons) follow(e *events.Event) {
	over := e.Type == events.LockAcquired || !e.Lock.State.Live()
	if e.Lock.RetryOf == "" || !over {
		return
	}
	ls.mu.Lock()
	l, known := ls.open[e.Lock.RetryOf]
	delete(ls.open, e.Lock.RetryOf)
	ls.mu.Unlock()
	if known {
		ls.learn(deadlock.Experience{
			Class: l.class, Policy: l.policy, Wait: e.Time.Sub(l.since),
			Repeated: e.Lock.Losses > 1 || e.Lock.State == lock.Victim,
		})
	}
}
