package main

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"regexp"
)

// trace is the W3C trace that all calls of one run belong to.
type trace struct {
	parent string // traceparent
	state  string // tracestate
}

// traceOf takes TRACEPARENT and TRACESTATE from the environment, or starts a
// trace.
func traceOf(getenv func(string) string) trace {
	parent := getenv("TRACEPARENT")
	if validParent(parent) {
		return trace{parent: parent, state: getenv("TRACESTATE")}
	}
	var id [24]byte
	_, _ = rand.Read(id[:]) // never fails, as its documentation says
	return trace{parent: "00-" + hex.EncodeToString(id[:16]) + "-" + hex.EncodeToString(id[16:]) + "-01"}
}

// validParent reports whether a text is a traceparent of version 00.
func validParent(text string) bool {
	fields := regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$`).FindStringSubmatch(text)
	return fields != nil && fields[1] != "00000000000000000000000000000000" && fields[2] != "0000000000000000"
}

func (t trace) set(h http.Header) {
	h.Set("Traceparent", t.parent)
	if t.state != "" {
		h.Set("Tracestate", t.state)
	}
}
