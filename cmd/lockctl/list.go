package main

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

func (c *cli) listCommand() *cobra.Command {
	var f client.ListFilter
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List locks and waiting requests",
		Long:    "Lists the live locks and requests that you may see. --state shows ended ones, for\nas long as the gateway remembers them.",
		Example: exampleOf("lockctl list --namespace acme/infra", "lockctl list --owner 'atlantis:acme/infra#42' -o json"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gateway, err := c.quick()
			if err != nil {
				return err
			}
			all := []wire.Lock{}
			for l, err := range gateway.List(cmd.Context(), f) {
				if err != nil {
					return err
				}
				all = append(all, l)
			}
			return c.print(all, func() *table { return lockTable(all) })
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.Namespace, "namespace", "n", "", "only this namespace")
	flags.StringVar(&f.Resource, "resource", "", "only this key")
	flags.StringVar(&f.Prefix, "prefix", "", "only keys that begin so")
	flags.StringVar(&f.Owner, "owner", "", "only this owner")
	flags.StringVar(&f.State, "state", "", "only this state, such as held, queued or revoked")
	flags.StringVar(&f.Priority, "priority", "", "only this priority")
	flags.StringToStringVar(&f.Labels, "label", nil, "only with this label, name=value; may be repeated")
	return cmd
}

func lockTable(all []wire.Lock) *table {
	t := newTable("ID", "STATE", "OWNER", "NAMESPACE", "KEYS", "PRIORITY", "SINCE", "EXPIRES")
	for i := range all {
		l := &all[i]
		since := l.Requested
		if !l.Acquired.IsZero() {
			since = l.Acquired
		}
		t.add(l.ID, l.State, l.Owner, l.Namespace, keys(l), l.Priority, clock(since), clock(l.Expires))
	}
	return t
}

func (c *cli) queueCommand() *cobra.Command {
	var f client.QueueFilter
	cmd := &cobra.Command{
		Use:     "queue [KEY]",
		Short:   "Show who holds resources and who waits for them",
		Long:    "Shows the holders of a key, or of all, and who waits, in the order in which they\nwill be served, with an estimate of the wait that is left.",
		Example: exampleOf("lockctl queue acme/infra/vpc/default/", "lockctl queue --namespace acme/infra"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.Resource = args[0]
			}
			gateway, err := c.quick()
			if err != nil {
				return err
			}
			all := []wire.Queue{}
			for q, err := range gateway.Queues(cmd.Context(), f) {
				if err != nil {
					return err
				}
				all = append(all, q)
			}
			return c.print(all, func() *table { return queueTable(all) })
		},
	}
	cmd.Flags().StringVarP(&f.Namespace, "namespace", "n", "", "only this namespace")
	return cmd
}

func queueTable(all []wire.Queue) *table {
	t := newTable("KEY", "POSITION", "STATE", "OWNER", "PRIORITY", "SINCE", "ESTIMATE", "ID")
	for i := range all {
		q := &all[i]
		for j := range q.Holders {
			h := &q.Holders[j]
			t.add(q.Resource, "-", h.State, h.Owner, h.Priority, clock(h.Acquired), "-", h.ID)
		}
		for j := range q.Waiters {
			w := &q.Waiters[j]
			left := "-"
			if w.Estimate != nil {
				left = brief(time.Duration(*w.Estimate))
			}
			t.add(q.Resource, strconv.Itoa(w.Position), w.State, w.Owner, w.Priority, clock(w.Requested), left, w.ID)
		}
		if hidden := q.Length - len(q.Waiters); hidden > 0 {
			t.add(q.Resource, "-", fmt.Sprintf("and %d more", hidden), "-", "-", "-", "-", "-")
		}
	}
	return t
}

func (c *cli) showCommand() *cobra.Command {
	t := &target{}
	return &cobra.Command{
		Use:     "show [ID]",
		Short:   "Show one lock or request",
		Long:    "Shows a lock or request, live or ended within the last hour." + targetHelp,
		Example: exampleOf("lockctl show 01JDA6W2GQ3W8C3XJ6T2S4V5B7 -o yaml"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := t.fill(args, c.getenv); err != nil {
				return err
			}
			gateway, err := c.quick()
			if err != nil {
				return err
			}
			l, err := gateway.Get(cmd.Context(), t.id, 0)
			if err != nil {
				return err
			}
			return c.print(l, func() *table { return detailTable(l) })
		},
	}
}

// detailTable has a row for each field that says something.
func detailTable(l *wire.Lock) *table {
	t := newTable("FIELD", "VALUE")
	row := func(name, value string) {
		if value != "" && value != "-" {
			t.add(name, value)
		}
	}
	row("id", l.ID)
	row("state", l.State)
	row("reason", l.Reason)
	row("namespace", l.Namespace)
	row("keys", keys(l))
	row("owner", l.Owner)
	row("subject", l.Subject)
	row("actor", l.Actor)
	row("priority", fmt.Sprintf("%s (%d)", l.Priority, l.Value))
	if l.Token != 0 {
		row("token", strconv.FormatInt(l.Token, 10))
	}
	if l.TTL > 0 {
		row("ttl", brief(time.Duration(l.TTL)))
	}
	row("requested", clock(l.Requested))
	row("acquired", clock(l.Acquired))
	row("expires", clock(l.Expires))
	row("ended", clock(l.Ended))
	if l.Position > 0 {
		row("position", strconv.Itoa(l.Position))
		row("waits until", clock(l.Until))
	}
	for _, b := range l.BlockedBy {
		row("blocked by", fmt.Sprintf("%s, %s %s since %s", b.Owner, b.State, b.Resource, clock(b.Since)))
	}
	row("decision", l.Decision.ID)
	for _, warning := range l.Decision.Warnings {
		row("warning", cmp.Or(warning.Msg, warning.Code))
	}
	row("trace", l.TraceID)
	return t
}
