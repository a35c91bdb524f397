package app

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSubjectOf_isTheSameForOneResourceAndSeveral(t *testing.T) {
	for entry, want := range map[string]string{
		`{"input":{"subject":{"id":"jo"}}}`:                           "jo",
		`{"input":[{"subject":{"id":"jo"}},{"subject":{"id":"jo"}}]}`: "jo",
		`{"input":[]}`:               "",
		`{"input":{"error":"lost"}}`: "",
		`{}`:                         "",
		`not JSON`:                   "",
	} {
		require.Equal(t, want, subjectOf([]byte(entry)))
	}
}
