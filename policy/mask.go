package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// masks are the places of a log event that nobody may read. They are taken out
// before it is shown or written anywhere.
type masks []pointer

// pointer is a JSON pointer into a log event. Below /input and /result it stands
// for the same place of every resource.
type pointer struct {
	text string
	path []string
}

func readMasks(texts []string) (masks, error) {
	list := make(masks, len(texts))
	for i, text := range texts {
		path := strings.Split(text, "/")
		switch {
		case text == "/requested_by", text == "/error":
		case len(path) > 2 && (strings.HasPrefix(text, "/input/") || strings.HasPrefix(text, "/result/")):
		default:
			return nil, fmt.Errorf("decision_log.mask: %q is no JSON pointer below /input or /result, nor /requested_by or /error", text)
		}
		for j, segment := range path {
			path[j] = strings.NewReplacer("~1", "/", "~0", "~").Replace(segment)
		}
		list[i] = pointer{text: text, path: path[1:]}
	}
	return list, nil
}

// hide takes the masked places out of an event and names those that were there.
func (m masks) hide(ev *event) error {
	for _, p := range m {
		hidden := false
		switch p.path[0] {
		case "requested_by":
			hidden = ev.RequestedBy != ""
			ev.RequestedBy = ""
		case "error":
			hidden = ev.Error != ""
			ev.Error = ""
		case "input":
			hidden = p.cutEach(ev.Input)
		case "result":
			opened, err := plainJSON(ev.Result)
			if err != nil {
				return err
			}
			ev.Result = opened
			hidden = p.cutEach(ev.Result)
		}
		if hidden && !slices.Contains(ev.Masked, p.text) {
			ev.Masked = append(ev.Masked, p.text)
		}
	}
	return nil
}

// plainJSON is a value as maps and lists.
func plainJSON(v any) (any, error) {
	switch v.(type) {
	case nil, map[string]any:
		return v, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(text, &out)
}

// cutEach cuts out of one document, or out of each of several.
func (p pointer) cutEach(document any) bool {
	several, ok := document.([]any)
	if !ok {
		return cut(document, p.path[1:])
	}
	hidden := false
	for _, one := range several {
		hidden = cut(one, p.path[1:]) || hidden
	}
	return hidden
}

// cut removes a member of an object, or empties an element of a list.
func cut(v any, path []string) bool {
	switch v := v.(type) {
	case map[string]any:
		inner, ok := v[path[0]]
		if !ok || isEmpty(inner) {
			return false
		}
		if len(path) > 1 {
			return cut(inner, path[1:])
		}
		delete(v, path[0])
		return true
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(v) {
			return false
		}
		if len(path) > 1 {
			return cut(v[i], path[1:])
		}
		v[i] = nil
		return true
	}
	return false
}

// isEmpty is a value that hides nothing.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return v == nil
}
