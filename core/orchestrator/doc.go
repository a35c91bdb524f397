// Package orchestrator coordinates one gateway.
package orchestrator
