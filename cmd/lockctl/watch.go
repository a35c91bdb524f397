package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/cmd/internal/output"
	"github.com/lockgate/lockgate/gateway/wire"
)

func (c *cli) watchCommand() *cobra.Command {
	var f client.EventFilter
	var count int
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print events as they come",
		Long: `Prints what happens in the lock table until Ctrl-C, from now on or after the event
that --after names. A broken connection is taken up again where it broke. With
-o json every line is one CloudEvents event.`,
		Example: exampleOf("lockctl watch --namespace acme/infra", "lockctl watch --type lock_denied --type lock_expired -o json"),
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			gateway, err := c.dial(traceOf(c.getenv), jobPatience)
			if err != nil {
				return err
			}
			for e, err := range gateway.Events(cmd.Context(), f) {
				if cmd.Context().Err() != nil {
					return nil // Ctrl-C is how watching ends
				}
				if err != nil {
					return err
				}
				if err := c.printEvent(&e); err != nil {
					return err
				}
				if count--; count == 0 {
					return nil
				}
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.Types, "type", nil, "only events of this type, such as lock_acquired; may be repeated")
	flags.StringVarP(&f.Namespace, "namespace", "n", "", "only this namespace")
	flags.StringVar(&f.Resource, "resource", "", "only this key")
	flags.StringVar(&f.Owner, "owner", "", "only this owner")
	flags.StringVar(&f.After, "after", "", "id of the event to go on after")
	flags.IntVar(&count, "count", 0, "stop after so many events; 0: never")
	return cmd
}

// printEvent writes one event: a line, or a YAML document.
func (c *cli) printEvent(e *wire.Event) error {
	switch c.format {
	case output.JSON:
		return json.NewEncoder(c.out).Encode(e)
	case output.YAML:
		text, err := output.ToYAML(e)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.out, "---\n%s", text)
		return err
	case output.Table, "":
	}
	_, err := fmt.Fprintln(c.out, eventLine(e))
	return err
}

func eventLine(e *wire.Event) string {
	words := []string{clock(e.Time), strings.TrimPrefix(e.Type, wire.EventType)}
	if l := e.Data.Lock; l != nil {
		words = append(words, l.ID, l.Owner, keys(l))
	}
	if e.Data.By != "" {
		words = append(words, "by "+e.Data.By)
	}
	if e.Data.Reason != "" {
		words = append(words, "("+e.Data.Reason+")")
	}
	return strings.Join(words, "  ")
}
