package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// The exit codes.
const (
	exitFine        = 0
	exitError       = 1
	exitUsage       = 2
	exitDenied      = 3
	exitLocked      = 4
	exitLost        = 5
	exitVictim      = 6
	exitUnreachable = 7
)

// usageError is a command line that cannot be carried out as it stands.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// commandExitError is the exit code of the command that lockctl run ran. Nothing is
// printed about it: the command has said what it had to say.
type commandExitError struct{ code int }

func (e *commandExitError) Error() string { return fmt.Sprintf("the command exited with %d", e.code) }

// explain puts an error into one sentence that says what to do, with the exit
// code that goes with it.
func explain(err error, command string) (string, int) {
	var p *wire.Problem
	if !errors.As(err, &p) {
		p = &wire.Problem{}
	}
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return fmt.Sprintf("%v (see %s --help)", usage.err, command), exitUsage
	case errors.Is(err, context.Canceled):
		return "interrupted", exitError
	case errors.Is(err, client.ErrLost):
		return err.Error(), exitLost
	case errors.Is(err, client.ErrUnreachable):
		return tail(err, client.ErrUnreachable) + ": start one with \"gateway serve\", or set LOCKGATE_URL to one that runs", exitUnreachable
	case errors.Is(err, client.ErrDenied):
		return denied(p), exitDenied
	case errors.Is(err, client.ErrLocked):
		return locked(p), exitLocked
	case errors.Is(err, client.ErrDeadlock):
		return gaveWay(p), exitVictim
	case errors.Is(err, client.ErrStaleToken):
		return "the lock is not held with this token any more: " + stateOf(p) + "acquire it anew before going on", exitLost
	case errors.Is(err, client.ErrInvalid):
		return fmt.Sprintf("the gateway refuses the request: %v (see %s --help)", p, command), exitUsage
	case errors.Is(err, client.ErrUnauthenticated):
		return "the gateway does not know you: set LOCKGATE_TOKEN to a valid token", exitError
	case errors.Is(err, client.ErrNotFound):
		return notFound(p, err), exitError
	case errors.Is(err, client.ErrUnavailable):
		return err.Error() + ": try again in a moment", exitError
	}
	return err.Error(), exitError
}

// tail is the text of an error from one of its causes on.
func tail(err, from error) string {
	text := err.Error()
	if i := strings.LastIndex(text, from.Error()); i > 0 {
		return text[i:]
	}
	return text
}

func denied(p *wire.Problem) string {
	why := make([]string, 0, len(p.Reasons))
	for _, r := range p.Reasons {
		why = append(why, r.Msg)
	}
	if len(why) == 0 {
		why = append(why, p.Detail)
	}
	text := "denied by policy: " + strings.Join(why, "; ")
	if p.DecisionID != "" {
		text += " (\"lockctl decisions " + p.DecisionID + "\" shows the decision)"
	}
	return text
}

func locked(p *wire.Problem) string {
	if len(p.BlockedBy) == 0 {
		return p.Error() + ": ask again with a longer --wait"
	}
	b := p.BlockedBy[0]
	text := fmt.Sprintf("%q is locked by %s", b.Resource, b.Owner)
	if !b.Since.IsZero() {
		text += " since " + clock(b.Since)
	}
	if p.BlockedByTotal > 1 {
		text += fmt.Sprintf(" and %d more are before you", p.BlockedByTotal-1)
	}
	return text + ": ask again with a longer --wait, or see who waits with \"lockctl queue\""
}

func notFound(p *wire.Problem, err error) string {
	switch {
	case p.Detail == "":
		return err.Error()
	case strings.HasPrefix(p.Instance, "/v1/locks/"):
		return p.Detail + " (see \"lockctl list\")"
	}
	return p.Detail
}

func stateOf(p *wire.Problem) string {
	if p.State == "" {
		return ""
	}
	return "it is " + p.State + "; "
}

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes say",
		Long: `0  fine
1  an error
2  the command line is wrong
3  denied by policy
4  locked by somebody else, or the wait ran out
5  the lease was lost, or the token is stale
6  chosen to give way in a deadlock
7  no gateway answers

"lockctl run" passes the exit code of its command through, 128 and the signal's
number when a signal ended it.`,
	}
}
