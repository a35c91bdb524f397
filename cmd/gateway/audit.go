package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lockgate/lockgate/load"
)

const (
	auditEach  = time.Second // between two lines of an audit
	auditConns = 4           // connections a client: requests on their way twice stay open too
)

// audit contends at all the gateways that were named, prints a line a second,
// and fails when the ledger and the gateways disagree.
func (o *benchOptions) audit(ctx context.Context) error {
	if o.url == "" {
		return errors.New("audit needs the running gateways: --url http://127.0.0.1:7480,http://127.0.0.1:7481")
	}
	var targets []*load.Target
	for url := range strings.SplitSeq(o.url, ",") {
		t := load.NewTarget(strings.TrimSuffix(url, "/"), o.token, auditConns*o.run.Clients)
		defer t.Close() //nolint:revive // defer: a handful, closed when the audit ends
		targets = append(targets, t)
	}
	ctx, cancel := context.WithTimeout(ctx, o.run.Duration)
	defer cancel()
	a := load.NewAudit(targets, o.run.Clients, "audit")
	ended := make(chan load.Report, 1)
	go func() { ended <- a.Run(ctx) }()
	line := time.NewTicker(auditEach)
	defer line.Stop()
	var before load.Report
	for second := 1; ; second++ {
		select {
		case <-line.C:
			r := a.SoFar()
			o.say("%4ds %7d grants/s %6d repeated calls   doubled %d, lost %d, tokens not growing %d\n",
				second, r.Grants-before.Grants, r.Repeats-before.Repeats, r.Doubled, r.Lost, r.Backward)
			before = r
		case r := <-ended:
			return o.verdict(&r)
		}
	}
}

func (o *benchOptions) verdict(r *load.Report) error {
	o.say("%d grants, %d requests not granted within their wait, %d calls repeated at another gateway or later\n", r.Grants, r.Refused, r.Repeats)
	o.say("locks doubled %d, lost %d; tokens that did not grow %d; calls without an answer for a minute %d\n", r.Doubled, r.Lost, r.Backward, r.Stuck)
	o.say("longest wait for a lock %v; longest time without a grant in one of the namespaces %v\n",
		r.Wait.Round(time.Millisecond), r.Silence.Round(time.Millisecond))
	for _, fault := range r.Faults {
		o.say("  %s\n", fault)
	}
	if n := r.Doubled + r.Lost + r.Backward + r.Stuck; n > 0 {
		return fmt.Errorf("the audit found %d faults", n)
	}
	if r.Grants == 0 {
		return errors.New("no lock was granted")
	}
	return nil
}
