package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// releaseTime bounds the release after the command.
const releaseTime = 10 * time.Second

func (c *cli) runCommand() *cobra.Command {
	r := &request{}
	var grace time.Duration
	cmd := &cobra.Command{
		Use:   "run KEY... -- COMMAND [ARG...]",
		Short: "Run a command while holding a lock",
		Long: `Locks all keys, runs the command, and releases them. The lock is renewed while the
command runs, so it ends soon after a machine that dies. Ctrl-C while waiting
takes the request back; later signals go to the command.

When the lock is lost the command gets SIGTERM and, after --kill-after, SIGKILL;
the exit code is 5. Otherwise the command's own exit code passes through.

The command finds in its environment:
  LOCKGATE_LOCK_ID        id of the lock
  LOCKGATE_TOKEN_FENCING  its fencing token, for "lockctl verify"
  TRACEPARENT             the W3C trace that the lock's calls belong to`,
		Example: exampleOf(
			"lockctl run acme/infra/vpc/default/ -- terraform apply",
			"lockctl run vpc dns --wait 30m --ttl 2m -- sh -c 'lockctl verify && ./migrate'"),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, command, err := split(cmd.ArgsLenAtDash(), args)
			if err != nil {
				return err
			}
			body, err := r.body(keys)
			if err != nil {
				return err
			}
			if body.Owner == "" {
				body.Owner = ownOwner()
			}
			return c.runLocked(cmd.Context(), body, &child{argv: command, grace: grace})
		},
	}
	r.flags(cmd)
	cmd.Flags().StringVar(&r.owner, "owner", "", "whom the lock is for (default: each run for itself)")
	cmd.Flags().DurationVar(&r.ttl, "ttl", time.Minute, "how long the lock outlives a machine that dies; 0s: until it is released")
	cmd.Flags().DurationVar(&grace, "kill-after", 10*time.Second, "time from SIGTERM to SIGKILL when the lock is lost")
	return cmd
}

// split parts the keys from the command.
func split(dash int, args []string) (keys, command []string, err error) {
	switch {
	case dash < 0:
		return nil, nil, usagef("say what to run after two dashes: lockctl run KEY -- COMMAND")
	case dash == 0:
		return nil, nil, usagef("say which key to lock before the two dashes: lockctl run KEY -- COMMAND")
	case dash == len(args):
		return nil, nil, usagef("say what to run after the two dashes: lockctl run KEY -- COMMAND")
	}
	return args[:dash], args[dash:], nil
}

// ownOwner is an owner that no other run has.
func ownOwner() string {
	return fmt.Sprintf("run:%s:%d:%s", whoami(), os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// runLocked holds the lock while the child runs.
func (c *cli) runLocked(ctx context.Context, body *wire.AcquireRequest, command *child) error {
	path, err := exec.LookPath(command.argv[0])
	if err != nil {
		return usagef("cannot run %q: %w", command.argv[0], errors.Unwrap(err))
	}
	command.path = path
	t := traceOf(c.getenv)
	gateway, err := c.dial(t, jobPatience)
	if err != nil {
		return err
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, forwarded()...)
	defer signal.Stop(signals)

	hold, err := c.hold(ctx, gateway, body)
	if err != nil {
		return err
	}
	command.env = append(os.Environ(),
		envLockID+"="+hold.Lock().ID,
		envToken+"="+strconv.FormatInt(hold.Lock().Token, 10),
		"TRACEPARENT="+t.parent)
	code, err := command.run(hold.Context().Done(), c, signals)

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
	defer cancel()
	return c.settle(hold.Unlock(ctx), code, err)
}

// hold acquires. A signal that comes while waiting ends ctx and takes the request
// back; one that comes later must not end the hold's context: the command decides
// how it ends, and only a lost lock is to end it.
func (c *cli) hold(ctx context.Context, gateway *client.Client, body *wire.AcquireRequest) (*client.Hold, error) {
	waiting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	unlink := context.AfterFunc(ctx, func() { cancel(context.Canceled) })
	p := c.progress(gateway)
	hold, err := gateway.Hold(waiting, body, client.OnProgress(func(l *wire.Lock) { p.show(waiting, l) }))
	p.done()
	if err != nil {
		unlink()
		cancel(err)
		return nil, err
	}
	if !unlink() {
		release, done := context.WithTimeout(context.WithoutCancel(ctx), releaseTime)
		defer done()
		return nil, errors.Join(context.Canceled, hold.Unlock(release))
	}
	return hold, nil
}

// settle turns the ends of the lock and of the command into the end of the run.
func (c *cli) settle(unlocked error, code int, ran error) error {
	switch {
	case errors.Is(ran, client.ErrLost) && errors.Is(unlocked, client.ErrLost):
		return fmt.Errorf("the command was stopped: %w", unlocked)
	case ran != nil:
		return ran
	case errors.Is(unlocked, client.ErrLost) && code == 0:
		return fmt.Errorf("the command has finished, but its lock was gone before: %w", unlocked)
	case unlocked != nil:
		_, _ = fmt.Fprintf(c.err, "lockctl: the lock could not be released and ends with its lease: %v\n", unlocked)
	}
	if code != 0 {
		return &commandExitError{code}
	}
	return nil
}
