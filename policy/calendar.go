package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// freeze is an entry of data.facts.freezes.
type freeze struct {
	Name         string   `json:"name"`
	Kind         string   `json:"kind"`         // "" is "freeze"
	Environments []string `json:"environments"` // at least one; "*" is every resource
	From         string   `json:"from"`         // RFC 3339, included
	To           string   `json:"to"`           // RFC 3339, not included
	Reason       string   `json:"reason"`
	Exempt       []string `json:"exempt"` // names in the registry
}

// hours is an entry of data.facts.hours, by environment. Days, from and to are
// the policies'.
type hours struct {
	Zone string `json:"zone"` // IANA name; "" is UTC
}

// window is one freeze, as policies see it.
type window struct {
	name, kind, reason string
	from, to           int64 // Unix nanoseconds
	exempt             map[string]bool
}

// calendar answers which windows are in force. It never changes.
type calendar struct {
	windows map[string][]*window // by environment, earliest first
	zones   map[string]*time.Location
}

const everywhere = "*"

func newCalendar(freezes []freeze, work map[string]hours) (calendar, error) {
	c := calendar{windows: map[string][]*window{}, zones: map[string]*time.Location{}}
	for i := range freezes {
		w, err := freezes[i].window()
		if err != nil {
			return calendar{}, fmt.Errorf("data.facts.freezes[%d]: %w", i, err)
		}
		for _, environment := range freezes[i].Environments {
			c.windows[environment] = append(c.windows[environment], w)
		}
	}
	for _, list := range c.windows {
		slices.SortStableFunc(list, func(a, b *window) int {
			if a.from != b.from {
				return int(min(max(a.from-b.from, -1), 1))
			}
			return strings.Compare(a.name, b.name)
		})
	}
	for environment, h := range work {
		zone, err := time.LoadLocation(h.Zone)
		if err != nil {
			return calendar{}, fmt.Errorf("data.facts.hours.%s.zone: %w", environment, err)
		}
		c.zones[environment] = zone
	}
	return c, nil
}

func (f *freeze) window() (*window, error) {
	if f.Name == "" {
		return nil, errors.New("has no name")
	}
	if len(f.Environments) == 0 {
		return nil, fmt.Errorf("%q freezes nothing: list its environments, or \"*\"", f.Name)
	}
	from, err := time.Parse(time.RFC3339, f.From)
	if err != nil {
		return nil, fmt.Errorf("%q: from: %w", f.Name, err)
	}
	to, err := time.Parse(time.RFC3339, f.To)
	if err != nil {
		return nil, fmt.Errorf("%q: to: %w", f.Name, err)
	}
	if !from.Before(to) {
		return nil, fmt.Errorf("%q ends before it begins", f.Name)
	}
	kind := f.Kind
	if kind == "" {
		kind = "freeze"
	}
	w := &window{name: f.Name, kind: kind, reason: f.Reason, from: from.UnixNano(), to: to.UnixNano(), exempt: map[string]bool{}}
	for _, name := range f.Exempt {
		w.exempt[name] = true
	}
	return w, nil
}

// active appends the windows in force for a place to list.
func (c *calendar) active(list []*window, at *place, now time.Time) []*window {
	if len(c.windows) == 0 {
		return list
	}
	ns := now.UnixNano()
	list = inForce(list, c.windows[at.environment], at.name, ns)
	if at.environment == everywhere {
		return list
	}
	return inForce(list, c.windows[everywhere], at.name, ns)
}

func inForce(list, windows []*window, name string, ns int64) []*window {
	for _, w := range windows {
		if w.from > ns {
			break
		}
		if ns < w.to && !w.exempt[name] {
			list = append(list, w)
		}
	}
	return list
}

func (c *calendar) zone(environment string) *time.Location {
	if z, ok := c.zones[environment]; ok {
		return z
	}
	return time.UTC
}
