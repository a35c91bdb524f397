package lock_test

import (
	"encoding"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/lockgate/lockgate/core/lock"
)

func TestFault_namesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, fault := range map[string]string{
		"acme/infra/vpc/default/":           "",
		"Grüße/日本":                          "",
		"":                                  "is empty",
		strings.Repeat("k", 513):            "is longer than 512 bytes",
		"\xff":                              "is not UTF-8",
		"a\nb":                              "has a control character",
		"a\u0085b":                          "has a control character",
		strings.Repeat("k", 512):            "",
		"bell\x07":                          "has a control character",
		"del\x7f":                           "has a control character",
		strings.Repeat("é", 256) + "x":      "is longer than 512 bytes",
		"spaces and / slashes # are \"ok\"": "",
	} {
		require.Equal(t, fault, lock.Key(text).Fault(), "%q", text)
	}
	require.Equal(t, "is longer than 200 bytes", lock.Namespace(strings.Repeat("n", 201)).Fault())
	require.Equal(t, "is longer than 256 bytes", lock.Owner(strings.Repeat("o", 257)).Fault())
}

func TestID_isAULIDInUpperCase(t *testing.T) {
	t.Parallel()
	require.Empty(t, lock.ID("01JDA2V7W8XQ4M3N5P6R7S8T9V").Fault())
	for _, id := range []lock.ID{"", "01JDA2V7W8XQ4M3N5P6R7S8T9", "81JDA2V7W8XQ4M3N5P6R7S8T9V", "01jda2v7w8xq4m3n5p6r7s8t9v", "01JDA2V7W8XQ4M3N5P6R7S8T9U"} {
		require.NotEmpty(t, id.Fault(), id)
	}
}

func TestOwner_kindIsBeforeTheColon(t *testing.T) {
	t.Parallel()
	require.Equal(t, "atlantis", lock.Owner("atlantis:acme/infra#42").Kind())
	require.Empty(t, lock.Owner("me").Kind())
}

func TestText_roundTrips(t *testing.T) {
	t.Parallel()
	words := map[encoding.TextMarshaler]encoding.TextUnmarshaler{}
	for s := lock.Queued; s <= lock.Denied; s++ {
		words[s] = new(lock.State)
	}
	for _, p := range lock.Priorities() {
		words[p] = new(lock.Priority)
	}
	for a := lock.ActAcquire; a <= lock.ActAdmin; a++ {
		words[a] = new(lock.Action)
	}
	words[lock.Exclusive], words[lock.Shared] = new(lock.Mode), new(lock.Mode)
	words[lock.StrictAging], words[lock.Aging(time.Second)] = new(lock.Aging), new(lock.Aging)
	for value, into := range words {
		text, err := value.MarshalText()
		require.NoError(t, err)
		require.NoError(t, into.UnmarshalText(text), string(text))
		back, err := into.(encoding.TextMarshaler).MarshalText()
		require.NoError(t, err)
		require.Equal(t, string(text), string(back))
		require.Error(t, into.UnmarshalText([]byte("nonsense")))
	}
}

func TestScore_isTheOrderOfTheQueue(t *testing.T) {
	t.Parallel()
	const aging = lock.Aging(3600 * time.Millisecond)
	begin := time.UnixMilli(1_800_000_000_000)
	low, critical := lock.Low.Base(), lock.Critical.Base()
	require.Less(t, aging.Score(begin, critical), aging.Score(begin, low))
	require.Greater(t, aging.Score(begin.Add(43*time.Minute), critical), aging.Score(begin, low), "low waits at most 42 minutes behind fresh critical ones")
	require.Less(t, aging.Score(begin.Add(41*time.Minute), critical), aging.Score(begin, low))
	require.Less(t, lock.Aging(0).Score(begin, low), lock.Aging(0).Score(begin.Add(time.Millisecond), critical), "0s is FIFO")
	require.Less(t, lock.StrictAging.Score(begin.Add(100*365*24*time.Hour), 1), lock.StrictAging.Score(begin, 0), "strict is absolute")
}

func TestScore_staysExactInADouble(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "at"))
		value := rapid.IntRange(0, lock.MaxValue).Draw(t, "value")
		for _, a := range []lock.Aging{0, lock.Aging(3600 * time.Millisecond), lock.MaxAging, lock.StrictAging} {
			score := a.Score(at, value)
			require.Less(t, score, int64(1)<<53)
			require.Greater(t, score, -(int64(1) << 53))
		}
	})
}

