package terraform_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/terraform"
)

// FuzzDecodeInfo holds what the rest of the door relies on: an ID that can be an
// owner, text that drives nobody's terminal, a context whose size follows from
// that of the body, and the same LockInfo again for whoever is refused.
func FuzzDecodeInfo(f *testing.F) {
	for _, seed := range []string{
		info("run-1"), bare("run-1"), "", "null", "[]", `{"version":4,"serial":3}`, `{"ID":"x","Created":"yesterday"}`,
		`{"ID":"\u001b[2J"}`, "{\"ID\":\"a\",\"Who\":\"\u202e\xff\"}", `{"id":"a","ID":"b","Info":"<<<>>>"}`,
		`{"ID":"` + strings.Repeat("x", 129) + `"}`, `{"ID":"x","Info":` + strings.Repeat("[", 100),
		`{"ID":"x","Created":"9999-12-31T23:59:59.999999999+23:59"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > terraform.MaxInfoBytes {
			t.Skip("a longer body is refused before it is decoded")
		}
		got, err := terraform.DecodeInfo(body)
		if err != nil {
			require.Nil(t, got)
			var invalid *lock.InvalidError
			require.ErrorAs(t, err, &invalid)
			return
		}
		require.Empty(t, lock.Owner("terraform:"+got.ID).Fault())
		require.LessOrEqual(t, len(got.ID), 128)
		for _, text := range []string{got.ID, got.Operation, got.Info, got.Who, got.Version, got.Path} {
			require.NotContains(t, strings.Map(control, text), "!", "%q", text)
		}
		kept, document, err := got.Kept()
		require.NoError(t, err)
		require.LessOrEqual(t, len(document), 12*len(body)+256, "every byte is kept twice, as six at most")
		require.Empty(t, cmp.Diff(*got, kept))
	})
}

// control maps control characters to ! and all others to a space.
func control(r rune) rune {
	if unicode.IsControl(r) {
		return '!'
	}
	return ' '
}

func TestDecodeInfo_keepsNoCredentials(t *testing.T) {
	t.Parallel()
	info, err := terraform.DecodeInfo([]byte(`{"ID":"1","Info":"plan of https://bob:hunter2@git.example/x","Path":"http://ci:hunter2@state.example/vpc"}`))
	require.NoError(t, err)
	require.Equal(t, "plan of https://git.example/x", info.Info)
	require.Equal(t, "http://state.example/vpc", info.Path)
}
