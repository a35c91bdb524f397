// Package output writes the results of commands as JSON or YAML, and reads the
// flag that asks for it.
//
// Both formats spell everything as the API does. Tables are the commands' own.
package output

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// Format is how results are printed; it is a flag's value. The zero value is
// Table.
type Format string

// The formats.
const (
	Table Format = "table"
	JSON  Format = "json"
	YAML  Format = "yaml"
)

func formats() []string { return []string{string(Table), string(JSON), string(YAML)} }

// String implements pflag.Value.
func (f *Format) String() string {
	if *f == "" {
		return string(Table)
	}
	return string(*f)
}

// Set implements pflag.Value.
func (f *Format) Set(text string) error {
	if !slices.Contains(formats(), text) {
		return fmt.Errorf("%q is no output format: use %s", text, strings.Join(formats(), ", "))
	}
	*f = Format(text)
	return nil
}

// Type implements pflag.Value.
func (f *Format) Type() string { return "format" }

// Flag adds -o, --output to a command.
func (f *Format) Flag(c *cobra.Command) {
	c.Flags().VarP(f, "output", "o", "table, json or yaml")
	f.complete(c)
}

// PersistentFlag is Flag for a command and those below it.
func (f *Format) PersistentFlag(c *cobra.Command) {
	c.PersistentFlags().VarP(f, "output", "o", "table, json or yaml")
	f.complete(c)
}

func (f *Format) complete(c *cobra.Command) {
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats(), cobra.ShellCompDirectiveNoFileComp))
}

// Print writes v in the format, or calls table.
func (f *Format) Print(w io.Writer, v any, table func() error) error {
	switch *f {
	case JSON:
		text, err := json.MarshalIndent(v, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", text)
		return err
	case YAML:
		text, err := ToYAML(v)
		if err != nil {
			return err
		}
		_, err = w.Write(text)
		return err
	case Table, "":
	}
	return table()
}

// ToYAML goes through JSON, so that both formats spell everything alike.
func ToYAML(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(text)
}
