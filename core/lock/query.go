package lock

import "time"

// Query selects locks for a list; zero fields select all. Without States only
// live ones are listed.
type Query struct {
	Namespace Namespace
	Resource  Key
	Prefix    string // of a key
	Owner     Owner
	States    []State
	Priority  Priority
	Labels    map[string]string
	After     string // cursor of an earlier page
	Limit     int    // 1 to 1000
}

// Page is one part of a list in ascending order of ids.
type Page struct {
	Locks []Lock
	Next  string // cursor; "" when this was the last
}

// QueueQuery selects queues; a resource without holders and waiters has none.
type QueueQuery struct {
	Namespace Namespace // "" all
	Resource  Key       // "" all
	After     string
	Limit     int // queues a page, 1 to 1000
	Depth     int // waiters listed of each queue
}

// Queue is one resource with everybody who holds it or waits for it.
type Queue struct {
	Namespace Namespace
	Resource  Key
	Holders   []Lock // held and offered
	Waiters   []Lock // in order of their grants, at most QueueQuery.Depth
	Length    int    // all waiters
}

// QueuePage is one part of a list of queues.
type QueuePage struct {
	Queues []Queue
	Next   string
}

// FactsQuery asks for what policies may know about some resources.
type FactsQuery struct {
	Namespace Namespace
	Resources []Resource
	Owner     Owner
	Subject   string
}

// Stats counts the lock table, for metrics and status.
type Stats struct {
	Held       int
	Offered    int
	Queued     map[Priority]int
	OldestWait map[Priority]time.Duration // age of the oldest waiting request
	Namespaces int
}
