// Package terraform is the door for Terraform's and OpenTofu's http backend: it
// turns their LOCK and UNLOCK calls on /terraform/{namespace}/{state} into
// requests for the resource terraform/{state}, owned by terraform:{lock ID}.
//
// An application mounts it on the gateway with [Door.Mount]. It stores no state
// files: reading and writing state is answered 501. It decides nothing: who may
// lock and who may break a lock is policy's answer.
//
// # Guarantees
//
// LOCK and UNLOCK may be repeated with the same ID: the answer is 200 again. A
// LOCK that finds the state locked is answered 423 with the holder's LockInfo
// and leaves a place in the queue, which it finds again when the same ID comes
// back before the place lapses; see [place] for how long that is. A lock has no
// lease: it is held until it is unlocked. The lock of one subject is never given
// to another one that sends the same ID, nor released by it: that is force_release
// and needs policy's leave.
//
// # Life
//
// New builds. There is nothing to run and nothing in memory: a lock taken
// through one gateway is unlocked through any other, also after a restart.
//
// # Failure
//
// Terraform shows no body of a refusal, only its status. A denial is 403, is
// logged with its reasons, and is an event lock_denied and an entry of the
// decision log like any other. A full queue is 423, not 429, so that
// -lock-timeout goes on trying.
//
// # Testing
//
// The tests speak HTTP to a gateway on the embedded store and, where the binary
// is installed, let the real terraform do it.
package terraform
