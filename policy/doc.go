// Package policy decides by rego who may lock what, with which priority and for
// how long.
//
// The orchestrator asks an [Engine] one [lock.Question] a call and gets one
// [lock.Decision]; the API reads [Engine.Status], [Engine.Entry] and
// [Engine.Entries]. The package does not touch the lock table: what policies may
// know of it comes with the question when [Engine.Needs] says so. It loads no
// bundles and verifies no signatures.
//
// # Guarantees
//
// A decision is a pure function of its input, the facts and the operator's
// enforcement modes: policies have no clock, no randomness and no network. So it
// is remembered, by exactly those values of the input that OPA's dependency
// analysis says a policy can read; what no policy reads is not even built.
//
// What rego lets through silently as an allow is refused when it is loaded, with
// file, line and column: reserved names of the wrong form or type, near misses
// of them, unknown values of closed fields, fields and rules that are not there,
// data outside data.facts, a second package lockgate, and whatever an
// organisation was not given.
//
// A generation (policies, facts, prepared queries, memo) never changes. A reload
// makes another one and swaps a pointer: a decision sees one generation from
// beginning to end, and nothing waits.
//
// The algebra over what policies say is done here; the shipped aggregator,
// data.lockgate.decision in package policies, answers the same.
//
// # Life
//
//	New ── loads the first generation ──► Decide, at any time, from anywhere
//	Run ── follows policy.dir until its context ends
//
//	file event or scan ──► read ──► unchanged: nothing
//	                         │
//	                         ▼
//	                  parse, compile, check, prepare ──► swap
//	                         │
//	                         ▼ fault
//	                  the last good generation stays; log, metric, Status, OnReload
//
// # Failure
//
// [New] and [Engine.Reload] answer a *[LoadError]. [Engine.Decide] fails closed
// with *[lock.PolicyError]: a builtin error, a conflict, a contribution of the
// wrong type, more than the budget, an input or result above 64 KiB, or facts of
// the lock table that were not given. A context that cannot be read is the
// caller's *[lock.InvalidError].
//
// # Testing
//
// A property test holds remembered verdicts against fresh evaluations and both
// against the shipped aggregator. The tests of the shipped policies run again
// with each rule deleted in turn.
package policy
