package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// request is what the flags of acquire and run say.
type request struct {
	namespace, owner, mode, priority, retryOf string
	ttl, wait                                 time.Duration
	labels                                    map[string]string
}

func (r *request) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&r.namespace, "namespace", "n", "", "namespace of the keys (the gateway's default: default)")
	f.StringVar(&r.mode, "mode", client.Exclusive, "exclusive or shared")
	f.StringVar(&r.priority, "priority", "", "priority to ask for: critical, high, normal or low; policy decides")
	f.DurationVar(&r.wait, "wait", 10*time.Minute, "how long to wait in the queue; 0s: do not wait")
	f.StringToStringVar(&r.labels, "label", nil, "label for policies and events, name=value; may be repeated")
	_ = cmd.RegisterFlagCompletionFunc("mode", cobra.FixedCompletions([]string{client.Exclusive, client.Shared}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("priority", cobra.FixedCompletions([]string{"critical", "high", "normal", "low"}, cobra.ShellCompDirectiveNoFileComp))
}

func (r *request) body(keys []string) (*wire.AcquireRequest, error) {
	if r.ttl < 0 || r.wait < 0 {
		return nil, usagef("--ttl and --wait cannot be negative")
	}
	body := &wire.AcquireRequest{
		Namespace: r.namespace, Owner: r.owner, Priority: r.priority,
		TTL: wire.Duration(r.ttl), Wait: wire.Duration(r.wait), Labels: r.labels, RetryOf: r.retryOf,
	}
	for _, key := range keys {
		body.Resources = append(body.Resources, wire.Resource{Key: key, Mode: r.mode})
	}
	return body, nil
}

// progress tells a waiting person where the request stands: a line that is
// written over on a terminal, else a line whenever something changed.
type progress struct {
	cli     *cli
	gateway *client.Client
	live    bool // a terminal
	last    string
}

func (c *cli) progress(gateway *client.Client) *progress {
	return &progress{cli: c, gateway: gateway, live: terminal(c.err)}
}

// estimateTime bounds the call that asks for an estimate.
const estimateTime = 2 * time.Second

// show is called whenever the gateway says where the request stands.
func (p *progress) show(ctx context.Context, l *wire.Lock) {
	text := standing(l)
	if left, known := p.estimate(ctx, l); known {
		text += ", about " + brief(left) + " to go"
	}
	switch {
	case p.live:
		_, _ = fmt.Fprintf(p.cli.err, "\r\x1b[K%s", text)
	case text != p.last:
		_, _ = fmt.Fprintln(p.cli.err, text)
	}
	p.last = text
}

// done leaves the line alone that was written over.
func (p *progress) done() {
	if p.live && p.last != "" {
		_, _ = fmt.Fprintln(p.cli.err)
	}
}

// estimate asks for the gateway's estimate of the wait that is left: the longest
// over the queues that the request stands in. Progress does without when it is
// not to be had.
func (p *progress) estimate(ctx context.Context, l *wire.Lock) (time.Duration, bool) {
	ctx, cancel := context.WithTimeout(ctx, estimateTime)
	defer cancel()
	left, known := time.Duration(0), false
	for _, r := range l.Resources {
		for q, err := range p.gateway.Queues(ctx, client.QueueFilter{Namespace: l.Namespace, Resource: r.Key}) {
			if err != nil {
				return 0, false
			}
			if e := estimateOf(&q, l.ID); e != nil {
				left, known = max(left, time.Duration(*e)), true
			}
		}
	}
	return left, known
}

func estimateOf(q *wire.Queue, id string) *wire.Duration {
	for i := range q.Waiters {
		if q.Waiters[i].ID == id {
			return q.Waiters[i].Estimate
		}
	}
	return nil
}

// standing is where a request stands, in words.
func standing(l *wire.Lock) string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "waiting for %s: ", keys(l))
	if l.State == client.Offered || len(l.BlockedBy) == 0 {
		b.WriteString("it is your turn")
		return b.String()
	}
	_, _ = fmt.Fprintf(&b, "position %d, ", l.Position)
	first := l.BlockedBy[0]
	verb := "held"
	if first.State != client.Held {
		verb = "wanted"
	}
	_, _ = fmt.Fprintf(&b, "%s %s by %s since %s", first.Resource, verb, first.Owner, clock(first.Since))
	return b.String()
}
