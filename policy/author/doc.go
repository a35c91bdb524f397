// Package author holds what people who write policies need before a gateway
// loads them: tests with coverage and mutants, formatting, a policy to start
// from, and the difference between two folders.
//
// It answers values; how they are printed is the command's. Whether a folder
// would be loaded is asked of policy.NewCandidate, not here.
//
// # Failure
//
// What cannot be parsed or compiled is a *policy.LoadError or OPA's own
// ast.Errors, both with file, line and column. A failing test and a surviving
// mutant are results, not errors.
//
// # Testing
//
// The shipped policies are the test bed: every mutant of theirs must die.
package author
