// Package deadlock finds rings of owners that wait for each other and says what
// resolves each: a new order of a queue, a cheapest set of victims, or a
// declared wait to withdraw. It takes a snapshot of the lock table and answers
// findings; it moves no lock, reads no clock and starts nothing.
//
// # The graph
//
// Nodes are owners. A queued request draws an edge from its owner to the owner
// of everything that it waits for:
//
//	hard      a conflicting holder, or a request that was offered the key
//	soft      a conflicting request ahead of it in the queue of a key
//	declared  what its owner said it waits for, outside of locks
//
// Two requests conflict on a key when their owners differ and one of their modes
// is exclusive. "Ahead" is by score, ties by id, the same order in every queue.
//
//	           held by           queue, first to last
//	vpc      ┌───────────┐      ┌──────────────┐
//	         │ a         │ ◄─── │ r4 of b      │      b ─hard─► a   (r4, vpc)
//	         └───────────┘      └──────────────┘
//	           held by           queue
//	dns      ┌───────────┐      ┌──────────────┐
//	         │ b         │ ◄─┬─ │ r5 of c      │      c ─hard─► b   (r5, dns)
//	         └───────────┘   │  └──────▲───────┘
//	                         │  ┌──────┴───────┐      a ─hard─► b   (r6, dns)
//	                         └─ │ r6 of a      │      a ─soft─► c   (r6, dns)
//	                            └──────────────┘
//
//	       hard, vpc
//	    ┌─────────────┐
//	    ▼             │          Two rings: a, b and, by way of the queue, a, c,
//	    a ──────────► b          b. If a moved ahead of c the second would be
//	    │  hard, dns  ▲          gone, the first would not: a or b must give way,
//	    └──soft──► c ─┘          which breaks both. c is no candidate.
//
// An owner waits for all of its edges, so every cycle is a deadlock, and a
// deadlock stays until somebody gives way. A ring with a soft edge in it is
// undone by moving requests ahead of others; only a ring of hard and declared
// edges costs a victim. A victim's waits in the ring end. What it holds blocks
// the others until it is released.
//
// The pairs of a queue grow with the square of its length; the graph joins them
// by junctions and grows with the requests.
//
// # Guarantees
//
// What is found is a deadlock of the snapshot: no owner is named that could go
// on if everybody else finished. Nothing is missed that can be reached from the
// owners asked about. Moves leave those owners in no deadlock and make no new
// one. Victims are enough, none can be spared, and they cost no more than
// breaking one cycle after the other would; up to 20 owners a ring, after
// reduction, no set costs less. The answer depends on the snapshot alone, not on
// its order nor on who asks, except where an extension or the learning of
// [Adaptive] decides: two gateways may then name different victims, and the
// store's condition that the cycle still stands lets one of them win.
//
// # Life
//
// The store answers a [Snapshot] in one atomic read, [NewGraph] derives the
// graph, [Detector.Find] searches from the owners whose step drew an edge and
// [Detector.Sweep] from everybody. A cycle over several namespaces, whose reads
// were merged, is confirmed with [Graph.Stands] in a second read. After a
// finding was done the search is repeated from its owners, since a moved request
// or a victim's other waits may be part of another deadlock.
//
// # Failure
//
// A search cannot fail. An extension that traps, hangs or answers nonsense is
// replaced by lowest_priority, and [Finding.Fallback] says why.
//
// # Testing
//
// The scenarios in testdata are traces of small lock tables; random ones are
// compared with a reduction of the table that knows nothing of graphs.
package deadlock
