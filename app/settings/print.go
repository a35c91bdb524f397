package settings

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Print writes one line a key: its value, without passwords, and its origin.
func (l *Loaded[T]) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, k := range keys(&l.Config) {
		text, err := k.text()
		if err != nil {
			return fmt.Errorf("%s: %w", k.Path, err)
		}
		if text == "" {
			text = `""`
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\n", k.Path, text, l.Origin(k.Path)); err != nil {
			return err
		}
	}
	return table.Flush()
}
