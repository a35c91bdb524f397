// Package settings fills a configuration struct from a YAML file, the
// environment and flags, and can say where every value came from.
//
// It knows the struct's yaml tags and nothing of what the values mean: ranges
// and combinations are the business of the struct's owner, who hands its faults
// to [Loaded.Explain].
//
// # Guarantees
//
// A later layer wins: defaults, file, environment, flags. A key that the struct
// does not have is an error, in the file as in the environment: there, a
// variable counts when it begins with the prefix and one of the top-level keys
// (LOCKGATE_HTTP_…), so that variables which a container platform adds do no
// harm. Lists and maps are replaced by a later layer, not merged.
//
// # Failure
//
// An error about the file begins with file:line:column and shows the line with a
// caret. An error about the environment or a flag names the variable or the flag
// and repeats no value.
//
// # Testing
//
// Everything that comes from outside is in [Sources].
package settings
