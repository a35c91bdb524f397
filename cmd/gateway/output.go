package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

// format is how a result is printed; it is a flag's value.
type format string

const (
	formatTable format = "table"
	formatJSON  format = "json"
	formatYAML  format = "yaml"
)

func formats() []string { return []string{string(formatTable), string(formatJSON), string(formatYAML)} }

// String implements pflag.Value; the zero value is table.
func (f *format) String() string {
	if *f == "" {
		return string(formatTable)
	}
	return string(*f)
}

// Set implements pflag.Value.
func (f *format) Set(text string) error {
	if !slices.Contains(formats(), text) {
		return fmt.Errorf("%q is no output format: use %s", text, strings.Join(formats(), ", "))
	}
	*f = format(text)
	return nil
}

// Type implements pflag.Value.
func (f *format) Type() string { return "format" }

// addFlag adds -o.
func (f *format) addFlag(c *cobra.Command) {
	c.Flags().VarP(f, "output", "o", "output format: "+strings.Join(formats(), ", "))
}

// print writes a result for programs, or for people as tell does.
func (f *format) print(w io.Writer, v any, tell func(io.Writer) error) error {
	switch *f {
	case formatJSON:
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(v)
	case formatYAML:
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return err
		}
		converted, err := yaml.JSONToYAML(text.Bytes())
		if err != nil {
			return err
		}
		_, err = w.Write(converted)
		return err
	case formatTable, "":
	}
	return tell(w)
}
