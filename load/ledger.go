package load

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// faultsKept bounds the sentences of a report; the counts go on.
const faultsKept = 20

// ledger is what the clients of an audit know for sure: a lock is theirs from
// its acknowledged grant until they ask to release it.
type ledger struct {
	mu     sync.Mutex
	held   map[string]map[string]bool // ids by namespace and key
	newest map[string]int64           // largest acknowledged token by namespace
	moved  map[string]time.Time       // last grant by namespace
	report Report
}

// Report is what an audit found.
type Report struct {
	Grants, Refused int64 // requests that got their lock, and that did not within their wait
	Repeats         int64 // calls that had to be sent again

	Doubled  int64 // grants of what somebody else held
	Lost     int64 // locks that were gone before their holder released them
	Backward int64 // tokens that were not larger than one of their namespace granted before
	Stuck    int64 // calls that nobody answered within a minute

	Faults  []string      // the first of all these, in words
	Silence time.Duration // longest time without a grant in a namespace
	Wait    time.Duration // longest time from asking for a lock to having it
}

func newLedger(namespaces []string) *ledger {
	l := &ledger{held: make(map[string]map[string]bool), newest: make(map[string]int64), moved: make(map[string]time.Time)}
	for _, ns := range namespaces {
		l.moved[ns] = time.Now()
	}
	return l
}

// newestToken answers the largest token acknowledged so far.
func (l *ledger) newestToken(ns string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest[ns]
}

// grant notes an acknowledged grant. Newest was read before the request was made
// at asked: every token acknowledged by then must be smaller.
func (l *ledger) grant(r *wire.AcquireRequest, g grant, newest int64, asked time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if g.Token <= newest {
		l.faultLocked(&l.report.Backward, "token %d of %s is not larger than %d, which was granted before", g.Token, g.ID, newest)
	}
	for _, res := range r.Resources {
		at := r.Namespace + "/" + res.Key
		if l.held[at] == nil {
			l.held[at] = make(map[string]bool)
		}
		for other := range l.held[at] {
			l.faultLocked(&l.report.Doubled, "%s was granted to %s while %s held it", at, g.ID, other)
		}
		l.held[at][g.ID] = true
	}
	l.newest[r.Namespace] = max(l.newest[r.Namespace], g.Token)
	l.report.Grants++
	l.report.Wait = max(l.report.Wait, now.Sub(asked))
	l.report.Silence = max(l.report.Silence, now.Sub(l.moved[r.Namespace]))
	l.moved[r.Namespace] = now
}

// giveBack notes that a holder is about to release: from here on nothing is known.
func (l *ledger) giveBack(r *wire.AcquireRequest, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, res := range r.Resources {
		delete(l.held[r.Namespace+"/"+res.Key], id)
	}
}

func (l *ledger) lost(format string, args ...any) { l.fault(&l.report.Lost, format, args...) }

func (l *ledger) stuck(format string, args ...any) { l.fault(&l.report.Stuck, format, args...) }

func (l *ledger) refused() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Refused++
}

func (l *ledger) repeated() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.report.Repeats++
}

func (l *ledger) fault(count *int64, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faultLocked(count, format, args...)
}

func (l *ledger) faultLocked(count *int64, format string, args ...any) {
	*count++
	if len(l.report.Faults) < faultsKept {
		l.report.Faults = append(l.report.Faults, fmt.Sprintf(format, args...))
	}
}

// soFar is a copy of the report.
func (l *ledger) soFar() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.report
	r.Faults = slices.Clone(r.Faults)
	return r
}
