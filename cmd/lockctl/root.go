package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/cmd/internal/output"
)

// defaultURL is where a gateway listens that nobody configured.
const defaultURL = "http://127.0.0.1:7480"

// How long a call is repeated while no gateway answers: a person is told soon, a
// job that is about to wait for minutes can wait for a restart.
const (
	patience    = 2 * time.Second
	jobPatience = 5 * time.Second
)

// cli is one run of lockctl.
type cli struct {
	in       *os.File
	out, err *os.File
	getenv   func(string) string

	url    string
	format output.Format

	root   *cobra.Command
	parsed bool // the command line was understood
}

func newCLI(in, out, err *os.File, getenv func(string) string) *cli {
	c := &cli{in: in, out: out, err: err, getenv: getenv}
	c.root = c.rootCommand()
	return c
}

// execute runs a command line and answers its exit code.
func (c *cli) execute(ctx context.Context, args []string) int {
	c.root.SetArgs(args)
	cmd, err := c.root.ExecuteContextC(ctx)
	if err == nil {
		return exitFine
	}
	if passed, ok := errors.AsType[*commandExitError](err); ok {
		return passed.code
	}
	if !c.parsed {
		err = &usageError{err}
	}
	sentence, code := explain(err, cmd.CommandPath())
	_, _ = fmt.Fprintln(c.err, "lockctl:", sentence)
	return code
}

func (c *cli) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "lockctl",
		Short: "Ask a Lockgate gateway for locks",
		Long: `lockctl asks a Lockgate gateway for locks.

The environment says where the gateway is and who asks:
  LOCKGATE_URL    address of the gateway, ` + defaultURL + ` without it
  LOCKGATE_TOKEN  bearer token; anonymous without it
  TRACEPARENT     W3C trace that the calls belong to; one is made without it`,
		Example: `  lockctl run acme/infra/vpc/default/ -- terraform apply
  lockctl acquire acme/infra/vpc/default/ --ttl 30m --wait 10m
  lockctl queue acme/infra/vpc/default/`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			c.parsed = true
		},
	}
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetIn(c.in)
	url := c.getenv("LOCKGATE_URL")
	if url == "" {
		url = defaultURL
	}
	root.PersistentFlags().StringVar(&c.url, "url", url, "address of the gateway (LOCKGATE_URL)")
	c.format.PersistentFlag(root)
	root.AddCommand(
		c.acquireCommand(), c.releaseCommand(), c.renewCommand(), c.verifyCommand(), c.cancelCommand(), c.unlockCommand(),
		c.runCommand(),
		c.listCommand(), c.queueCommand(), c.showCommand(), c.graphCommand(), c.deadlocksCommand(), c.watchCommand(), c.decisionsCommand(),
		c.versionCommand(), docsCommand(root), exitCodesTopic(),
	)
	return root
}

// dial makes a client whose calls all belong to one trace.
func (c *cli) dial(t trace, patience time.Duration) (*client.Client, error) {
	gateway, err := client.New(client.Config{
		URL:       c.url,
		Token:     c.getenv("LOCKGATE_TOKEN"),
		UserAgent: "lockctl/" + version(),
		RetryFor:  patience,
		Headers: func(_ context.Context, h http.Header) {
			t.set(h)
		},
	})
	if err != nil {
		return nil, &usageError{err}
	}
	return gateway, nil
}

// quick makes a client for a call that a person waits for.
func (c *cli) quick() (*client.Client, error) {
	return c.dial(traceOf(c.getenv), patience)
}

// whoami is user@host, as far as they are known.
func whoami() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return name + "@" + host
}

// exampleOf indents the lines of an example as cobra shows them.
func exampleOf(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
