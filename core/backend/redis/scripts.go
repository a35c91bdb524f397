package redis

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"embed"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/lockgate/lockgate/core/lock"
)

//go:embed scripts/*.lua
var sources embed.FS

// lua names a script: its file without the ending.
type lua string

// The scripts that work on a namespace, and then those that know nothing of its
// requests.
const (
	acquireLua      lua = "acquire"
	confirmLua      lua = "confirm"
	refuseLua       lua = "refuse"
	renewLua        lua = "renew"
	verifyLua       lua = "verify"
	releaseLua      lua = "release"
	revokeLua       lua = "revoke"
	reprioritizeLua lua = "reprioritize"
	endOwnerLua     lua = "end_owner"
	attendLua       lua = "attend"
	denyLua         lua = "deny"
	noteLua         lua = "note"
	sweepLua        lua = "sweep"
	undoLua         lua = "undo"
	registerLua     lua = "register"
	retireLua       lua = "retire"
	getLua          lua = "get"
	listLua         lua = "list"
	queuesLua       lua = "queues"
	factsLua        lua = "facts"
	statsLua        lua = "stats"
	announceLua     lua = "announce"
	withdrawLua     lua = "withdraw"
)

// script is one Lua script as Redis runs it.
type script struct {
	name lua
	text string
	sha  string
}

// loadScripts reads every script. Rules are part of the text of those that work
// on a namespace: gateways with other rules have other scripts.
func loadScripts(rules *lock.Rules, where topology) (map[lua]*script, error) {
	prelude, err := preludeOf(rules, where)
	if err != nil {
		return nil, err
	}
	all := make(map[lua]*script)
	for _, name := range []lua{
		acquireLua, confirmLua, refuseLua, renewLua, verifyLua, releaseLua, revokeLua, reprioritizeLua, endOwnerLua,
		attendLua, denyLua, noteLua, sweepLua, undoLua, retireLua, getLua, listLua, queuesLua, factsLua, statsLua,
	} {
		body, err := source(name)
		if err != nil {
			return nil, err
		}
		all[name] = newScript(name, prelude+body)
	}
	for _, name := range []lua{registerLua, announceLua, withdrawLua} {
		body, err := source(name)
		if err != nil {
			return nil, err
		}
		all[name] = newScript(name, body)
	}
	return all, nil
}

func newScript(name lua, text string) *script {
	sum := sha1.Sum([]byte(text)) //nolint:gosec // Redis names scripts by it
	return &script{name: name, text: text, sha: hex.EncodeToString(sum[:])}
}

// preludeOf is what scripts of a namespace begin with: the rules, in ms,
// whether slots may move, and what the scripts share. Comments stay on this side of the wire.
func preludeOf(rules *lock.Rules, where topology) (string, error) {
	var b strings.Builder
	for _, c := range []struct {
		name  string
		value time.Duration
	}{
		{"AGING", time.Duration(rules.Aging)},
		{"OFFER", rules.OfferTimeout},
		{"POLL", rules.PollOfferTimeout},
		{"ENDED", rules.Ended},
		{"IDEMPOTENCY", rules.Idempotency},
		{"EVENTS", rules.Events},
	} {
		fmt.Fprintf(&b, "local %s = %d\n", c.name, milliseconds(c.value))
	}
	fmt.Fprintf(&b, "local CLUSTER = %t\n", where == cluster)
	for _, name := range []lua{"prelude", "standing"} {
		body, err := source(name)
		if err != nil {
			return "", err
		}
		b.WriteString(body)
	}
	return b.String(), nil
}

// source is one file without comments, blank lines and indentation.
func source(name lua) (string, error) {
	raw, err := sources.ReadFile("scripts/" + string(name) + ".lua")
	if err != nil {
		return "", fmt.Errorf("script %s: %w", name, err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(raw)) {
		code, _, _ := strings.Cut(line, "--")
		if code = strings.TrimSpace(code); code != "" {
			b.WriteString(code)
			b.WriteByte('\n')
		}
	}
	return b.String(), nil
}

// milliseconds rounds up, so that no positive length is cut to nothing.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
