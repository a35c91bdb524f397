package main

import (
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

// print writes a result: as it comes from the API, or as a table.
func (c *cli) print(v any, t func() *table) error {
	return c.format.Print(c.out, v, func() error {
		paint := plain
		if colourful(c.out, c.getenv) {
			paint = painted
		}
		return t().write(c.out, paint)
	})
}

// terminal reports whether a file is one that a person looks at.
func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}

func colourful(f *os.File, getenv func(string) string) bool {
	return terminal(f) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"
}

// table is rows of equal length; the first is the head.
type table struct {
	rows [][]string
}

func newTable(head ...string) *table { return &table{rows: [][]string{head}} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer, paint func(cell string, row int) string) error {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for n, row := range t.rows {
		for i, cell := range row {
			b.WriteString(paint(cell, n))
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func plain(cell string, _ int) string { return cell }

// painted colours the head and the words that a person looks for.
func painted(cell string, row int) string {
	switch {
	case row == 0:
		return "\x1b[1m" + cell + "\x1b[0m"
	case cell == client.Held:
		return "\x1b[32m" + cell + "\x1b[0m"
	case cell == client.Queued || cell == client.Offered:
		return "\x1b[33m" + cell + "\x1b[0m"
	case cell == "revoked" || cell == "expired" || cell == "victim" || cell == "denied" || cell == "timed_out":
		return "\x1b[31m" + cell + "\x1b[0m"
	}
	return cell
}

// keys lists the resources of a lock; shared ones say so.
func keys(l *wire.Lock) string {
	names := make([]string, len(l.Resources))
	for i, r := range l.Resources {
		names[i] = r.Key
		if r.Mode == client.Shared {
			names[i] += " (shared)"
		}
	}
	return strings.Join(names, ", ")
}

// clock is a moment in local time, or "-".
func clock(t wire.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

// brief rounds a duration to what a person reads.
func brief(d time.Duration) string {
	if d < 0 {
		d = 0
	}
	unit := time.Second
	if d < time.Second {
		unit = time.Millisecond
	}
	text := d.Round(unit).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
