package output_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/cmd/internal/output"
)

func TestPrint(t *testing.T) {
	v := struct {
		Name string `json:"name"`
	}{"vpc"}
	for format, want := range map[string]string{
		"json": "{\n  \"name\": \"vpc\"\n}\n",
		"yaml": "name: vpc\n",
	} {
		var f output.Format
		require.Equal(t, "table", f.String())
		require.NoError(t, f.Set(format))
		var out strings.Builder
		require.NoError(t, f.Print(&out, v, nil))
		require.Equal(t, want, out.String())
	}
	drawn := errors.New("drawn")
	var f output.Format
	require.ErrorIs(t, f.Print(nil, v, func() error { return drawn }), drawn)
	require.ErrorContains(t, f.Set("xml"), "use table, json, yaml")
}
