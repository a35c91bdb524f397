package wire

import _ "embed" // for the document

//go:embed openapi.yaml
var openAPI []byte

// OpenAPI answers the OpenAPI 3.1 document of the API, in YAML.
func OpenAPI() []byte { return openAPI }
