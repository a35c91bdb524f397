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

// script is one Lua script as Redis runs it.
type script struct {
	name string
	text string
	sha  string
}

// scripts are all there are. Rules are part of the text of those that work on a
// namespace: gateways with other rules have other scripts.
type scripts struct {
	acquire, confirm, refuse, renew, verify, release, revoke, reprioritize, endOwner, attend, deny *script
	sweep, undo, register, retire                                                                  *script
	get, list, queues, facts, stats                                                                *script
	announce, withdraw                                                                             *script
}

func loadScripts(rules *lock.Rules, where topology) (*scripts, error) {
	s := &scripts{}
	prelude, err := preludeOf(rules, where)
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		to      **script
		name    string
		prelude string
	}{
		{&s.acquire, "acquire", prelude},
		{&s.confirm, "confirm", prelude},
		{&s.refuse, "refuse", prelude},
		{&s.renew, "renew", prelude},
		{&s.verify, "verify", prelude},
		{&s.release, "release", prelude},
		{&s.revoke, "revoke", prelude},
		{&s.reprioritize, "reprioritize", prelude},
		{&s.endOwner, "end_owner", prelude},
		{&s.attend, "attend", prelude},
		{&s.deny, "deny", prelude},
		{&s.sweep, "sweep", prelude},
		{&s.undo, "undo", prelude},
		{&s.retire, "retire", prelude},
		{&s.get, "get", prelude},
		{&s.list, "list", prelude},
		{&s.queues, "queues", prelude},
		{&s.facts, "facts", prelude},
		{&s.stats, "stats", prelude},
		{&s.register, "register", ""},
		{&s.announce, "announce", ""},
		{&s.withdraw, "withdraw", ""},
	} {
		body, err := source(f.name)
		if err != nil {
			return nil, err
		}
		*f.to = newScript(f.name, f.prelude+body)
	}
	return s, nil
}

// all lists the scripts that a server must know.
func (s *scripts) all() []*script {
	return []*script{
		s.acquire, s.confirm, s.refuse, s.renew, s.verify, s.release, s.revoke, s.reprioritize, s.endOwner, s.attend,
		s.deny, s.sweep, s.undo, s.register, s.retire, s.get, s.list, s.queues, s.facts, s.stats, s.announce, s.withdraw,
	}
}

func newScript(name, text string) *script {
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
	for _, name := range []string{"prelude", "standing"} {
		body, err := source(name)
		if err != nil {
			return "", err
		}
		b.WriteString(body)
	}
	return b.String(), nil
}

// source is one file without comments, blank lines and indentation.
func source(name string) (string, error) {
	raw, err := sources.ReadFile("scripts/" + name + ".lua")
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
