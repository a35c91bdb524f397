package gateway

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"strings"
)

// userInfo is the part of a URL that names a user and often holds a password or
// a token, from the slashes to the last @ of the authority. The URL may stand
// inside a longer text.
var userInfo = regexp.MustCompile(`(^|:)//[^/?#\s"<>\\]*@`)

// StripUserInfo takes user names and passwords out of the URLs in a text:
// https://bob:secret@host/x becomes https://host/x. Everything that a caller
// attaches to a request passes it before policy, events or the table see it:
// clone URLs carry tokens.
func StripUserInfo(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return userInfo.ReplaceAllString(text, "$1//")
}

// literal is a string in JSON.
var literal = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// stripJSON is StripUserInfo for every string in valid JSON; everything else
// stays as it is, to the digit.
func stripJSON(raw json.RawMessage) json.RawMessage {
	if !bytes.ContainsAny(raw, `@\`) {
		return raw
	}
	return literal.ReplaceAllFunc(raw, func(found []byte) []byte {
		var text string
		if json.Unmarshal(found, &text) != nil {
			return found
		}
		clean := StripUserInfo(text)
		if clean == text {
			return found
		}
		out, err := json.Marshal(clean)
		if err != nil {
			return []byte(`""`)
		}
		return out
	})
}

func stripLabels(labels map[string]string) map[string]string {
	out := maps.Clone(labels)
	for name, value := range out {
		out[name] = StripUserInfo(value)
	}
	return out
}
