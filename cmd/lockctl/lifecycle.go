package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// What "lockctl run" gives its command: the commands of this file use them when
// they are not told otherwise.
const (
	envLockID = "LOCKGATE_LOCK_ID"
	envToken  = "LOCKGATE_TOKEN_FENCING" //nolint:gosec // a variable's name
)

// target is the lock that a command is about.
type target struct {
	id    string
	token int64
}

const targetHelp = "\n\nInside \"lockctl run\" the lock's id and token need not be given."

func (t *target) flag(cmd *cobra.Command) {
	cmd.Flags().Int64Var(&t.token, "token", 0, "fencing token of the lock ("+envToken+")")
}

// fill completes the target from the arguments and the environment.
func (t *target) fill(args []string, getenv func(string) string) error {
	t.id = getenv(envLockID)
	if len(args) > 0 {
		t.id = args[0]
	}
	if t.id == "" {
		return usagef("name the lock's id, as \"lockctl acquire\" and \"lockctl list\" print it")
	}
	if text := getenv(envToken); t.token == 0 && text != "" && t.id == getenv(envLockID) {
		token, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return usagef("%s is %q, which is no token", envToken, text)
		}
		t.token = token
	}
	return nil
}

// known asks the gateway for the token, which it tells to whoever acquired the
// lock.
func (t *target) known(ctx context.Context, gateway *client.Client) error {
	if t.token != 0 {
		return nil
	}
	l, err := gateway.Get(ctx, t.id, 0)
	if err != nil {
		return err
	}
	t.token = l.Token
	return nil
}

func (c *cli) releaseCommand() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{
		Use:     "release [ID]",
		Short:   "Release a lock of your own",
		Long:    "Releases a lock, or cancels a request that still waits. Without --token the gateway\nis asked for it, which it tells to whoever acquired the lock." + targetHelp,
		Example: exampleOf("lockctl release 01JDA6W2GQ3W8C3XJ6T2S4V5B7 --token 1795290494482923"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.change(cmd.Context(), t, args, func(ctx context.Context, gateway *client.Client) (*wire.Lock, error) {
				if err := t.known(ctx, gateway); err != nil {
					return nil, err
				}
				return gateway.Release(ctx, t.id, t.token)
			})
		},
	}
	t.flag(cmd)
	return cmd
}

func (c *cli) renewCommand() *cobra.Command {
	t := &target{}
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:     "renew [ID]",
		Short:   "Start a lock's lease again",
		Long:    "Starts the lease again, with its length or the one of --ttl. Without --token the\ngateway is asked for it, which it tells to whoever acquired the lock." + targetHelp,
		Example: exampleOf("lockctl renew 01JDA6W2GQ3W8C3XJ6T2S4V5B7 --ttl 30m"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var length *time.Duration
			if cmd.Flags().Changed("ttl") {
				length = &ttl
			}
			return c.change(cmd.Context(), t, args, func(ctx context.Context, gateway *client.Client) (*wire.Lock, error) {
				if err := t.known(ctx, gateway); err != nil {
					return nil, err
				}
				if t.token == 0 {
					return nil, usagef("the gateway tells a token only to whoever acquired the lock, once it is held: say --token")
				}
				return gateway.Renew(ctx, t.id, t.token, length)
			})
		},
	}
	t.flag(cmd)
	cmd.Flags().DurationVar(&ttl, "ttl", 0, "new length of the lease (default: as it was)")
	return cmd
}

func (c *cli) verifyCommand() *cobra.Command {
	t := &target{}
	cmd := &cobra.Command{
		Use:     "verify [ID]",
		Short:   "Check that a lock is still held with its token",
		Long:    "Exits with 0 while the token is the live one, with 5 when it is not: ask right before\ndoing what the lock guards." + targetHelp,
		Example: exampleOf("lockctl verify 01JDA6W2GQ3W8C3XJ6T2S4V5B7 --token 1795290494482923 && terraform apply"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.change(cmd.Context(), t, args, func(ctx context.Context, gateway *client.Client) (*wire.Lock, error) {
				if t.token == 0 {
					return nil, usagef("say which token to verify with --token")
				}
				return gateway.Verify(ctx, t.id, t.token)
			})
		},
	}
	t.flag(cmd)
	return cmd
}

func (c *cli) cancelCommand() *cobra.Command {
	t := &target{}
	return &cobra.Command{
		Use:     "cancel [ID]",
		Short:   "Take back a request that still waits",
		Long:    "Takes a waiting request out of its queues. A lock that is held already stays: use\n\"lockctl release\".",
		Example: exampleOf("lockctl cancel 01JDA6W2GQ3W8C3XJ6T2S4V5B7"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.change(cmd.Context(), t, args, func(ctx context.Context, gateway *client.Client) (*wire.Lock, error) {
				l, err := gateway.Release(ctx, t.id, 0)
				if errors.Is(err, client.ErrStaleToken) {
					return nil, fmt.Errorf("request %s waits no longer, it is held: use \"lockctl release %s\"", t.id, t.id)
				}
				return l, err
			})
		},
	}
}

func (c *cli) unlockCommand() *cobra.Command {
	t := &target{}
	var force bool
	var reason string
	cmd := &cobra.Command{
		Use:     "unlock ID --force --reason TEXT",
		Short:   "Take somebody else's lock away",
		Long:    "Revokes a lock or a waiting request of somebody else, if policy allows it. Its\nholder's token is refused from then on. The reason is kept with the lock.",
		Example: exampleOf("lockctl unlock 01JDA6W2GQ3W8C3XJ6T2S4V5B7 --force --reason \"the runner is gone\""),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !force || reason == "" {
				return usagef("unlock takes a lock away from its holder: say --force and --reason, or use \"lockctl release\" for your own")
			}
			return c.change(cmd.Context(), t, args, func(ctx context.Context, gateway *client.Client) (*wire.Lock, error) {
				return gateway.ForceRelease(ctx, t.id, reason)
			})
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "yes, take it away")
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}

// change does something to one lock and prints what became of it.
func (c *cli) change(ctx context.Context, t *target, args []string, do func(context.Context, *client.Client) (*wire.Lock, error)) error {
	if err := t.fill(args, c.getenv); err != nil {
		return err
	}
	gateway, err := c.quick()
	if err != nil {
		return err
	}
	l, err := do(ctx, gateway)
	if err != nil {
		return err
	}
	return c.print(l, func() *table {
		t := newTable("ID", "STATE", "OWNER", "KEYS", "EXPIRES")
		t.add(l.ID, l.State, l.Owner, keys(l), clock(l.Expires))
		return t
	})
}
