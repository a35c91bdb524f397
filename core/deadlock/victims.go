package deadlock

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Victim is an owner that gives way.
type Victim struct {
	Owner    lock.Owner
	Requests []lock.ID // the waits to end; other waits of the owner stay
	Cycle    Cycle     // stands as long as the victim is needed; no other victim breaks it
	Locks    []Taken   // what it holds that others in the deadlock wait for
	Reason   string    // why it was chosen
}

// Taken is a held lock that somebody in a deadlock waits for.
type Taken struct {
	ID          lock.ID
	Token       lock.Token
	Preemptible bool
}

// verdict is who gives way in a knot and who said so.
type verdict struct {
	id         string
	candidates map[int]*Candidate // by node
	policy     Policy
	fallback   error
	reasons    map[int]string // by node
	gaveWay    map[int]bool
}

// selectTimeout is how long an extension may think about one deadlock.
const selectTimeout = 25 * time.Millisecond

// judge chooses the victims of every ring of a knot. Candidates are ascending
// by owner and get their costs.
func (d *Detector) judge(ctx context.Context, k *knot, id string, candidates []Candidate) *verdict {
	v := &verdict{
		id: id, policy: d.cfg.VictimPolicy,
		candidates: make(map[int]*Candidate, len(candidates)), reasons: make(map[int]string), gaveWay: make(map[int]bool),
	}
	if v.policy == Adaptive {
		v.policy = d.history.choose(classOf(candidates, len(k.owners)))
	}
	ruleOf(v.policy, id).apply(candidates, d.cfg.MaxVictimizations)
	for i := range candidates {
		v.candidates[k.g.node[candidates[i].Owner]] = &candidates[i]
	}
	if name, ok := v.policy.Extension(); ok {
		v.fallback = d.askExtension(ctx, name, k, v)
		if v.fallback == nil {
			return v
		}
		v.policy = LowestPriority
		clear(v.gaveWay)
		clear(v.reasons)
	}
	for _, ring := range k.rings {
		for _, n := range k.cheapest(ring, v.candidates) {
			v.gaveWay[n] = true
			v.reasons[n] = reasonOf(v.policy, v.candidates[n])
		}
	}
	return v
}

func reasonOf(p Policy, c *Candidate) string {
	reason := fmt.Sprintf("%s: costs least (%d) of those whose end resolves the deadlock", p, c.Cost)
	if c.Immune {
		reason = fmt.Sprintf("%s: everybody who could resolve the deadlock was victim too often, it least (%d)", p, c.Losses)
	}
	return reason
}

// cheapest is the cheapest set of owners whose end resolves a ring.
func (k *knot) cheapest(ring []int, candidates map[int]*Candidate) []int {
	slices.Sort(ring)
	at := make(map[int]int, len(ring))
	for i, n := range ring {
		at[n] = i
	}
	w := newWeb(2 * len(ring))
	for i, n := range ring {
		// The second node of an owner is its lock waits, which end when it gives
		// way; declared waits leave from the first and stay.
		if c, ok := candidates[n]; ok {
			w.removable[len(ring)+i], w.prices[len(ring)+i] = true, priceOf(c)
		}
		w.join(i, len(ring)+i)
		for _, a := range k.g.from(n) {
			to, inside := at[a.to]
			switch {
			case !inside || k.isWithdrawn(&a) || a.kind == Soft:
			case a.kind == Declared:
				w.join(i, to)
			default:
				w.join(len(ring)+i, to)
			}
		}
	}
	chosen := w.cheapest()
	for i := range chosen {
		chosen[i] = ring[chosen[i]-len(ring)]
	}
	return chosen
}

// askExtension lets an extension choose one victim after the other until no
// ring is left, then lets go of those who are not needed.
func (d *Detector) askExtension(ctx context.Context, name string, k *knot, v *verdict) error {
	if d.extensions == nil {
		return errors.New("no extensions are loaded")
	}
	ctx, cancel := context.WithTimeout(ctx, selectTimeout)
	defer cancel()
	for _, ring := range k.rings {
		label := k.hard[ring[0]]
		for {
			left := k.g.components(ring, k.within(label, v.gaveWay))
			if len(left) == 0 {
				break
			}
			n, reason, err := d.ask(ctx, name, k, k.dispute(left[0], v))
			if err != nil {
				return err
			}
			v.gaveWay[n], v.reasons[n] = true, reason
		}
		k.release(ring, label, v.gaveWay)
	}
	return nil
}

