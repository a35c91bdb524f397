package lock

import (
	"crypto/rand"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"time"
)

// ID names one request and, later, its lock: a ULID in its text form. Its 80
// bits of randomness say where the request lives:
//
//	 48 bits             32 bits                48 bits
//	┌───────────────────┬──────────────────────┬─────────────────────┐
//	│ milliseconds 1970 │ Tag of the namespace │ serial of the maker │
//	└───────────────────┴──────────────────────┴─────────────────────┘
//
// so that a store which keeps each namespace in another place finds a request by
// its id alone. Ids that [IDs] makes for one namespace within one millisecond
// ascend.
type ID string

const (
	idAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // Crockford's base 32
	idLength   = 26
	serialBits = 48
)

// NewID makes the id of a request in a namespace. Of serial the low 48 bits
// count; no two ids of one namespace and millisecond may have the same.
func NewID(ns Namespace, now time.Time, serial uint64) ID {
	high := uint64(now.UnixMilli())<<16 | uint64(ns.Tag())>>16
	low := uint64(ns.Tag())<<serialBits | serial&(1<<serialBits-1)
	var text [idLength]byte
	for i := idLength - 1; i >= 0; i-- {
		text[i] = idAlphabet[low&31]
		low = low>>5 | high<<59
		high >>= 5
	}
	return ID(text[:])
}

// Tag is the tag of the namespace that the id was made for. It means nothing
// when the id has a [ID.Fault].
func (i ID) Tag() uint32 {
	if len(i) != idLength {
		return 0
	}
	var bits uint64 // characters 10 to 16 carry the 32 bits and three of the serial
	for _, c := range []byte(i[10:17]) {
		bits = bits<<5 | uint64(max(strings.IndexByte(idAlphabet, c), 0))
	}
	return uint32(bits >> 3)
}

// Tag is a hash of the namespace. Few namespaces share one.
func (n Namespace) Tag() uint32 {
	const basis, prime = 2166136261, 16777619 // FNV-1a
	h := uint32(basis)
	for _, b := range []byte(n) {
		h = (h ^ uint32(b)) * prime
	}
	return h
}

// IDs makes ids that no other maker makes. It is safe for concurrent use.
type IDs struct {
	serial atomic.Uint64
}

// NewIDs makes a maker whose serials begin at a random place: the ranges of two
// makers that issue a billion ids each meet with a chance of one in 140,000, and
// only ids of the same millisecond and namespace would then be equal.
func NewIDs() *IDs {
	var seed [8]byte
	rand.Read(seed[:]) // never fails, it says
	ids := &IDs{}
	ids.serial.Store(binary.LittleEndian.Uint64(seed[:]) >> (64 - serialBits + 1))
	return ids
}

// Next makes one id.
func (m *IDs) Next(ns Namespace, now time.Time) ID { return NewID(ns, now, m.serial.Add(1)) }
