// Package policy decides by rego who may lock what, with which priority and for
// how long.
//
// The orchestrator asks an [Engine] one [lock.Question] a call and gets one
// [lock.Decision]; app loads policies with [New] and follows changes with
// [Engine.Run]; the API reads [Engine.Status] and [Engine.Entries]. The package
// does not touch the lock table: what policies may know of it comes with the
// question when [Engine.Needs] says so.
package policy
