package wire

// Graph is what GET /v1/graph answers: everybody who waits, and whom they wait
// for.
type Graph struct {
	Nodes     []GraphNode `json:"nodes"` // ascending by owner
	Edges     []GraphEdge `json:"edges"`
	Cycles    [][]string  `json:"cycles"`              // owners, the shortest ring of every deadlock
	Truncated bool        `json:"truncated,omitempty"` // there are more edges
}

// GraphNode is one owner.
type GraphNode struct {
	Owner    string `json:"owner"`
	Holds    int    `json:"holds"` // locks held or offered
	Waits    int    `json:"waits"` // requests queued
	Priority string `json:"priority"`
	Losses   int    `json:"losses"` // how often it was a victim
	Degree   int    `json:"degree"` // edges to it and from it
}

// GraphEdge is one reason why one owner waits for another.
type GraphEdge struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Namespace string `json:"namespace"`
	Request   string `json:"request"` // the waiting request, or the declared wait
	Resource  string `json:"resource,omitempty"`
	Kind      string `json:"kind"`              // hard: a holder, soft: ahead in a queue, declared
	Blocker   string `json:"blocker,omitempty"` // the request that is waited for
}

// CycleEdge is one step of a deadlock's cycle.
type CycleEdge struct {
	Owner    string `json:"owner"`
	Request  string `json:"request"`
	Resource string `json:"resource,omitempty"` // absent when the wait was declared
	WaitsFor string `json:"waits_for"`
	Kind     string `json:"kind"`
}

// Deadlock is one deadlock and what was done about it.
type Deadlock struct {
	ID         string      `json:"id"`
	Namespace  string      `json:"namespace"`
	Size       int         `json:"size"`   // owners in it
	Owners     []string    `json:"owners"` // at most 64, as in every list
	Cycle      []CycleEdge `json:"cycle"`
	Resolution string      `json:"resolution"`         // reordered, victim, refused or withdrawn
	Policy     string      `json:"policy,omitempty"`   // that chose the victims
	Fallback   string      `json:"fallback,omitempty"` // why the configured policy did not
	Victims    []string    `json:"victims"`
	Reasons    []string    `json:"reasons"` // why, one a victim
	Moved      []string    `json:"moved"`   // requests that went ahead of others
	Candidates []Candidate `json:"candidates"`
	Measures   Measures    `json:"measures"`
	Swept      bool        `json:"swept,omitempty"` // only the sweep found it
	FormedAt   Time        `json:"formed_at"`
	ResolvedAt Time        `json:"resolved_at"`
	Took       Duration    `json:"took"`
}

// Candidate is an owner that could have given way.
type Candidate struct {
	Owner      string   `json:"owner"`
	Priority   string   `json:"priority"`
	Locks      int      `json:"locks"`
	HoldTime   Duration `json:"hold_time"`
	WaitTime   Duration `json:"wait_time"`
	Losses     int      `json:"losses"`
	Frees      int      `json:"frees"`
	Blocked    int      `json:"blocked"`
	Centrality float64  `json:"centrality"`
	Immune     bool     `json:"immune,omitempty"`
	Cost       int64    `json:"cost"`
}

// Measures describe the shape of a deadlock; 0 for one of more than 128 owners.
type Measures struct {
	Edges       int     `json:"edges"`
	LongestPath int     `json:"longest_path"`
	Clustering  float64 `json:"clustering"`
}

// DeadlockList is what GET /v1/deadlocks answers, newest first.
type DeadlockList struct {
	Items []Deadlock `json:"items"`
}

// WaitRequest is the body of POST /v1/waits.
type WaitRequest struct {
	Namespace string   `json:"namespace,omitempty"` // default "default"
	Owner     string   `json:"owner"`
	WaitsFor  string   `json:"waits_for"`     // an owner
	TTL       Duration `json:"ttl,omitempty"` // default 1h, at most 24h
}

// Wait is a declared wait.
type Wait struct {
	ID        string `json:"id"`
	Namespace string `json:"namespace"`
	Owner     string `json:"owner"`
	WaitsFor  string `json:"waits_for"`
	Subject   string `json:"subject"`
	Declared  Time   `json:"declared_at"`
	Until     Time   `json:"until"`
}

// The kinds of edges of the wait-for graph.
const (
	EdgeHard     = "hard"     // to whoever holds or was offered the resource
	EdgeSoft     = "soft"     // to whoever waits for it ahead in the queue
	EdgeDeclared = "declared" // to whoever was said to be waited for
)
