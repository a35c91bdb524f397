package policy

import (
	"context"
	"slices"
	"strings"
)

// standing is what a generation was made of and what is known of it. The next
// one falls back to it, part by part.
type standing struct {
	files  *sources
	proven map[string]bool // digests of parts whose tests and golden inputs went well
}

// setAside is an organisation whose newest package was refused.
type setAside struct {
	faults []Fault
	closed bool // there is no earlier one: nothing is decided about its resources
}

// assemble makes a generation of what can be loaded. A fault in an
// organisation's files puts that organisation back to its last good files, or
// closes it when there are none; any other fault is a *LoadError.
func assemble(ctx context.Context, s *sources, last standing, cfg *Config) (*generation, error) {
	aside := map[string]*setAside{}
	for {
		g, err := build(ctx, s, cfg, last.proven)
		if err == nil {
			g.setAside(aside)
			return g, nil
		}
		faults := loadError(err).Faults
		blamed := s.blame(faults)
		if blamed == nil || ctx.Err() != nil {
			return nil, loadError(err)
		}
		for _, org := range sortedKeys(blamed) {
			s = s.retreat(org, blamed[org], last.files, aside)
		}
	}
}

// setAside keeps what became of the organisations whose newest files are not
// in force. Nothing is decided about those that have no files at all.
func (g *generation) setAside(aside map[string]*setAside) {
	g.aside = aside
	for org, a := range aside {
		if a.closed {
			g.orgs[org] = &ward{closed: true}
		}
	}
}

// retreat takes an organisation's faulty files out. The second time, its last
// good files do not go with the platform's new ones either.
func (s *sources) retreat(org string, faults []Fault, last *sources, aside map[string]*setAside) *sources {
	before := last.of(org)
	known := aside[org]
	if known == nil {
		known = &setAside{}
		aside[org] = known
	} else {
		before = nil
	}
	known.faults = append(known.faults, faults...)
	out, ok := s.instead(org, before)
	known.closed = len(before) == 0 || !ok
	return out
}

// blame sorts faults by the organisation whose file has them. It answers nil
// when one is the platform's.
func (s *sources) blame(faults []Fault) map[string][]Fault {
	owner := s.owners()
	out := map[string][]Fault{}
	for _, f := range faults {
		org := owner[f.File]
		if org == thePlatform {
			return nil
		}
		out[org] = append(out[org], f)
	}
	return out
}

// asideFaults lists what is wrong with the organisations that were set aside.
func (g *generation) asideFaults() []Fault {
	e := &LoadError{}
	for _, org := range sortedKeys(g.aside) {
		e.Faults = append(e.Faults, g.aside[org].faults...)
	}
	return loadError(e).Faults
}

func byPath(a, b file) int { return strings.Compare(a.path, b.path) }

// orgStatus tells about the organisations that are not as their newest files
// say.
func (g *generation) orgStatus() []OrgStatus {
	list := []OrgStatus{}
	for _, org := range sortedKeys(g.aside) {
		state := OrgLastGood
		if g.aside[org].closed {
			state = OrgClosed
		}
		list = append(list, OrgStatus{Organisation: org, State: state, Faults: g.aside[org].faults})
	}
	for _, org := range sortedKeys(g.orgs) {
		if g.orgs[org].guard.isQuarantined() {
			list = append(list, OrgStatus{Organisation: org, State: OrgQuarantined})
		}
	}
	slices.SortStableFunc(list, func(a, b OrgStatus) int { return strings.Compare(a.Organisation, b.Organisation) })
	return list
}
