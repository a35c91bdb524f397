package deadlock

import (
	"math"
	"sync"
	"time"
)

// Class groups deadlocks that are alike: by how many owners they have, and how
// many ways each of them is stuck.
type Class struct {
	Size       int // 0: two owners; 1: up to 4; 2: up to 8; 3: up to 16; 4: more
	Contention int // 0: one wait for each owner; 1: up to two; 2: more
}

// Experience is how one resolution went on, as whoever aborted the victim saw
// it.
type Experience struct {
	Class    Class
	Policy   Policy        // that chose
	Repeated bool          // the victim had lost before, or lost again on its retry
	Wait     time.Duration // from the abort until the victim's retry was granted or given up
}

func classOf(candidates []Candidate, owners int) Class {
	waits := 0
	for i := range candidates {
		waits += len(candidates[i].Requests)
	}
	var c Class
	for limit := 2; c.Size < 4 && owners > limit; limit *= 2 {
		c.Size++
	}
	switch {
	case waits <= len(candidates):
	case waits <= 2*len(candidates):
		c.Contention = 1
	default:
		c.Contention = 2
	}
	return c
}

// history is what the adaptive policy has learned. Its size is bounded: one
// record for each class and policy.
type history struct {
	mu      sync.Mutex
	records map[Class]map[Policy]record
}

// record holds means in which an old experience fades by a fifth with each new
// one.
type record struct {
	trials   int
	repeated float64 // 0 to 1
	wait     float64 // seconds
}

const (
	fade = 0.2
	// trials is how often each policy is tried in a class before the best is
	// taken; enough that one unlucky retry does not rule it out.
	trials = 3
	// repeatSeconds is how much waiting a repeated victim is worth: a CI job that
	// is thrown out again costs about as much as one that waits a minute.
	repeatSeconds = 60.0
)

// schooled lists what adaptive chooses among, the first preferred.
func schooled() []Policy {
	return []Policy{LowestPriority, LeastWork, Youngest, MostBlocking, LIFO, FIFO, Random}
}

// choose answers a policy that was tried too little in this class, else the one
// with the least repeats and waiting.
func (h *history) choose(c Class) Policy {
	h.mu.Lock()
	defer h.mu.Unlock()
	best, least := LowestPriority, math.Inf(1)
	for _, p := range schooled() {
		r := h.records[c][p]
		if r.trials < trials {
			return p
		}
		if loss := r.repeated*repeatSeconds + r.wait; loss < least {
			best, least = p, loss
		}
	}
	return best
}

// learn notes an experience; those of policies that adaptive does not choose
// among, and of classes that do not exist, are passed over.
func (h *history) learn(e Experience) {
	if e.Class.Size < 0 || e.Class.Size > 4 || e.Class.Contention < 0 || e.Class.Contention > 2 {
		return
	}
	for _, p := range schooled() {
		if p == e.Policy {
			h.note(e)
		}
	}
}

func (h *history) note(e Experience) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.records == nil {
		h.records = make(map[Class]map[Policy]record)
	}
	if h.records[e.Class] == nil {
		h.records[e.Class] = make(map[Policy]record)
	}
	repeated := 0.0
	if e.Repeated {
		repeated = 1
	}
	r := h.records[e.Class][e.Policy]
	if r.trials == 0 {
		r.repeated, r.wait = repeated, e.Wait.Seconds()
	}
	r.trials++
	r.repeated += fade * (repeated - r.repeated)
	r.wait += fade * (e.Wait.Seconds() - r.wait)
	h.records[e.Class][e.Policy] = r
}
