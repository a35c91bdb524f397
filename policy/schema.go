package policy

// shape is the JSON schema of one field.
type shape map[string]any

func anyText() shape    { return shape{"type": "string"} }
func integer() shape    { return shape{"type": "integer"} }
func boolean() shape    { return shape{"type": "boolean"} }
func openObject() shape { return shape{"type": "object", "additionalProperties": true} }

func textOf(values ...string) shape {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return shape{"type": "string", "enum": list}
}

func textList() shape {
	return shape{"type": "array", "items": map[string]any{"type": "string"}}
}

func textMap() shape {
	return shape{"type": "object", "additionalProperties": map[string]any{"type": "string"}}
}

func windowList() shape {
	return shape{"type": "array", "items": closedObject(map[string]any{
		"name":    map[string]any{"type": "string"},
		"kind":    map[string]any{"type": "string"},
		"from_ns": map[string]any{"type": "integer"},
		"to_ns":   map[string]any{"type": "integer"},
		"reason":  map[string]any{"type": "string"},
	})}
}

func closedObject(properties map[string]any) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// InputSchema answers the JSON schema of the input: closed, so that a misspelt
// field is a compile error.
func InputSchema() map[string]any {
	sections := map[string]any{}
	members := map[string]map[string]any{}
	for _, f := range fields() {
		if f.name == "" {
			sections[f.section] = map[string]any(f.shape)
			continue
		}
		if members[f.section] == nil {
			members[f.section] = map[string]any{}
			sections[f.section] = closedObject(members[f.section])
		}
		members[f.section][f.name] = map[string]any(f.shape)
	}
	schema := closedObject(sections)
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["title"] = Contract + " policy input"
	return schema
}

// enums answers the closed sets of values, by path.
func enums() map[string][]string {
	closed := map[string][]string{}
	for _, f := range fields() {
		list, ok := f.shape["enum"].([]any)
		if !ok {
			continue
		}
		for _, v := range list {
			if s, ok := v.(string); ok {
				closed[f.path()] = append(closed[f.path()], s)
			}
		}
	}
	return closed
}
