package deadlock

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/lockgate/lockgate/core/lock"
)

// rule is what a built-in policy says: how much the loss of an owner is worth
// before its earlier losses are counted, and who goes first among equal costs.
type rule struct {
	worth   func(c *Candidate) int64
	compare func(a, b *Candidate) int
}

// ruleOf answers the rule of a built-in policy; seed is the deadlock's id.
// Anything unknown is lowest_priority, the policy to fall back to.
func ruleOf(p Policy, seed string) rule {
	switch p {
	case Youngest:
		return rule{alike, func(a, b *Candidate) int { return b.Started.Compare(a.Started) }}
	case FIFO:
		return rule{alike, func(a, b *Candidate) int { return a.WaitingSince.Compare(b.WaitingSince) }}
	case LIFO:
		return rule{alike, func(a, b *Candidate) int { return b.WaitingSince.Compare(a.WaitingSince) }}
	case Random:
		return rule{alike, func(a, b *Candidate) int { return cmp.Compare(draw(seed, a.Owner), draw(seed, b.Owner)) }}
	case LeastWork:
		return rule{func(c *Candidate) int64 { return int64(c.Locks) + 1 }, leastWork}
	case MostBlocking:
		return rule{worthByFreed, leastWork}
	case LowestPriority, Adaptive:
	}
	return rule{worthOfPriority, func(a, b *Candidate) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), leastWork(a, b), b.Started.Compare(a.Started))
	}}
}

func alike(*Candidate) int64 { return 1 }

func worthOfPriority(c *Candidate) int64 { return int64(c.Priority.Base()) }

// worthByFreed is the worth of the priority for each owner that is freed, in
// thousandths.
func worthByFreed(c *Candidate) int64 {
	return max(1, worthOfPriority(c)*1000/int64(max(1, c.Frees)))
}

func leastWork(a, b *Candidate) int {
	return cmp.Or(cmp.Compare(a.Locks, b.Locks), cmp.Compare(a.HoldTime, b.HoldTime))
}

// draw is an owner's ticket in the lottery of one deadlock.
func draw(seed string, o lock.Owner) uint64 {
	sum := sha256.Sum256([]byte(seed + "\n" + string(o)))
	return binary.BigEndian.Uint64(sum[:])
}

// maxLosses bounds how far earlier losses raise a cost.
const maxLosses = 1000

// apply fills Immune, Cost and Rank of all candidates. The cost of a loss is
// its worth times one more than the losses before, so whoever was victim once
// costs twice. Among equal costs fewer losses give way, then the policy's order
// decides.
func (r rule) apply(candidates []Candidate, maxVictimizations int) {
	order := make([]*Candidate, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		c.Immune = c.Losses >= maxVictimizations
		c.Cost = r.worth(c) * int64(1+min(c.Losses, maxLosses))
		order[i] = c
	}
	slices.SortFunc(order, func(a, b *Candidate) int {
		return cmp.Or(compareImmunity(a, b), cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.Losses, b.Losses),
			r.compare(a, b), strings.Compare(string(a.Owner), string(b.Owner)))
	})
	for i, c := range order {
		c.Rank = i
	}
}

// compareImmunity puts whoever may lose before the immune, and among those the
// one with the fewest losses first.
func compareImmunity(a, b *Candidate) int { return cmp.Compare(immunity(a), immunity(b)) }

func immunity(c *Candidate) int64 {
	if !c.Immune {
		return 0
	}
	return int64(c.Losses)
}

// price is what a set of victims costs. Prices add up and are compared field by
// field: losses of immune owners first, then the policy's cost, then the number
// of victims, then their ranks.
type price struct {
	immune  int64
	cost    int64
	victims int
	ranks   int
}

func priceOf(c *Candidate) price {
	return price{immune: immunity(c), cost: c.Cost, victims: 1, ranks: c.Rank}
}

func (p price) plus(q price) price {
	return price{p.immune + q.immune, p.cost + q.cost, p.victims + q.victims, p.ranks + q.ranks}
}

func (p price) compare(q price) int {
	return cmp.Or(cmp.Compare(p.immune, q.immune), cmp.Compare(p.cost, q.cost),
		cmp.Compare(p.victims, q.victims), cmp.Compare(p.ranks, q.ranks))
}
