// Package policy decides by rego who may lock what, with which priority and for
// how long.
//
// The orchestrator asks an [Engine] one [lock.Question] a call and gets one
// [lock.Decision]; the API reads [Engine.Status], [Engine.Entry] and
// [Engine.Entries]. The package does not touch the lock table: what policies may
// know of it comes with the question when [Engine.Needs] says so.
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
// organisation was not given. Then the candidate's own tests run, and typical
// requests are decided with and without OPA's rule index: a policy that cannot
// answer one of them, or answers differently, is refused too.
//
// One organisation's mistakes stay its own: a fault in its files puts it back
// to its own last good files, or closes it when there are none; while its package
// is slow it gets one evaluation at a time, and after three timeouts in ten
// seconds none until the package changes.
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
//	Run ── follows the policies, asks the candidate, writes the decision log
//
//	file event, scan or poll ──► read ──► unchanged: nothing
//	                               │
//	                               ▼
//	      parse, compile, check, prepare, test, golden inputs ──► swap ──► kept on disk
//	                               │                     ▲
//	                               │ an organisation's   │
//	                               ├─ fault: its last good files instead
//	                               ▼ the platform's fault
//	      the last good generation stays; log, metric, Status, OnReload
//
// Policies come from the shipped profile, a folder, or an OPA bundle: a file or a
// URL that is asked again by ETag, later and later while it fails. Bundles are
// held against a public key where one is configured. What is in force is kept in
// policy.cache_dir, so a restart without the bundle's server decides as before.
//
// policy.shadow names a candidate: it is asked what was decided live, after the
// answer was given. What it would change is logged and counted, never enforced;
// when it is behind, decisions are left out and counted.
//
// A decision waits neither for the log's file nor for its server: events that
// find no room are lost and counted. What the masks name is taken out before an
// event is shown or written.
//
// # Failure
//
// [New] and [Engine.Reload] answer a *[LoadError]. [Engine.Decide] fails closed
// with *[lock.PolicyError]: a builtin error, a conflict, a contribution of the
// wrong type, more than the budget, an input or result above 64 KiB, or facts of
// the lock table that were not given. A context that cannot be read is the
// caller's *[lock.InvalidError]. PolicyError.Quarantined says that an
// organisation's package was not asked, because it is closed or too slow.
//
// # Testing
//
// A property test holds remembered verdicts against fresh evaluations and both
// against the shipped aggregator. The tests of the shipped policies run again
// with each rule deleted in turn.
package policy
