// Command gateway runs Lockgate, and helps those who run it.
//
// It exits with 0 when all is well, 2 when it was called wrongly, and 1 for
// every other fault, told in one sentence on standard error.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// The exit codes.
const (
	exitFine  = 0
	exitFault = 1
	exitUsage = 2
)

// run is one call of the command; it answers the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	called := false
	root := newRoot(func() { called = true })
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitFine
	case called:
		root.PrintErrf("gateway: %v\n", err)
		return exitFault
	default: // no command began: flags, arguments or the command's name are wrong
		root.PrintErrf("gateway: %v (see %s --help)\n", err, command.CommandPath())
		return exitUsage
	}
}

// newRoot builds the command tree; called is told when a command begins.
func newRoot(called func()) *cobra.Command {
	root := &cobra.Command{
		Use:   "gateway",
		Short: "Policy lock gateway for Terraform automation",
		Long: "Lockgate hands out locks to Atlantis, Terraform, CI jobs and people over HTTP.\n" +
			"Policies decide who may lock what; requests that must wait stand in a fair priority queue.",
		Example:          "  gateway serve\n  gateway serve --config gate.yaml\n  gateway config print",
		SilenceUsage:     true,
		SilenceErrors:    true,
		PersistentPreRun: func(*cobra.Command, []string) { called() },
	}
	root.AddCommand(newServe(), newConfig(), newBench(), newFloor(), newHealth(), newVersion(), newDocs(root))
	return root
}
