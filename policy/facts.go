package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/lockgate/lockgate/core/lock"
)

// facts is what Go itself reads of data.facts: the registry of projects and the
// calendar. Everything under data.facts is there for policies as it stands.
type facts struct {
	projects map[string]project
	calendar calendar
}

// project is an entry of data.facts.projects. Further members are the
// policies' own.
type project struct {
	Environment string            `json:"environment"`
	Repo        string            `json:"repo"`
	Labels      map[string]string `json:"labels"`
}

// place is where a resource stands: worked out from its key and the registry.
type place struct {
	name        string // in the registry
	org         string
	repo        string
	path        string
	workspace   string
	project     string
	environment string
	labels      map[string]string
}

// readFacts takes from data.facts what Go reads. A member of the wrong kind is
// an error: half a calendar is a freeze that does not freeze.
func readFacts(document map[string]any) (*facts, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("data.facts: %w", err)
	}
	var known struct {
		Projects map[string]project `json:"projects"`
		Freezes  []freeze           `json:"freezes"`
		Hours    map[string]hours   `json:"hours"`
	}
	if err := json.Unmarshal(text, &known); err != nil {
		if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, fmt.Errorf("data.facts.%s must be a %s, not a %s", kind.Field, kind.Type, kind.Value)
		}
		return nil, fmt.Errorf("data.facts: %w", err)
	}
	c, err := newCalendar(known.Freezes, known.Hours)
	if err != nil {
		return nil, err
	}
	return &facts{projects: known.Projects, calendar: c}, nil
}

// resolve finds a resource's place. The registry wins over what the key spells.
func (f *facts) resolve(ns lock.Namespace, key lock.Key) place {
	if key == "" {
		return place{}
	}
	p := spelled(string(ns), string(key))
	entry, ok := f.projects[p.name]
	if !ok {
		return p
	}
	p.environment, p.labels = entry.Environment, entry.Labels
	if entry.Repo != "" {
		p.repo = entry.Repo
		p.org, _, _ = strings.Cut(p.repo, "/")
	}
	return p
}

// spelled reads a key: "{repo}/{path}/{workspace}/{project}" as Atlantis spells
// it, "terraform/{state}" in the repository's namespace, anything else as a
// path in the namespace.
func spelled(ns, key string) place {
	if ns == "" || ns == string(lock.DefaultNamespace) {
		return spelledPlainly(key)
	}
	if rest, ok := strings.CutPrefix(key, ns+"/"); ok {
		p := place{name: key, repo: ns}
		p.org, _, _ = strings.Cut(ns, "/")
		p.path, p.workspace, p.project = project3(rest)
		return p
	}
	p := place{name: ns + "/" + key, repo: ns, path: key}
	p.org, _, _ = strings.Cut(ns, "/")
	if state, ok := strings.CutPrefix(key, "terraform/"); ok {
		p.path = state
	}
	return p
}

// spelledPlainly reads a key that stands in no repository's namespace: five
// segments and more are Atlantis' spelling with an owner and a repository.
func spelledPlainly(key string) place {
	p := place{name: key, path: key}
	org, rest, found := strings.Cut(key, "/")
	if !found || strings.Count(rest, "/") < 3 {
		return p
	}
	repo, rest, _ := strings.Cut(rest, "/")
	p.org, p.repo = org, org+"/"+repo
	p.path, p.workspace, p.project = project3(rest)
	return p
}

// project3 splits "{path}/{workspace}/{project}" from the end: only the path
// may hold slashes.
func project3(s string) (path, workspace, project string) {
	last := strings.LastIndexByte(s, '/')
	if last < 0 {
		return s, "", ""
	}
	middle := strings.LastIndexByte(s[:last], '/')
	if middle < 0 {
		return s, "", ""
	}
	return s[:middle], s[middle+1 : last], s[last+1:]
}
