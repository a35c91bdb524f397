package gateway_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway/wire"
)

// contract is the OpenAPI document with its schemas compiled, which kin-openapi
// would do again for every answer.
type contract struct {
	doc     *openapi3.T
	schemas map[string]*jsonschema.Schema // by reference
}

var loadContract = sync.OnceValues(func() (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(wire.OpenAPI())
	if err != nil {
		return nil, err
	}
	text, err := yaml.YAMLToJSON(wire.OpenAPI())
	if err != nil {
		return nil, err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("mem:openapi.json", value); err != nil {
		return nil, err
	}
	c := &contract{doc: doc, schemas: map[string]*jsonschema.Schema{}}
	for name := range doc.Components.Schemas {
		ref := "#/components/schemas/" + name
		if c.schemas[ref], err = compiler.Compile("mem:openapi.json" + ref); err != nil {
			return nil, err
		}
	}
	return c, nil
})

func document(t *testing.T) *contract {
	t.Helper()
	c, err := loadContract()
	require.NoError(t, err)
	return c
}

// fits holds JSON against a schema of the document.
func (c *contract) fits(ref string, data []byte) error {
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return c.schemas[ref].Validate(value)
}

// holds checks an answer against the document: status, headers, media type and
// body. Routes and methods that do not exist have no operation: their answer
// must be a problem all the same.
func (c *contract) holds(req *http.Request, a *reply) error {
	path, item := c.find(req.URL.EscapedPath())
	if item == nil || item.GetOperation(req.Method) == nil {
		return c.fits("#/components/schemas/Problem", a.body)
	}
	operation := item.GetOperation(req.Method)
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: req,
			Route:   &routers.Route{Spec: c.doc, Path: path, PathItem: item, Method: req.Method, Operation: operation},
		},
		Status:  a.status,
		Header:  a.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, ExcludeResponseBody: true},
	}
	if err := openapi3filter.ValidateResponse(req.Context(), in); err != nil {
		return err
	}
	content := operation.Responses.Status(a.status).Value.Content
	if len(a.body) == 0 && len(content) == 0 {
		return nil
	}
	media := content.Get(a.header.Get("Content-Type"))
	if media == nil {
		return fmt.Errorf("%s %s: %d: %q is not in the document", req.Method, path, a.status, a.header.Get("Content-Type"))
	}
	if media.Schema.Ref == "" { // a page, or the text of a probe
		return nil
	}
	if err := c.fits(media.Schema.Ref, a.body); err != nil {
		return fmt.Errorf("%s %s: %d: %w\n%s", req.Method, path, a.status, err, a.body)
	}
	return nil
}

// find matches an escaped path with a path of the document.
func (c *contract) find(escaped string) (string, *openapi3.PathItem) {
	given := strings.Split(escaped, "/")
	for path, item := range c.doc.Paths.Map() {
		parts := strings.Split(path, "/")
		matches := len(parts) == len(given)
		for i := 0; matches && i < len(parts); i++ {
			matches = parts[i] == given[i] || (strings.HasPrefix(parts[i], "{") && given[i] != "")
		}
		if matches {
			return path, item
		}
	}
	return "", nil
}

func TestContract_refusesWhatTheDocumentDoesNotSay(t *testing.T) {
	r := start(t)
	a := r.do("POST", "/v1/locks", body("one", vpc))
	req, err := r.request(t.Context(), "POST", "/v1/locks", nil)
	require.NoError(t, err)
	require.NoError(t, r.document.holds(req, a))
	for name, spoil := range map[string]func(*reply){
		"member":   func(a *reply) { a.body = bytes.Replace(a.body, []byte(`"owner"`), []byte(`"ownr"`), 1) },
		"value":    func(a *reply) { a.body = bytes.Replace(a.body, []byte(`"held"`), []byte(`"hold"`), 1) },
		"status":   func(a *reply) { a.status = http.StatusTeapot },
		"location": func(a *reply) { a.header.Del("Location") },
		"media":    func(a *reply) { a.header.Set("Content-Type", "text/plain") },
	} {
		spoiled := reply{status: a.status, header: a.header.Clone(), body: a.body}
		spoil(&spoiled)
		require.Error(t, r.document.holds(req, &spoiled), name)
	}
}
