// Package wire holds the JSON types of the HTTP API, shared by the server and
// its clients. Standard library only.
//
// Times are RFC 3339 in UTC with milliseconds, durations Go strings ("90s"),
// tokens integers below 2^53. The OpenAPI document openapi.yaml beside this
// file describes the same; a test of the gateway holds every route and every
// response to it.
package wire
