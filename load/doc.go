// Package load drives a running gateway through its HTTP API and measures what
// it does, for `gateway bench`.
//
// A [Target] is anything that answers POST /v1/locks and DELETE /v1/locks/{id}:
// a gateway, or the bare handler that it is compared with. Each scenario runs a
// number of clients that do nothing but the calls, with keep-alive connections,
// for a given time. Figures of one run are comparable with each other, not with
// those of another machine or another day.
package load
