package storetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/lock"
)

func modelRules(r *lock.Rules) {
	r.Aging = lock.Aging(10 * time.Millisecond)
	r.OfferTimeout, r.PollOfferTimeout = 3*time.Second, 5*time.Second
	r.Ended, r.Idempotency = 100*time.Hour, 100*time.Hour
}

// deadlineless keeps rapid from asking for the test's deadline, which a bubble
// does not have.
type deadlineless struct{ rapid.TB }

// run is one random sequence of steps in a namespace of its own.
type run struct {
	*stage

	rt    *rapid.T
	world world
	ns    lock.Namespace
	token lock.Token // largest so far
	made  int
}

// againstModel does random steps on the store and on the model: outcomes,
// events, states, positions and blockers must be the same. In fake time leases,
// waits, places and offers end as well; in real time nothing is as short as the
// test.
func againstModel(s *stage) {
	rules := Rules()
	modelRules(&rules)
	runs := 0
	rapid.Check(deadlineless{s.t}, func(rt *rapid.T) {
		runs++
		r := &run{stage: s, rt: rt, ns: lock.Namespace(fmt.Sprintf("run%d", runs))}
		r.world = world{rules: rules, now: time.Now(), calls: map[lock.Idempotency]lock.ID{}}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			r.step()
		}
	})
}

func (r *run) step() {
	if r.clock == fakeTime && rapid.IntRange(0, 3).Draw(r.rt, "pass") == 0 {
		r.pass(rapid.SampledFrom([]time.Duration{time.Millisecond, time.Second, 4 * time.Second}).Draw(r.rt, "time"))
	}
	step := r.draw()
	got := r.apply(step)
	r.world.now = r.moment(&got)
	want := r.world.do(step)
	require.Equal(r.rt, outcome(&want), outcome(&got), "%s", step.Name())
	r.adopt(&got)
	r.compare()
}

// pass lets fake time go by.
func (r *run) pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
	r.world.pass(time.Now())
}

// moment is when the store did a step: with real time only the store knows.
func (r *run) moment(out *lock.Outcome) time.Time {
	var conflict *lock.ConflictError
	switch {
	case r.clock == fakeTime:
		return time.Now()
	case errors.As(out.Err, &conflict):
		return conflict.Lock.RequestedAt
	case out.Lock.RequestedAt.After(r.world.now):
		return out.Lock.RequestedAt
	}
	return r.world.now
}

// adopt checks a token that is new and gives it to the model.
func (r *run) adopt(out *lock.Outcome) {
	l := r.world.find(out.Lock.ID)
	if l == nil || out.Lock.Token == l.Token {
		return
	}
	require.Zero(r.rt, l.Token, "a token changed")
	require.Greater(r.rt, out.Lock.Token, r.token, "tokens grow")
	r.token, l.Token = out.Lock.Token, out.Lock.Token
}

// compare looks at everything there is to see.
func (r *run) compare() {
	var log []string
	for _, e := range r.fresh() {
		if e.Namespace == r.ns {
			log = append(log, line(&e))
		}
	}
	require.Equal(r.rt, r.world.log, log)
	r.world.log = nil
	for _, l := range r.world.requests {
		got, err := r.store.Get(r.t.Context(), l.ID)
		require.NoError(r.rt, err)
		want := r.world.standing(l)
		require.Equal(r.rt, standing(&want), standing(&got))
		require.Equal(r.rt, want.Lapses, got.Lapses)
		if r.clock == fakeTime {
			require.True(r.rt, l.Deadline().Equal(got.Deadline()), "%s ends by itself at %s, want %s", standing(&got), got.Deadline(), l.Deadline())
		}
	}
}

