package redis

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
	"github.com/lockgate/lockgate/core/backend/storetest"
	"github.com/lockgate/lockgate/core/lock"
)

// TestLinearizable has concurrent callers at two gateways take and give back
// locks, and asks porcupine whether there is an order of their calls that the
// lock table allows.
func TestLinearizable(t *testing.T) {
	server := redistest.Start(t)
	cfg := testConfig(server.URL(), storetest.Rules())
	history := hammer(t, []*Store{open(t, cfg), open(t, cfg)})
	require.Equal(t, porcupine.Ok, porcupine.CheckOperationsTimeout(lockModel(), history, time.Minute))
}

// TestLinearizable_findsAFault shows that the check can fail: the scripts lose
// one condition each, as a careless edit would.
func TestLinearizable_findsAFault(t *testing.T) {
	server := redistest.Start(t)
	for name, fault := range map[string][2]string{
		"holders do not conflict": {"if own > 0 then return owners > 1 end", "if own >= 0 then return owners > 1 end"},
		"tokens are whole seconds": {
			"token = math.max(token + 1, us)", "token = math.floor(us / 1000000) * 1000000",
		},
		"any token releases": {"elseif int(e.token) ~= ARGV[2] then", "elseif int(e.token) == ARGV[2] and false then"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(server.URL(), storetest.Rules())
			stores := []*Store{ready(t, cfg), ready(t, cfg)}
			for _, s := range stores {
				seeded := 0
				for _, sc := range s.scripts {
					text := strings.ReplaceAll(sc.text, fault[0], fault[1])
					if text != sc.text {
						*sc = *newScript(sc.name, text)
						seeded++
					}
				}
				require.NotZero(t, seeded, "the fault has no place in the scripts any more")
				run(t, s)
			}
			history := hammer(t, stores)
			require.Equal(t, porcupine.Illegal, porcupine.CheckOperationsTimeout(lockModel(), history, time.Minute))
		})
	}
}

// asked and answered are one call on the lock table.
type (
	asked struct {
		kind  string // acquire or release
		owner lock.Owner
		keys  []lock.Resource
		token lock.Token // release
	}
	answered struct {
		token lock.Token // acquire: 0 refused
		ok    bool       // release
	}
)

const (
	hammerClients = 6
	hammerCalls   = 60
)

// hammer lets clients acquire and release at random and answers what they saw.
func hammer(t *testing.T, stores []*Store) []porcupine.Operation {
	t.Helper()
	var mu sync.Mutex
	var history []porcupine.Operation
	began := time.Now()
	call := func(client int, in asked, do func() answered) answered {
		start := time.Since(began).Nanoseconds()
		out := do()
		end := time.Since(began).Nanoseconds()
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: start, Output: out, Return: end})
		return out
	}
	var clients sync.WaitGroup
	for i := range hammerClients {
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			store, owner := stores[i%len(stores)], lock.Owner(fmt.Sprintf("client:%d", i))
			for range hammerCalls {
				keys := []string{"a", "b", "a~", "b~"}[random.IntN(4):][:1]
				if random.IntN(4) == 0 {
					keys = []string{"a", "b~"}
				}
				step := wanted("linear", owner, 0, keys...)
				out := call(i, asked{kind: "acquire", owner: owner, keys: step.Lock.Resources}, func() answered {
					return answered{token: tryAcquire(t.Context(), store, step)}
				})
				if out.token == 0 {
					continue
				}
				for _, token := range []lock.Token{out.token - 1, out.token} {
					call(i, asked{kind: "release", owner: owner, token: token}, func() answered {
						done, err := store.Apply(t.Context(), []lock.Step{&lock.Release{ID: step.Lock.ID, Token: token}})
						return answered{ok: err == nil && done[0].Err == nil && !done[0].Repeat}
					})
				}
			}
		})
	}
	clients.Wait()
	return history
}

func tryAcquire(ctx context.Context, s *Store, step *lock.Acquire) lock.Token {
	out, err := s.Apply(ctx, []lock.Step{step})
	if err != nil || out[0].Err != nil {
		return 0
	}
	return out[0].Lock.Token
}

// holding is the model's state: who holds what, and the largest token.
type holding struct {
	last  lock.Token
	locks map[lock.Token]asked
}

// lockModel allows an acquire whose token is larger than all before and that
// conflicts with no holder; a refusal always; a release of a live token only.
func lockModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return holding{} },
		Step: func(state, input, output any) (bool, any) {
			h, in, out := state.(holding), input.(asked), output.(answered)
			next := holding{last: h.last, locks: make(map[lock.Token]asked, len(h.locks)+1)}
			maps.Copy(next.locks, h.locks)
			switch {
			case in.kind == "acquire" && out.token == 0:
				return true, h
			case in.kind == "acquire":
				for _, l := range h.locks {
					if conflicts(&l, &in) {
						return false, h
					}
				}
				next.last, next.locks[out.token] = out.token, in
				return out.token > h.last, next
			default:
				l, live := h.locks[in.token]
				live = live && l.owner == in.owner
				if !out.ok {
					return !live, h
				}
				delete(next.locks, in.token)
				return live, next
			}
		},
		Equal: func(a, b any) bool { return fmt.Sprint(a) == fmt.Sprint(b) },
	}
}

func conflicts(a, b *asked) bool {
	if a.owner == b.owner {
		return false
	}
	for _, x := range a.keys {
		for _, y := range b.keys {
			if x.Key == y.Key && x.Mode.Conflicts(y.Mode) {
				return true
			}
		}
	}
	return false
}
