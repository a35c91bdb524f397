package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/gateway/wire"
)

// The operations of a history.
const (
	opAcquire = iota
	opRelease
	opExpire
	opWrite
)

// operation is one call on a lock, or the end of a lease, or a guarded write.
type operation struct {
	kind  int
	owner string
	key   string
	token int64 // of all but acquire
}

// answer is what its caller was told.
type answer struct {
	token int64 // acquire: 0 refused
	ok    bool  // release, write
}

// TestLinearizable_leasesExpire has clients at two gateways take, keep, give back
// and let expire locks of several namespaces, and write to what the locks guard.
// There must be an order of all this that a lock table on one thread allows.
func TestLinearizable_leasesExpire(t *testing.T) {
	f := startFleet(t, 2, redistest.Start(t).URL())
	for round := range rounds(2, 30) {
		ns := []string{fmt.Sprint("left-", round), fmt.Sprint("right-", round)}
		histories := observe(t, f, ns)
		for _, n := range ns {
			got := porcupine.CheckOperationsTimeout(tableModel(), histories[n], time.Minute)
			require.Equal(t, porcupine.Ok, got, "namespace %s of round %d", n, round)
		}
	}
}

// TestLinearizable_findsWhatIsWrong: the model refuses a history with one answer
// that no lock table gives.
func TestLinearizable_findsWhatIsWrong(t *testing.T) {
	f := startFleet(t, 2, redistest.Start(t).URL())
	history := observe(t, f, []string{"seeded"})["seeded"]
	require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(tableModel(), history, time.Minute))
	expiry := -1
	for i := range history {
		if history[i].Input.(operation).kind == opExpire {
			expiry = i
		}
	}
	require.NotEqual(t, -1, expiry, "no lease expired")
	for name, seed := range map[string]func(*porcupine.Operation){
		"a token given twice": func(o *porcupine.Operation) {
			if out := o.Output.(answer); o.Input.(operation).kind == opAcquire && out.token != 0 {
				o.Output = answer{token: 1}
			}
		},
		"a write with an old token": func(o *porcupine.Operation) {
			if in := o.Input.(operation); in.kind == opWrite && !o.Output.(answer).ok {
				o.Output = answer{ok: true}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := make([]porcupine.Operation, len(history))
			copy(wrong, history)
			for i := range wrong {
				seed(&wrong[i])
			}
			require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(tableModel(), wrong, time.Minute))
		})
	}
}

// observer notes what clients ask and are told, by namespace.
type observer struct {
	began   time.Time
	mu      sync.Mutex
	history map[string][]porcupine.Operation
	guarded map[string]int64 // what a resource behind the locks saw last
}

func (o *observer) since() int64 { return time.Since(o.began).Nanoseconds() }

func (o *observer) note(ns string, worker int, in operation, out answer, from, to int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.history[ns] = append(o.history[ns], porcupine.Operation{ClientId: worker, Input: in, Output: out, Call: from, Return: to})
}

// write is a resource that takes no token smaller than one it has seen.
func (o *observer) write(ns string, worker int, in operation) {
	from := o.since()
	o.mu.Lock()
	ok := in.token >= o.guarded[ns+in.key]
	if ok {
		o.guarded[ns+in.key] = in.token
	}
	o.mu.Unlock()
	in.kind = opWrite
	o.note(ns, worker, in, answer{ok: ok}, from, o.since())
}

// observe lets clients work and answers the histories by namespace.
func observe(t *testing.T, f *fleet, namespaces []string) map[string][]porcupine.Operation {
	t.Helper()
	o := &observer{began: time.Now(), history: make(map[string][]porcupine.Operation), guarded: make(map[string]int64)}
	var workers sync.WaitGroup
	for i := range 6 {
		c := f.client(t, i%len(f.gateways))
		workers.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(i)))
			for n := range 40 {
				o.round(t, c, random, namespaces[n%len(namespaces)], i, n)
			}
		})
	}
	workers.Wait()
	return o.history
}

const observedLease = 100 * time.Millisecond

// round tries for a lock, writes, and gives it back or outlives its lease.
func (o *observer) round(t *testing.T, c *client.Client, random *rand.Rand, ns string, worker, n int) {
	t.Helper()
	in := operation{owner: fmt.Sprintf("w%d/%d", worker, n), key: fmt.Sprint("k", random.IntN(2))}
	r := lockOf(ns, in.owner, 0, in.key)
	r.TTL = wire.Duration(observedLease)
	from := o.since()
	l, err := c.Acquire(t.Context(), r)
	if err != nil {
		o.note(ns, worker, in, answer{}, from, o.since())
		return
	}
	o.note(ns, worker, in, answer{token: l.Token}, from, o.since())
	in.token = l.Token
	o.write(ns, worker, in)
	if random.IntN(4) == 0 { // too slow: the lease ends first
		over := time.NewTimer(2 * observedLease)
		<-over.C
	}
	began := o.since()
	ended, err := c.Release(t.Context(), l.ID, l.Token)
	o.write(ns, worker, in)
	if err == nil && ended.State == "released" {
		in.kind = opRelease
		o.note(ns, worker, in, answer{ok: true}, began, o.since())
		return
	}
	// The lease ended between what the store granted and this answer; no earlier
	// than the request for it went out.
	in.kind = opExpire
	o.note(ns, 6+worker, in, answer{}, from+observedLease.Nanoseconds(), o.since())
}

// table is the model's state: who holds what, the largest token, and the
// largest that each guarded resource has seen.
type table struct {
	last   int64
	holder map[string]operation
	seen   map[string]int64
}

// tableModel allows an acquire whose token is larger than all before and that
// conflicts with no holder, a refusal always, the end of a live lock only, and a
// write only if no larger token was seen.
func tableModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return table{} },
		Step: func(state, input, output any) (bool, any) {
			now, in, out := state.(table), input.(operation), output.(answer)
			next := table{last: now.last, holder: copied(now.holder), seen: copied(now.seen)}
			switch in.kind {
			case opAcquire:
				if out.token == 0 {
					return true, now
				}
				_, taken := now.holder[in.key]
				in.token = out.token
				next.last, next.holder[in.key] = out.token, in
				return !taken && out.token > now.last, next
			case opWrite:
				if ok := in.token >= now.seen[in.key]; !ok || !out.ok {
					return ok == out.ok, now
				}
				next.seen[in.key] = in.token
				return true, next
			default:
				live := now.holder[in.key].token == in.token
				delete(next.holder, in.key)
				return live, next
			}
		},
		Equal: func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) },
	}
}

func copied[V any](m map[string]V) map[string]V {
	c := make(map[string]V, len(m)+1)
	maps.Copy(c, m)
	return c
}
