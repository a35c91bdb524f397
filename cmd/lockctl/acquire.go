package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

func (c *cli) acquireCommand() *cobra.Command {
	r := &request{}
	var key string
	cmd := &cobra.Command{
		Use:   "acquire KEY...",
		Short: "Lock resources, waiting for them if need be",
		Long: `Locks all keys at once, waiting in the queue for as long as --wait says, and
prints the lock's id and fencing token. Progress goes to standard error. Ctrl-C
takes the request back.

The lock stays until "lockctl release", or for --ttl. Use "lockctl run" to hold a
lock just while a command runs.`,
		Example: exampleOf(
			"lockctl acquire acme/infra/vpc/default/ --ttl 30m",
			"lockctl acquire vpc dns --wait 0s -o json",
			"lockctl acquire vpc --owner 'atlantis:acme/infra#42' --retry-of 01JDA6W2GQ3W8C3XJ6T2S4V5B7",
			"lockctl acquire vpc --mode shared --idempotency-key \"$CI_JOB_ID\""),
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := r.body(args)
			if err != nil {
				return err
			}
			return c.acquire(cmd.Context(), body, key)
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&r.owner, "owner", "cli:"+whoami(), "whom the lock is for")
	cmd.Flags().DurationVar(&r.ttl, "ttl", 0, "how long the lock lives without renewal; 0s: until it is released")
	cmd.Flags().StringVar(&r.retryOf, "retry-of", "", "id of a request of the same owner that gave way in a deadlock: keeps its place")
	cmd.Flags().StringVar(&key, "idempotency-key", "", "name of the request: repeating it gets the same lock")
	return cmd
}

func (c *cli) acquire(ctx context.Context, body *wire.AcquireRequest, key string) error {
	gateway, err := c.dial(traceOf(c.getenv), jobPatience)
	if err != nil {
		return err
	}
	p := c.progress(gateway)
	options := []client.AcquireOption{client.OnProgress(func(l *wire.Lock) { p.show(ctx, l) })}
	if key != "" {
		options = append(options, client.WithIdempotencyKey(key))
	}
	l, err := gateway.Acquire(ctx, body, options...)
	p.done()
	if err != nil {
		return err
	}
	return c.print(l, func() *table { return tokenTable(l) })
}

// tokenTable shows what is needed to renew and to release.
func tokenTable(l *wire.Lock) *table {
	t := newTable("ID", "TOKEN", "STATE", "EXPIRES")
	t.add(l.ID, strconv.FormatInt(l.Token, 10), l.State, clock(l.Expires))
	return t
}