// draw is any step; half of them ask for something.
func (r *run) draw() lock.Step { //nolint:ireturn // a step is any of those of core/lock
	id := func() lock.ID {
		if len(r.world.requests) == 0 {
			return idIn(r.ns, "NONE")
		}
		return r.world.requests[rapid.IntRange(0, len(r.world.requests)-1).Draw(r.rt, "request")].ID
	}
	token := func(id lock.ID) lock.Token {
		if l := r.world.find(id); l != nil && rapid.IntRange(0, 5).Draw(r.rt, "stale") > 0 {
			return l.Token
		}
		return 1
	}
	switch rapid.IntRange(0, 15).Draw(r.rt, "kind") {
	case 0, 1:
		return &lock.Confirm{ID: id(), TTL: r.duration(), MaxTTL: r.duration()}
	case 2, 3, 4:
		one := id()
		return &lock.Release{ID: one, Token: token(one)}
	case 5:
		return &lock.Revoke{ID: id()}
	case 6:
		return &lock.Refuse{ID: id()}
	case 7:
		return &lock.Reprioritize{ID: id(), Priority: lock.High, Value: r.value()}
	case 8:
		return &lock.EndOwner{Namespace: r.ns, Owner: r.owner()}
	case 9:
		one := id()
		ttl := r.duration()
		if rapid.Bool().Draw(r.rt, "same") {
			ttl = -1
		}
		return &lock.Renew{ID: one, Token: token(one), TTL: ttl}
	case 10:
		one := id()
		return &lock.Verify{ID: one, Token: token(one)}
	case 11:
		return &lock.Attend{IDs: []lock.ID{id(), id()}, Attendee: r.attendee(), Beat: rapid.Bool().Draw(r.rt, "beat")}
	}
	return r.newcomer()
}

func (r *run) newcomer() *lock.Acquire {
	r.made++
	name := fmt.Sprintf("%c%sN%d", 'A'+rapid.IntRange(0, 5).Draw(r.rt, "id"), r.ns[len("run"):], r.made)
	a := elsewhere(r.ns, ask(name, 0))
	a.Lock.Owner, a.Lock.Value = r.owner(), r.value()
	a.Lock.TTL, a.Lock.MaxTTL = r.duration(), r.duration()
	if rapid.IntRange(0, 4).Draw(r.rt, "try") > 0 {
		a.Lock.Wait = max(time.Second, r.duration())
		if r.clock == realTime {
			a.Lock.Wait = time.Hour
		}
	}
	for _, key := range []lock.Key{"a", "b", "c"} {
		if m := rapid.IntRange(0, 4).Draw(r.rt, "mode"); m < 3 {
			a.Lock.Resources = append(a.Lock.Resources, lock.Resource{Key: key, Mode: []lock.Mode{lock.Exclusive, lock.Exclusive, lock.Shared}[m]})
		}
	}
	if len(a.Lock.Resources) == 0 {
		a.Lock.Resources = resourcesOf([]string{"a~"})
	}
	a.MaxQueue = rapid.SampledFrom([]int{0, 0, 3}).Draw(r.rt, "max queue")
	a.Attend = r.attendee()
	if rapid.IntRange(0, 5).Draw(r.rt, "idempotent") == 0 {
		a.Idempotency.Key = rapid.SampledFrom([]string{"k1", "k2"}).Draw(r.rt, "key")
		a.Idempotency.Hash = rapid.SampledFrom([]string{"h1", "h1", "h2"}).Draw(r.rt, "hash")
	}
	return a
}

func (r *run) owner() lock.Owner {
	return lock.Owner(fmt.Sprintf("%s:%d", r.ns, rapid.IntRange(1, 5).Draw(r.rt, "owner")))
}

func (r *run) value() int { return rapid.SampledFrom([]int{0, 200, 400, 400, 900}).Draw(r.rt, "value") }

func (r *run) attendee() lock.Attendee {
	return lock.Attendee{Attended: rapid.Bool().Draw(r.rt, "attended"), Place: r.duration()}
}

// duration is none, or a few seconds of fake time.
func (r *run) duration() time.Duration {
	if r.clock == realTime {
		return 0
	}
	return time.Duration(max(0, rapid.IntRange(-3, 6).Draw(r.rt, "seconds"))) * time.Second
}
