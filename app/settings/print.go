package settings

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Value is one effective value of a configuration, as text and without
// passwords.
type Value struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"` // see [Loaded.Origin]
}

// Values answers every effective value, in the order of the configuration.
func (l *Loaded[T]) Values() ([]Value, error) {
	all := keys(&l.Config)
	values := make([]Value, len(all))
	for i, k := range all {
		text, err := k.text()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.Path, err)
		}
		values[i] = Value{Key: k.Path, Value: text, Origin: l.Origin(k.Path)}
	}
	return values, nil
}

// Print writes one line a value.
func (l *Loaded[T]) Print(w io.Writer) error {
	values, err := l.Values()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, v := range values {
		if v.Value == "" {
			v.Value = `""`
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s\n", v.Key, v.Value, v.Origin); err != nil {
			return err
		}
	}
	return table.Flush()
}
