// Package policies holds the rego that Lockgate ships, as files to copy and as
// an embedded file system.
//
// Package policy compiles [Aggregator] into every generation and evaluates the
// profile [Open] when no policy folder is configured. This package decides
// nothing itself.
//
// # Layout
//
//	lockgate/main.rego        the aggregator: data.lockgate.decision
//	lockgate/policy/*.rego    what a platform team starts from
//	lockgate/lib/*.rego       functions those share
//	lockgate/test/*.rego      their tests
//	facts/data.json           facts to replace by one's own
//	profiles/open/*.rego      grants everything, for the first five minutes
//
// Copy lockgate and facts into a folder of your own and name it as policy.dir.
//
// # Testing
//
// `opa test .` runs the tests, here and in a copy. The tests of package policy
// run them with strict builtin errors, and again with each rule deleted in turn.
package policies

import (
	"embed"
	"io/fs"
)

//go:embed lockgate facts profiles
var files embed.FS

// AggregatorPath is where a policy folder may hold a copy of [Aggregator].
const AggregatorPath = "lockgate/main.rego"

// Files answers everything that is shipped.
func Files() fs.FS { return files }

// Open answers the profile that grants every action and every level asked for,
// within limits.
func Open() (fs.FS, error) { return fs.Sub(files, "profiles/open") }

// Aggregator answers the source of package lockgate.
func Aggregator() ([]byte, error) { return files.ReadFile(AggregatorPath) }
