package deadlock

import "math/bits"

// exact finds the cheapest set of one component by trying, for a short cycle,
// each of its nodes in turn, and giving up where the price is beaten already.
func (w *web) exact(component []int) []int {
	small := w.condense(component)
	s := solver{web: small, best: full(len(small.nodes)), price: small.total(full(len(small.nodes)))}
	s.search(0, 0, price{})
	var chosen []int
	for m := s.best; m != 0; m &= m - 1 {
		chosen = append(chosen, small.nodes[bits.TrailingZeros32(m)])
	}
	return chosen
}

// condensed is a web of at most exactLimit removable nodes as bit sets.
type condensed struct {
	nodes  []int
	out    []uint32
	prices []price
}

func full(n int) uint32 { return 1<<n - 1 }

// condense bypasses everything that cannot be removed.
func (w *web) condense(component []int) *condensed {
	c := &condensed{}
	part := w.clone()
	inside := make([]bool, len(w.out))
	for _, v := range component {
		inside[v] = true
	}
	for v := range part.out {
		if !part.gone[v] && !inside[v] {
			part.drop(v)
		}
	}
	bit := make(map[int]int, exactLimit)
	for _, v := range component {
		if !w.removable[v] {
			part.bypass(v)
			continue
		}
		bit[v] = len(c.nodes)
		c.nodes = append(c.nodes, v)
		c.prices = append(c.prices, w.prices[v])
	}
	for _, v := range c.nodes {
		var m uint32
		for _, s := range part.out[v] {
			m |= 1 << bit[s]
		}
		c.out = append(c.out, m)
	}
	return c
}

func (c *condensed) total(set uint32) price {
	var sum price
	for m := set; m != 0; m &= m - 1 {
		sum = sum.plus(c.prices[bits.TrailingZeros32(m)])
	}
	return sum
}

// solver searches by branch and bound.
type solver struct {
	web   *condensed
	best  uint32
	price price
}

// search extends a set of removed nodes; kept ones may not be removed any more.
func (s *solver) search(removed, kept uint32, cost price) {
	if cost.compare(s.price) >= 0 {
		return
	}
	ring := s.web.ring(full(len(s.web.nodes)) &^ removed)
	if ring == 0 {
		s.best, s.price = removed, cost
		return
	}
	for m := ring &^ kept; m != 0; m &= m - 1 {
		v := m & -m
		s.search(removed|v, kept, cost.plus(s.web.prices[bits.TrailingZeros32(v)]))
		kept |= v
	}
}

// ring is a shortest cycle among the nodes of a set, or 0.
func (c *condensed) ring(among uint32) uint32 {
	var shortest uint32
	for m := among; m != 0; m &= m - 1 {
		r := c.ringAt(bits.TrailingZeros32(m), among)
		if r != 0 && (shortest == 0 || bits.OnesCount32(r) < bits.OnesCount32(shortest)) {
			shortest = r
		}
	}
	return shortest
}

// ringAt is a shortest cycle through one node, by layers and back.
func (c *condensed) ringAt(start int, among uint32) uint32 {
	var layers []uint32
	seen, layer := uint32(0), uint32(1)<<start
	for layer != 0 {
		layers = append(layers, layer)
		var next uint32
		for m := layer; m != 0; m &= m - 1 {
			next |= c.out[bits.TrailingZeros32(m)]
		}
		next &= among
		if next&(1<<start) != 0 {
			return c.back(start, layers)
		}
		layer = next &^ seen
		seen |= next
	}
	return 0
}

// back walks the layers from the last to the first.
func (c *condensed) back(start int, layers []uint32) uint32 {
	ring, to := uint32(1)<<start, start
	for i := len(layers) - 1; i > 0; i-- {
		for m := layers[i]; m != 0; m &= m - 1 {
			v := bits.TrailingZeros32(m)
			if c.out[v]&(1<<to) != 0 {
				ring |= 1 << v
				to = v
				break
			}
		}
	}
	return ring
}
