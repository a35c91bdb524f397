// Command lockctl asks a Lockgate gateway for locks: for people, CI jobs and
// Atlantis run steps.
//
// It speaks the HTTP API through package client and keeps nothing between two
// calls. See lockctl --help, and lockctl help exit-codes for what its exit
// codes say.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run())
}

// run answers the exit code.
func run() int {
	c := newCLI(os.Stdin, os.Stdout, os.Stderr, os.Getenv)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return c.execute(ctx, os.Args[1:])
}
