package settings

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// Schema answers the JSON schema of the struct that defaults points to. Values
// with a text form are strings; unknown keys are not allowed, none is required.
// Help says by path what a key is.
func Schema(defaults any, title string, help map[string]string) ([]byte, error) {
	r := jsonschema.Reflector{
		FieldNameTag: "yaml", Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true, Mapper: textSchema,
	}
	s := r.Reflect(defaults)
	s.Title = title
	for _, k := range keys(defaults) {
		p, err := property(s, k.Path)
		if err != nil {
			return nil, err
		}
		p.Description = help[k.Path]
		if k.isEmpty() {
			continue
		}
		if p.Default, err = k.schemaDefault(); err != nil {
			return nil, err
		}
	}
	return json.MarshalIndent(s, "", "  ")
}

// textSchema answers the schema of types that a file writes as text.
func textSchema(t reflect.Type) *jsonschema.Schema {
	if t == reflect.TypeFor[time.Duration]() {
		return &jsonschema.Schema{Type: "string", Examples: []any{"500ms", "30s", "24h"}}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return &jsonschema.Schema{Type: "string"}
	}
	return nil
}

// property finds the schema of a key.
func property(s *jsonschema.Schema, path string) (*jsonschema.Schema, error) {
	for name := range strings.SplitSeq(path, ".") {
		next, ok := s.Properties.Get(name)
		if !ok {
			return nil, fmt.Errorf("the schema has no %s", path)
		}
		s = next
	}
	return s, nil
}

// schemaDefault is the key's value as JSON would write it.
func (k Key) schemaDefault() (any, error) {
	switch k.kind() {
	case "bool", "int", "number", "list", "map":
		return k.value.Interface(), nil
	default:
		return k.text()
	}
}
