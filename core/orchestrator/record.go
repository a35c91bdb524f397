package orchestrator

import (
	"github.com/lockgate/lockgate/core/deadlock"
	"github.com/lockgate/lockgate/core/lock"
)

// recordOf is what is kept of a finding, its lists cut to what somebody reads.
func recordOf(f *deadlock.Finding, why *occasion, res lock.Resolution) *lock.Deadlock {
	d := &lock.Deadlock{
		ID: f.ID, Size: len(f.Owners), Owners: firsts(f.Owners), Cycle: shown(f.Cycle), Resolution: res,
		Policy: string(f.Policy), Swept: why.swept, FormedAt: why.at,
		Measures: lock.Measures{Edges: f.Measures.Edges, LongestPath: f.Measures.LongestPath, Clustering: f.Measures.Clustering},
	}
	if f.Fallback != nil {
		d.Fallback = f.Fallback.Error()
	}
	for i := range firsts(f.Victims) {
		d.Victims = append(d.Victims, f.Victims[i].Owner)
		d.Reasons = append(d.Reasons, f.Victims[i].Reason)
	}
	for _, m := range firsts(f.Moves) {
		d.Moved = append(d.Moved, m.Request)
	}
	for i := range firsts(f.Candidates) {
		c := &f.Candidates[i]
		d.Candidates = append(d.Candidates, lock.Candidate{
			Owner: c.Owner, Priority: c.Priority, Locks: c.Locks, HoldTime: c.HoldTime, WaitTime: c.WaitTime,
			Losses: c.Losses, Frees: c.Frees, Blocked: c.Blocked, Centrality: c.Centrality, Immune: c.Immune, Cost: c.Cost,
		})
	}
	return d
}

func firsts[T any](all []T) []T { return all[:min(len(all), lock.MaxRecorded)] }

// shown is the part of a cycle that is kept.
func shown(c lock.Cycle) lock.Cycle { return firsts(c) }
