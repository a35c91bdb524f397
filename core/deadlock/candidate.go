package deadlock

import (
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// Candidate is an owner that could give way: it has a queued request whose
// hard edge is part of the deadlock. The facts are about the snapshot.
type Candidate struct {
	Owner        lock.Owner
	Requests     []lock.ID // its queued requests in the deadlock, ascending
	Priority     lock.Priority
	Value        int           // the highest priority value of its live requests
	Started      time.Time     // its earliest live request
	WaitingSince time.Time     // its earliest request in the deadlock
	WaitTime     time.Duration // since then
	Locks        int           // held
	HoldTime     time.Duration // of the lock it has held longest
	Lease        time.Duration // what is left of its shortest lease; 0: none ends
	Preemptible  bool          // every lock that others in the deadlock wait for may be taken
	Labels       map[string]string
	Losses       int     // how often it was victim already
	Blocked      int     // owners that wait for it, directly or not
	Frees        int     // owners of this deadlock that are stuck no more when it gives way, itself too; 0 beyond 128 owners
	Centrality   float64 // share of the shortest ways in the deadlock that pass it; 0 beyond 128 owners
	Immune       bool    // was victim too often
	Cost         int64   // what the policy says its loss costs, with its earlier losses
	Rank         int     // its place in the policy's order, 0 gives way first
}

// facts fills what the owner's live requests say.
func (g *Graph) facts(node int, at time.Time) Candidate {
	c := Candidate{Owner: g.owners[node]}
	for _, i := range g.mine[node] {
		r := &g.requests[i]
		if r.Value > c.Value {
			c.Value = r.Value
		}
		c.Priority = max(c.Priority, stated(r.Priority))
		c.Losses = max(c.Losses, r.Losses)
		c.Started = earliest(c.Started, r.Enqueued)
		if r.State == lock.Held {
			c.addLock(r, at)
		}
	}
	return c
}

func (c *Candidate) addLock(r *Request, at time.Time) {
	c.Locks++
	c.HoldTime = max(c.HoldTime, at.Sub(r.Acquired))
	if r.Expires.IsZero() {
		return
	}
	// A lease that is over but not swept yet still counts as one that ends.
	left := max(r.Expires.Sub(at), time.Millisecond)
	if c.Lease == 0 || left < c.Lease {
		c.Lease = left
	}
}

// addWait notes a queued request that is part of the deadlock.
func (c *Candidate) addWait(r *Request, at time.Time) {
	c.Requests = append(c.Requests, r.ID)
	if c.WaitingSince.IsZero() || r.Enqueued.Before(c.WaitingSince) {
		c.WaitingSince, c.Labels = r.Enqueued, r.Labels
		c.WaitTime = at.Sub(r.Enqueued)
	}
}

func stated(p lock.Priority) lock.Priority {
	if p == lock.Unstated {
		return lock.Normal
	}
	return p
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