func TestRules_validateNamesEveryFault(t *testing.T) {
	t.Parallel()
	good := lock.DefaultRules()
	require.NoError(t, good.Validate())
	err := (&lock.Rules{Aging: -1}).Validate()
	for _, name := range []string{"aging", "offer_timeout", "poll_offer_timeout", "ended", "idempotency", "retention"} {
		require.ErrorContains(t, err, name)
	}
}

func TestMode_conflictsAndCovers(t *testing.T) {
	t.Parallel()
	require.False(t, lock.Shared.Conflicts(lock.Shared))
	require.True(t, lock.Shared.Conflicts(lock.Exclusive))
	require.True(t, lock.Exclusive.Conflicts(lock.Shared))
	require.True(t, lock.Exclusive.Covers(lock.Shared))
	require.False(t, lock.Shared.Covers(lock.Exclusive))
	l := &lock.Lock{Resources: []lock.Resource{{Key: "a"}, {Key: "b", Mode: lock.Shared}}}
	require.True(t, l.Covers([]lock.Resource{{Key: "a", Mode: lock.Shared}}))
	require.False(t, l.Covers([]lock.Resource{{Key: "b"}}))
	require.False(t, l.Covers([]lock.Resource{{Key: "c", Mode: lock.Shared}}))
}

func TestDeadline_isOfThePresentState(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	l := &lock.Lock{WaitUntil: at(10), OfferUntil: at(5), ExpiresAt: at(20)}
	for s := lock.Queued; s <= lock.Denied; s++ {
		l.State = s
		want := map[bool]time.Time{s == lock.Queued: at(10), s == lock.Offered: at(5), s == lock.Held: at(20)}[true]
		require.Equal(t, want, l.Deadline(), s)
	}
	l.State, l.AliveUntil = lock.Queued, at(3)
	require.Equal(t, at(3), l.Deadline(), "the place is given up before the wait ends")
}

func TestErrors_sayWhatHappened(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	conflict := &lock.ConflictError{Lock: lock.Lock{BlockedBy: []lock.Blocker{{Owner: "pr:1", Resource: "vpc", Since: since}}}}
	require.ErrorIs(t, conflict, lock.ErrLocked)
	for err, text := range map[error]string{
		conflict:              `"vpc" is locked by pr:1 since 2026-11-21T10:00:00Z`,
		&lock.ConflictError{}: "locked",
		&lock.EndedError{Lock: lock.Lock{ID: "X", State: lock.Cancelled}}:                                               "request X has ended: cancelled",
		&lock.EndedError{Lock: lock.Lock{ID: "X", State: lock.Revoked, Reason: "gone"}}:                                 "request X has ended: revoked (gone)",
		&lock.DeniedError{Action: lock.ActAcquire}:                                                                      "acquire is denied: no policy grants it",
		&lock.DeniedError{Action: lock.ActRead, Decision: lock.Summary{Reasons: []lock.Reason{{Msg: "a"}, {Msg: "b"}}}}: "read is denied: a; b",
		&lock.QueueFullError{Resource: "vpc", Limit: 3}:                                                                 `the queue of "vpc" is full (3 requests)`,
		lock.Invalid("/owner", "is empty"):                                                                              "/owner is empty",
		&lock.PolicyError{Err: errors.New("boom")}:                                                                      "policy could not decide: boom",
		&lock.UnavailableError{Err: errors.New("boom")}:                                                                 "unavailable: boom",
		&lock.BusyError{}: "the gateway has too many requests under way",
	} {
		require.EqualError(t, err, text)
	}
}

func TestCaller_actsForSomebodyElse(t *testing.T) {
	t.Parallel()
	c := &lock.Caller{Subject: lock.Subject{ID: "atlantis", Roles: []string{lock.RoleDelegate}}, Actor: lock.Actor{ID: "ann"}}
	require.Equal(t, "ann", c.Acts())
	require.True(t, c.Subject.Has(lock.RoleDelegate))
	c.Actor.ID = "atlantis"
	require.Empty(t, c.Acts())
}
