// Package app puts a gateway together: it is the one place that knows every
// part.
//
// A caller loads a [Config], hands it to New and calls Run. Tests do the same in
// their own process, on port 0.
//
// # Guarantees
//
// New answers every fault of the configuration at once, opens the store, loads
// the policies and binds the address, so that what can be refused is refused
// before anything is served. Nothing is exported to a tracing backend unless the
// OTEL_* variables ask for it.
//
// # Life
//
//	New ──► Run: store ──► policy ──► orchestrator ──► http ──► Ready
//	                 (started in this order, stopped in reverse)
//
// Readiness is the state of all four. When the store, the orchestrator or the
// HTTP server ends, Run stops the others and answers why.
//
// # Failure
//
// An error of New or Run is one sentence a fault, fit to be shown to who started
// the gateway.
//
// # Testing
//
// Backend memory: keeps nothing; Addr answers the port that was picked.
package app
