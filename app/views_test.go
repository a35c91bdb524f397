package app

import (
	"testing"
	"time"

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

func TestRules_comeFromQueueAndEvents(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Events.Retention, cfg.Queue.OfferTimeout = time.Hour, 7*time.Second
	rules := cfg.rules()
	require.Equal(t, time.Hour, rules.Events)
	require.Equal(t, 7*time.Second, rules.OfferTimeout)
	require.NoError(t, rules.Validate())
}