// dispute is the question about what is left of a ring.
func (k *knot) dispute(nodes []int, v *verdict) *Dispute {
	d := &Dispute{ID: v.id, At: k.g.at}
	var immune []Candidate
	for _, n := range nodes {
		c, ok := v.candidates[n]
		switch {
		case !ok || v.gaveWay[n]:
		case c.Immune:
			immune = append(immune, *c)
		default:
			d.Candidates = append(d.Candidates, *c)
		}
	}
	if len(d.Candidates) == 0 {
		d.Candidates = immune
	}
	slices.SortFunc(d.Candidates, func(a, b Candidate) int { return compareOwners(a.Owner, b.Owner) })
	for _, c := range d.Candidates {
		n := k.g.node[c.Owner]
		if d.Cycle = k.ringThrough(n, v.gaveWay); d.Cycle != nil {
			break
		}
	}
	return d
}

func (d *Detector) ask(ctx context.Context, name string, k *knot, q *Dispute) (int, string, error) {
	choice, err := d.extensions.SelectVictim(ctx, name, q)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, "", fmt.Errorf("extension %q: %w", name, err)
	}
	if !slices.ContainsFunc(q.Candidates, func(c Candidate) bool { return c.Owner == choice.Victim }) {
		return 0, "", fmt.Errorf("extension %q chose %q, which is no candidate", name, choice.Victim)
	}
	return k.g.node[choice.Victim], choice.Reason, nil
}

// release takes back, in order of nodes, every victim without whom the ring is
// broken just as well.
func (k *knot) release(ring []int, label int, gaveWay map[int]bool) {
	for _, n := range ring {
		if !gaveWay[n] {
			continue
		}
		delete(gaveWay, n)
		if len(k.g.components(ring, k.within(label, gaveWay))) > 0 {
			gaveWay[n] = true
		}
	}
}

// ringThrough is the shortest ring of hard and declared edges through the lock
// waits of an owner that none of the others who gave way breaks.
func (k *knot) ringThrough(n int, gaveWay map[int]bool) Cycle {
	return k.walk.cycle(n, len(k.owners), k.past(n, gaveWay))
}

func (k *knot) past(n int, gaveWay map[int]bool) follow {
	rest := k.within(k.hard[n], gaveWay)
	return func(from int, a *arc) bool {
		if from == n {
			return a.kind == Hard && k.hard[a.to] == k.hard[n]
		}
		return rest(from, a)
	}
}

// victims describes those who give way, ascending by owner.
func (k *knot) victims(candidates []Candidate, v *verdict) []Victim {
	var list []Victim
	ended := k.waitsToEnd(v.gaveWay)
	for i := range candidates {
		c := &candidates[i]
		n := k.g.node[c.Owner]
		if !v.gaveWay[n] {
			continue
		}
		victim := Victim{Owner: c.Owner, Cycle: k.ringThrough(n, v.gaveWay), Locks: k.wanted(n), Reason: v.reasons[n]}
		for _, r := range k.g.mine[n] {
			if ended[r] {
				victim.Requests = append(victim.Requests, k.g.requests[r].ID)
			}
		}
		list = append(list, victim)
	}
	return list
}

// waitsToEnd picks the requests of the victims that must end. It begins with
// all that are part of a ring and spares, one after the other, whatever does not
// lead back to its owner past those that end. Two victims that wait for each
// other cannot both be spared: the second is judged with the first one's wait in
// place.
func (k *knot) waitsToEnd(gaveWay map[int]bool) map[int]bool {
	victims := slices.Sorted(maps.Keys(gaveWay))
	roots := make(map[int][]int) // by request: whom it waits for in the ring
	ended := make(map[int]bool)
	for _, n := range victims {
		for _, i := range k.g.mine[n] {
			if roots[i] = k.blockersInRing(i, n); len(roots[i]) > 0 {
				ended[i] = true
			}
		}
	}
	for _, n := range victims {
		for _, i := range k.g.mine[n] {
			if len(k.g.mine[n]) > 1 && ended[i] && !slices.Contains(k.g.reach(roots[i], k.pastRequests(n, ended)), n) {
				delete(ended, i)
			}
		}
	}
	return ended
}

func (k *knot) blockersInRing(i, n int) []int {
	var nodes []int
	k.g.holders(i, func(_ *line, h slot) {
		if k.hard[h.owner] == k.hard[n] {
			nodes = append(nodes, h.owner)
		}
	})
	return nodes
}

// pastRequests follows the arcs of n's ring but those of requests that end.
func (k *knot) pastRequests(n int, ended map[int]bool) follow {
	rest := k.within(k.hard[n], nil)
	return func(from int, a *arc) bool {
		return rest(from, a) && (a.kind == Declared || !ended[a.request])
	}
}
