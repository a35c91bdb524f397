package policy

import (
	"maps"
	"regexp"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// thePlatform owns every file that is no organisation's.
const thePlatform = ""

var (
	packageClause = regexp.MustCompile(`(?m)^[ \t]*package[ \t]+([^\s#;]+)`)
	readsOrg      = regexp.MustCompile(`\bdata\.lockgate\.org(?:\.([A-Za-z_]\w*)|\["([^"]+)"\])`)
)

// ownerOf answers whose file it is: the organisation whose package it states, or
// which is the only one that a test looks at. It answers for files that do not
// parse too, so that whoever broke one is found.
func ownerOf(f *file) string {
	clause := packageClause.FindSubmatch(f.text)
	if clause == nil {
		return thePlatform
	}
	ref, err := ast.ParseRef("data." + string(clause[1]))
	if err != nil {
		return thePlatform
	}
	names := constants(ref[1:])
	if len(names) < 3 || names[0] != "lockgate" {
		return thePlatform
	}
	switch kindNamed(names[1]) {
	case scopeOrg:
		return names[2]
	case scopeTest:
		return onlyOrg(f.text)
	case scopePolicy, scopeLib:
	}
	return thePlatform
}

// onlyOrg names the organisation that a test reads, when it is one.
func onlyOrg(text []byte) string {
	found := map[string]bool{}
	for _, m := range readsOrg.FindAllSubmatch(text, -1) {
		found[string(m[1])+string(m[2])] = true
	}
	if len(found) != 1 {
		return thePlatform
	}
	return slices.Collect(maps.Keys(found))[0]
}

// owners answers the owner of every rego file, by path.
func (s *sources) owners() map[string]string {
	owner := make(map[string]string, len(s.rego))
	for i := range s.rego {
		owner[s.rego[i].path] = s.rego[i].owner
	}
	return owner
}

// of answers the rego files of one owner.
func (s *sources) of(owner string) []file {
	if s == nil {
		return nil
	}
	var list []file
	for i := range s.rego {
		if s.rego[i].owner == owner {
			list = append(list, s.rego[i])
		}
	}
	return list
}

// instead answers the sources with other files for one organisation; none take
// it away. It answers false when one of them has the name of a file that is
// somebody else's now.
func (s *sources) instead(org string, files []file) (*sources, bool) {
	out := &sources{data: s.data}
	taken := map[string]bool{}
	for i := range s.rego {
		if s.rego[i].owner != org {
			out.rego = append(out.rego, s.rego[i])
			taken[s.rego[i].path] = true
		}
	}
	for _, f := range files {
		if taken[f.path] {
			return out, false
		}
	}
	out.rego = append(out.rego, files...)
	slices.SortFunc(out.rego, byPath)
	return out, true
}

// digests names the content of every part: the platform's with the facts and
// settings, and with all that each organisation's.
func (s *sources) digests(settings string) map[string]string {
	parts := map[string]*sources{thePlatform: {data: s.data}}
	for i := range s.rego {
		owner := s.rego[i].owner
		if parts[owner] == nil {
			parts[owner] = &sources{}
		}
		parts[owner].rego = append(parts[owner].rego, s.rego[i])
	}
	out := map[string]string{thePlatform: parts[thePlatform].digest(settings)}
	for owner, part := range parts {
		if owner != thePlatform {
			out[owner] = part.digest(out[thePlatform])
		}
	}
	return out
}
