// Package e2e tests the two binaries as their users run them: real processes,
// real HTTP, real files. It has tests only.
package e2e
