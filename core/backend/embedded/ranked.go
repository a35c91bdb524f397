package embedded

import "iter"

// ranked is a set in order that knows places: a weight-balanced tree in which
// insert, remove and rank cost O(log n). An item must not change what less looks
// at while it is inside.
type ranked[T any] struct {
	root *node[T]
	less func(a, b T) bool
}

type node[T any] struct {
	item        T
	left, right *node[T]
	size        int
}

func (n *node[T]) len() int {
	if n == nil {
		return 0
	}
	return n.size
}

func (r *ranked[T]) len() int { return r.root.len() }

// insert adds an item that is not inside yet.
func (r *ranked[T]) insert(item T) { r.root = r.insertAt(r.root, item) }

func (r *ranked[T]) insertAt(n *node[T], item T) *node[T] {
	if n == nil {
		return &node[T]{item: item, size: 1}
	}
	if r.less(item, n.item) {
		n.left = r.insertAt(n.left, item)
	} else {
		n.right = r.insertAt(n.right, item)
	}
	return n.balanced()
}

// remove takes an item out; one that is not inside is passed over.
func (r *ranked[T]) remove(item T) { r.root = r.removeAt(r.root, item) }

func (r *ranked[T]) removeAt(n *node[T], item T) *node[T] {
	switch {
	case n == nil:
		return nil
	case r.less(item, n.item):
		n.left = r.removeAt(n.left, item)
	case r.less(n.item, item):
		n.right = r.removeAt(n.right, item)
	case n.left == nil:
		return n.right
	case n.right == nil:
		return n.left
	default:
		next := n.right
		for next.left != nil {
			next = next.left
		}
		n.item = next.item
		n.right = r.removeAt(n.right, next.item)
	}
	return n.balanced()
}

// rank is how many items go before the given one, which need not be inside.
func (r *ranked[T]) rank(item T) int {
	before := 0
	for n := r.root; n != nil; {
		if r.less(n.item, item) {
			before += n.left.len() + 1
			n = n.right
		} else {
			n = n.left
		}
	}
	return before
}

// find answers the item that is neither before nor after the probe, or the zero
// value.
func (r *ranked[T]) find(probe T) (item T) {
	for n := r.root; n != nil; {
		switch {
		case r.less(probe, n.item):
			n = n.left
		case r.less(n.item, probe):
			n = n.right
		default:
			return n.item
		}
	}
	return item
}

// first is the item that nothing goes before.
func (r *ranked[T]) first() (item T, ok bool) {
	n := r.root
	if n == nil {
		return item, false
	}
	for n.left != nil {
		n = n.left
	}
	return n.item, true
}

// all yields every item in order; the set must not change meanwhile.
func (r *ranked[T]) all() iter.Seq[T] {
	return r.since(func(T) bool { return false })
}

// since yields the items in order from the first that passed does not hold for.
// passed must hold for a prefix of the order.
func (r *ranked[T]) since(passed func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) { r.root.walk(passed, yield) }
}

func (n *node[T]) walk(passed, yield func(T) bool) bool {
	if n == nil {
		return true
	}
	if passed(n.item) {
		return n.right.walk(passed, yield)
	}
	return n.left.walk(passed, yield) && yield(n.item) && n.right.walk(passed, yield)
}

// A side may be at most heavy times the other, and a rotation is single while
// the inner grandchild is under double the outer one. (3, 2) on sizes plus one
// is a pair for which one rotation always suffices (Hirai and Yamamoto,
// "Balancing weight-balanced trees", 2011).
const (
	heavy  = 3
	double = 2
)

func (n *node[T]) balanced() *node[T] {
	left, right := n.left.len()+1, n.right.len()+1
	switch {
	case right > heavy*left:
		if n.right.left.len()+1 >= double*(n.right.right.len()+1) {
			n.right = n.right.rotateRight()
		}
		return n.rotateLeft()
	case left > heavy*right:
		if n.left.right.len()+1 >= double*(n.left.left.len()+1) {
			n.left = n.left.rotateLeft()
		}
		return n.rotateRight()
	}
	n.count()
	return n
}

func (n *node[T]) count() { n.size = n.left.len() + n.right.len() + 1 }

func (n *node[T]) rotateLeft() *node[T] {
	top := n.right
	n.right, top.left = top.left, n
	n.count()
	top.count()
	return top
}

func (n *node[T]) rotateRight() *node[T] {
	top := n.left
	n.left, top.right = top.right, n
	n.count()
	top.count()
	return top
}
