// Package gateway is the HTTP door of Lockgate: it decodes and authenticates
// calls, bounds them, hands them to the orchestrator and writes what it answers
// as JSON or as an RFC 9457 problem.
//
// It decides nothing about locks: admission, policy and the lock table are the
// orchestrator's. Other doors that speak HTTP (the Terraform one) mount their
// routes with [Options.Mounts] and share authentication, limits, tracing and
// [WriteError].
//
// # Guarantees
//
// Every body, list, wait and header that a caller controls has a bound. A
// fencing token is shown to the subject that made the request and to role
// admin, to nobody else. An error without a place in errors.go is answered as
// 500 and its text stays in the log. Credentials are never logged.
//
// # Life
//
//	New ──► Listen ──► Run(ctx) ──ctx ends──► drain (shutdown_grace) ──► nil
//
// New checks and builds; Listen binds the address; Run serves. While it drains,
// /readyz answers 503, calls under way finish, and calls that only wait are
// answered 503 with Retry-After: their requests keep their place in the queue.
//
// # Failure
//
// Listen answers one sentence when the address is taken. A tokens file that
// cannot be read at start is an error of New; at a reload the last good one
// stays.
//
// # Testing
//
// [Server.Handler] serves without a socket.
package gateway
