package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lockgate/lockgate/core/lock"
)

// Complete makes a whole input of a part of one, as an author writes it. What is
// left out is what a gateway would work out: the resource's place by its key and
// the registry, the calendar by request.time (or now), the actor by the subject,
// the kind by the owner; everything else gets its zero value, and the action is
// acquire. A field that is not there, or a value that is never there, is an
// error.
func (c *Candidate) Complete(part json.RawMessage, now time.Time) (json.RawMessage, error) {
	given, err := decodeObject(part)
	if err != nil {
		return nil, err
	}
	if err := checkInput(given); err != nil {
		return nil, err
	}
	q, err := questionOf(part, now)
	if err != nil {
		return nil, err
	}
	v := &view{}
	v.reset(q, 0, c.generation.facts)
	built, err := c.generation.inputs.build(v)
	if err != nil {
		return nil, err
	}
	plain, err := ast.JSON(built.Value)
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	whole, ok := plain.(map[string]any)
	if !ok {
		return nil, errors.New("input: is no object")
	}
	for section, value := range given {
		members, isObject := value.(map[string]any)
		into, known := whole[section].(map[string]any)
		if !isObject || !known {
			whole[section] = value
			continue
		}
		maps.Copy(into, members)
	}
	return json.Marshal(whole)
}

func decodeObject(text json.RawMessage) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	object := map[string]any{}
	if err := d.Decode(&object); err != nil {
		return nil, fmt.Errorf("the input is no JSON object: %w", err)
	}
	return object, nil
}

// questionOf takes from a part of an input what other fields follow from.
func questionOf(part json.RawMessage, now time.Time) (*lock.Question, error) {
	var p struct {
		Action  string `json:"action"`
		Request struct {
			Time   string `json:"time"`
			TimeNS int64  `json:"time_ns"`
		} `json:"request"`
		Subject struct {
			ID    string   `json:"id"`
			Kind  string   `json:"kind"`
			Teams []string `json:"teams"`
		} `json:"subject"`
		Owner struct {
			ID string `json:"id"`
		} `json:"owner"`
		Resource struct {
			Key       string `json:"key"`
			Namespace string `json:"namespace"`
		} `json:"resource"`
	}
	if err := json.Unmarshal(part, &p); err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	q := &lock.Question{
		Action: lock.ActAcquire, Time: now, Owner: lock.Owner(p.Owner.ID), Namespace: lock.Namespace(p.Resource.Namespace),
		Resources: []lock.Resource{{Key: lock.Key(p.Resource.Key)}},
		Caller: lock.Caller{
			Subject: lock.Subject{ID: p.Subject.ID, Kind: lock.StaticToken, Teams: p.Subject.Teams},
			Actor:   lock.Actor{ID: p.Subject.ID, Teams: p.Subject.Teams},
			Source:  lock.FromAPI,
		},
	}
	switch {
	case p.Request.TimeNS != 0:
		q.Time = time.Unix(0, p.Request.TimeNS)
	case p.Request.Time != "":
		at, err := time.Parse(time.RFC3339, p.Request.Time)
		if err != nil {
			return nil, fmt.Errorf("input.request.time: %w", err)
		}
		q.Time = at
	}
	return q, nil
}

// checkInput holds a part of an input against the contract.
func checkInput(given map[string]any) error {
	known := map[string][]string{}
	shapes := map[string]shape{}
	for _, f := range fields() {
		known[f.section] = append(known[f.section], f.name)
		shapes[f.path()] = f.shape
	}
	var faults []error
	for _, section := range sortedKeys(given) {
		path := "input." + section
		names, ok := known[section]
		if !ok {
			faults = append(faults, fmt.Errorf("%s is not there: the input has %s", path, strings.Join(sortedKeys(known), ", ")))
			continue
		}
		if s, ok := shapes[path]; ok {
			faults = append(faults, s.check(path, given[section]))
			continue
		}
		members, ok := given[section].(map[string]any)
		if !ok {
			faults = append(faults, fmt.Errorf("%s must be an object", path))
			continue
		}
		for _, name := range sortedKeys(members) {
			if !slices.Contains(names, name) {
				faults = append(faults, fmt.Errorf("%s.%s is not there: it has %s", path, name, strings.Join(names, ", ")))
				continue
			}
			faults = append(faults, shapes[path+"."+name].check(path+"."+name, members[name]))
		}
	}
	return errors.Join(faults...)
}

// check says what is wrong with a value, or nil. The members of lists and maps
// are left to the policies.
func (s shape) check(path string, value any) error {
	kind := ""
	switch v := value.(type) {
	case string:
		if closed, ok := s["enum"].([]any); ok && !slices.Contains(closed, value) {
			return fmt.Errorf("%s is never %q: it is one of %q", path, v, closed)
		}
		kind = "string"
	case bool:
		kind = "boolean"
	case json.Number:
		kind = "number"
		if _, err := v.Int64(); err == nil {
			kind = "integer"
		}
	case []any:
		kind = "array"
	case map[string]any:
		kind = "object"
	case nil:
		kind = "null"
	}
	if s["type"] != kind {
		return fmt.Errorf("%s must be of type %v, not %s", path, s["type"], kind)
	}
	return nil
}
