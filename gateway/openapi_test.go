package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func TestOpenAPI_isValid(t *testing.T) {
	require.NoError(t, document(t).doc.Validate(t.Context()))
}

func TestOpenAPI_namesEveryRouteAndNoOther(t *testing.T) {
	r := start(t)
	var documented []string
	for path, item := range r.document.doc.Paths.Map() {
		for method := range item.Operations() {
			documented = append(documented, method+" "+path)
		}
	}
	served := r.RouteNames()
	slices.Sort(documented)
	slices.Sort(served)
	require.Empty(t, cmp.Diff(documented, served), "document (-) and server (+)")
}

func TestOpenAPI_isServedAsJSON(t *testing.T) {
	r := start(t)
	a := r.do("GET", "/openapi.json", nil)
	require.Equal(t, http.StatusOK, a.status)
	require.True(t, json.Valid(a.body))
	served, err := openapi3.NewLoader().LoadFromData(a.body)
	require.NoError(t, err)
	require.Equal(t, "3.1.0", served.OpenAPI)
	require.Equal(t, r.document.doc.Paths.Len(), served.Paths.Len())
}
