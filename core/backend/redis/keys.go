package redis

import (
	"strings"

	"github.com/lockgate/lockgate/core/lock"
)

// keyspace makes every key that gateways name. Each begins with the namespace's
// stem `lg:{<namespace>}:`, whose braces make it one slot; scripts build the
// others from the stem of their KEYS[1] (scripts/prelude.lua):
//
//	c          hash    clock: time last seen, last token, counters; line and epoch of the server
//	r:<id>     hash    one request
//	h:<key>    hash    holders and offers of a resource
//	q:<key>    zset    its waiters by score
//	e:<key>    zset    the exclusive ones of them
//	k          zset    resources in use, by key
//	x          zset    whatever ends by itself, by deadline
//	l, z       zset    live and ended requests, by id
//	o:<owner>  set     the owner's live requests
//	w:<1…4>    zset    waiters of a priority by age
//	n          hash    held locks of each subject
//	i:<key>    string  idempotency key → id and hash of the body
//	ev         stream  events
type keyspace struct {
	prefix string
}

// index is the zset of namespaces by when they were last announced, in µs.
func (k keyspace) index() string { return k.prefix + ":namespaces" }

func (k keyspace) clock(ns lock.Namespace) string { return k.stem(ns) + "c" }

func (k keyspace) events(ns lock.Namespace) string { return k.stem(ns) + "ev" }

// stem escapes braces: a namespace must neither end the hash tag nor empty it.
func (k keyspace) stem(ns lock.Namespace) string {
	return k.prefix + ":{" + strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D").Replace(string(ns)) + "}:"
}
