// Package redis keeps the lock table in Redis, 6.2 or newer: one server,
// Sentinel or Cluster, shared by any number of gateways.
//
// A caller hands New the URL and the rules, runs Run, and uses the Store as
// orchestrator.Store. The package decides nothing about locks itself: every
// transition is one Lua script of scripts/, and the scripts do exactly what
// package embedded does, which the differential test holds them to.
//
// # Guarantees
//
// A transition is atomic within its namespace, whose keys share one hash tag and
// so one slot. Time is the server's and never runs backwards; tokens of a
// namespace only grow, also after another server took over, as long as the
// clocks of masters and replicas differ by less than ten seconds. Steps of one
// batch are done in order within a namespace, unless some of them must be sent
// again because their scripts were flushed or their slot moved.
//
// With durability fast a step is answered when the master has done it: a
// failover may lose it, and its token is then never given again. With durability
// replicated it is answered when as many replicas as configured have it; else a
// grant is taken back and the caller gets [lock.UnavailableError].
//
// Events of one namespace come in order. A cursor stands for a place in the log
// of the gateway that gave it, and for a time before which the reader has seen
// everything: at another gateway, or after a restart, the reader goes on from
// that time and may see some seconds of events again, but misses none that is
// still kept. What may be gone is announced by [events.Gap].
//
// # Life
//
//	New ── checks the URL, connects to nothing
//	Run ── follows the streams, sweeps what is due, keeps the index of
//	       namespaces; returns nil when ctx ends and closes the connections
//
// Calls work before Run, but nobody sweeps and no event comes; calls after Run
// has ended answer [lock.UnavailableError].
//
// # Failure
//
// A step whose server did not answer has the outcome [lock.UnavailableError]; it
// may or may not have happened, and every step may be handed over again. When
// nothing of a batch was answered Apply itself answers the error.
//
// # Testing
//
// Package redistest starts real servers. The suite of storetest, the differential
// test and the linearizability test need redis-server, which `make test`
// installs.
package redis
