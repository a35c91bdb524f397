package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/goccy/go-yaml"

	"github.com/lockgate/lockgate/gateway/wire"
)

// openAPIJSON makes the JSON form of the embedded document.
func openAPIJSON() ([]byte, error) {
	data, err := yaml.YAMLToJSON(wire.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return compact.Bytes(), nil
}
