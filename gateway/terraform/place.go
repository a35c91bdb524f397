package terraform

import (
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

// With -lock-timeout Terraform tries again after 1, 2, 4, 8, 16, 16, … seconds,
// without it never.
const (
	firstRetry = time.Second
	lastRetry  = 16 * time.Second
)

// place is how long a request keeps its place in the queue without another
// LOCK: until the next try that the schedule expects, and an eighth and two
// seconds more for slow networks; 3.125 s after the first try, 20 s at most. A
// caller that gave up is in the way for no longer than that.
//
// Which try it is shows in the request, so that neither the gateway's memory nor
// its clock matters: until when the store would have waited for this try, counted
// from the first one, both in the store's time.
func place(known *lock.Lock) time.Duration {
	if known == nil {
		return withSlack(firstRetry)
	}
	expected := known.AliveUntil.Sub(known.RequestedAt)
	elapsed := time.Duration(0) // from the first try to the one that delay follows
	delay := firstRetry
	for delay < lastRetry && expected > elapsed+withSlack(delay)-lateness {
		elapsed += delay
		delay *= 2
	}
	return withSlack(delay)
}

// lateness is how much earlier than planned a place may seem to end: times are
// cut to milliseconds.
const lateness = 100 * time.Millisecond

func withSlack(delay time.Duration) time.Duration { return delay + delay/8 + 2*time.Second }
