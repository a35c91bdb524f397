package lock

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of what one request may carry.
const (
	MaxKeyBytes       = 512
	MaxNamespaceBytes = 200
	MaxOwnerBytes     = 256
	MaxResources      = 256
	MaxAttachedBytes  = 16 << 10 // labels and context together
	MaxReasonBytes    = 1 << 10  // the reason of a forced release
)

// DefaultNamespace is the namespace of a request that names none.
const DefaultNamespace Namespace = "default"

// SystemNamespace is the namespace of events that are about no lock. Nothing
// can be locked in it.
const SystemNamespace Namespace = "lockgate.system"

// Namespace groups resources whose transitions are atomic together. 1 to 200
// bytes.
type Namespace string

// Key names what is locked, such as "acme/infra/vpc/default/". 1 to 512 bytes of
// UTF-8 without control characters.
type Key string

// Owner is who a lock is for, such as "atlantis:acme/infra#42". 1 to 256 bytes.
// Owners of different namespaces that are spelled alike are the same owner.
type Owner string

// Token is the fencing token of a held lock: larger for every later grant in a
// namespace, below 2^53, 0 while nothing was granted.
type Token int64

// Fault says what is wrong with a namespace, or "".
func (n Namespace) Fault() string { return textFault(string(n), MaxNamespaceBytes) }

// Fault says what is wrong with a key, or "".
func (k Key) Fault() string { return textFault(string(k), MaxKeyBytes) }

// Fault says what is wrong with an owner, or "".
func (o Owner) Fault() string { return textFault(string(o), MaxOwnerBytes) }

// Kind is the part of an owner before its first colon, such as "atlantis", or
// "" when it has none.
func (o Owner) Kind() string {
	kind, _, found := strings.Cut(string(o), ":")
	if !found {
		return ""
	}
	return kind
}

// Fault says what is wrong with an id, or "". An id is 26 characters of
// Crockford's base 32 in upper case, the first at most 7.
func (i ID) Fault() string {
	if len(i) != idLength || i[0] > '7' {
		return "is no ULID (26 characters of Crockford base 32)"
	}
	for j := range len(i) {
		if strings.IndexByte(idAlphabet, i[j]) < 0 {
			return "is no ULID (26 characters of Crockford base 32)"
		}
	}
	return ""
}

// textFault checks the length in bytes, the encoding, and that no control
// character could break a log line or a terminal.
func textFault(s string, limit int) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > limit:
		return "is longer than " + strconv.Itoa(limit) + " bytes"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	}
	for _, r := range s {
		if r < 0x20 || (r >= 0x7f && r < 0xa0) {
			return "has a control character"
		}
	}
	return ""
}
