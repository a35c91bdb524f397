// Package component runs the long-lived parts of a process under supervision
// and says how each of them is.
//
// A caller hands New the parts in the order in which they need each other, and
// calls Run once. The package knows nothing of what the parts do, and does not
// decide what a request gets while one of them is down.
//
// # Guarantees
//
// Parts start in order: the next one starts when the one before it was found
// healthy, or has failed, or was given the component timeout to get there. They
// stop in reverse order, each one only after the later ones have ended. A part
// is never run twice at the same time. Every change of a state is reported once,
// in the order in which it happened.
//
// # Life
//
//	          first check passes        check says Degraded
//	starting ────────────────► healthy ◄───────────────────► degraded
//	   │ ▲                        │  ▲                          │
//	   │ │ restart                │  │ check passes             │
//	   ▼ │                        ▼  │                          ▼
//	  error ◄───────── Run failed, or a check fails ────────────┘
//
//	any state ── Run's context ends ──► stopped
//
// # Failure
//
// A part whose Run fails, panics or returns by itself is run again at once, and
// after five failures in short order every quarter of a minute, when
// auto_restart is set; else it stays in state error. A part that is Vital cannot
// be run again: its failure stops the others and is what Run answers. A failing
// check changes the state and restarts nothing, since what it usually finds is
// somebody else's outage.
//
// # Testing
//
// Time comes from package time only, so that tests run in testing/synctest.
package component
