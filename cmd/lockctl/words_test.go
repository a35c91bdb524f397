package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/client"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestTraceOf(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	env := map[string]string{"TRACEPARENT": parent, "TRACESTATE": "vendor=1"}
	getenv := func(name string) string { return env[name] }
	require.Equal(t, trace{parent: parent, state: "vendor=1"}, traceOf(getenv))

	for _, invalid := range []string{
		"", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		strings.ToUpper(parent), parent + "-more", "ff" + parent[2:],
	} {
		env["TRACEPARENT"] = invalid
		made, again := traceOf(getenv), traceOf(getenv)
		require.True(t, validParent(made.parent), "%q made %q", invalid, made.parent)
		require.NotEqual(t, made, again)
		require.Empty(t, made.state, "the state belongs to the trace that was refused")
	}
}

func TestBrief(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want string
	}{
		{-time.Second, "0s"},
		{0, "0s"},
		{1500 * time.Microsecond, "2ms"},
		{30 * time.Second, "30s"},
		{61 * time.Second, "1m1s"},
		{10 * time.Minute, "10m"},
		{2*time.Hour + 400*time.Millisecond, "2h"},
		{time.Hour + time.Second, "1h0m1s"},
	} {
		require.Equal(t, tt.want, brief(tt.d))
	}
}

func TestTable_alignsWhatIsPainted(t *testing.T) {
	table := newTable("STATE", "OWNER")
	table.add("held", "ann")
	table.add("timed_out", "böb")
	var plainText, paintedText strings.Builder
	require.NoError(t, table.write(&plainText, plain))
	require.Equal(t, "STATE      OWNER\nheld       ann\ntimed_out  böb\n", plainText.String())
	require.NoError(t, table.write(&paintedText, painted))
	require.Contains(t, paintedText.String(), "\x1b[32mheld\x1b[0m       ann\n")
	require.Contains(t, paintedText.String(), "\x1b[31mtimed_out\x1b[0m  böb\n")
}

func TestStanding(t *testing.T) {
	l := &wire.Lock{State: client.Queued, Position: 3, Resources: []wire.Resource{{Key: "vpc"}, {Key: "dns", Mode: "shared"}}}
	require.Equal(t, "waiting for vpc, dns (shared): it is your turn", standing(l))
	since := wire.Time{Time: time.Date(2026, 11, 21, 22, 0, 0, 0, time.Local)}
	l.BlockedBy = []wire.Blocker{{Owner: "ann", Resource: "vpc", State: client.Held, Since: since}}
	require.Equal(t, "waiting for vpc, dns (shared): position 3, vpc held by ann since 2026-11-21 22:00:00", standing(l))
	l.BlockedBy[0].State = client.Queued
	require.Contains(t, standing(l), "vpc wanted by ann")
}

func TestExplain_codes(t *testing.T) {
	for _, tt := range []struct {
		err  error
		code int
		text string
	}{
		{errors.New("disk full"), exitError, "disk full"},
		{context.Canceled, exitError, "interrupted"},
		{usagef("no %s", "key"), exitUsage, "no key (see lockctl run --help)"},
		{fmt.Errorf("acquire: %w", client.ErrDeadlock), exitVictim, "release what you hold with"},
		{fmt.Errorf("get: %w", client.ErrUnauthenticated), exitError, "set LOCKGATE_TOKEN"},
		{fmt.Errorf("acquire: %w", client.ErrUnavailable), exitError, "try again in a moment"},
		{fmt.Errorf("acquire: %w", client.ErrLocked), exitLocked, "ask again with a longer --wait"},
		{fmt.Errorf("unlock: %w: %w", client.ErrLost, client.ErrUnreachable), exitLost, "the lock is lost"},
		{fmt.Errorf("list: %w at http://x", client.ErrUnreachable), exitUnreachable, "no gateway answers at http://x: start one"},
	} {
		text, code := explain(tt.err, "lockctl run")
		require.Equal(t, tt.code, code, "%v", tt.err)
		require.Contains(t, text, tt.text)
		require.NotContains(t, text, "\n")
	}
}
