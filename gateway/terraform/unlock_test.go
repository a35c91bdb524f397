package terraform_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestUnlock_byItsHolderIsARelease(t *testing.T) {
	for name, body := range map[string]string{"LockInfo": info("run-1"), "only ID": bare("run-1")} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				t := r.t
				r.locked(ann, "run-1")
				r.policy.set(func(_ *lock.Question, d *lock.Decision) { deny(d, "nobody is asked") })
				require.Equal(t, http.StatusOK, r.call(ann, "UNLOCK", vpc, body).status)
				all := r.events()
				require.Equal(t, events.LockReleased, all[len(all)-1].Type)
				require.Empty(t, all[len(all)-1].By)
				require.Equal(t, http.StatusOK, r.call(ann, "UNLOCK", vpc, body).status, "again")
				require.Len(t, r.events(), len(all))
			})
		})
	}
}

func TestUnlock_handsOverToTheNextInTheQueue(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		r.refused(r.lock(bob, "run-2"))
		require.Equal(t, http.StatusOK, r.unlock(ann, "run-1").status)
		require.Equal(t, lock.Offered, r.of("run-2").State)
		r.locked(bob, "run-2")
	})
}

func TestUnlock_whileWaitingGivesUpThePlace(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		r.refused(r.lock(bob, "run-2"))
		require.Equal(t, http.StatusOK, r.unlock(bob, "run-2").status)
		require.Len(t, r.requests(), 1)
	})
}

func TestUnlock_byAnotherSubjectBreaksTheLockIfPolicyAllows(t *testing.T) {
	for name, body := range map[string]string{
		"LockInfo":         info("run-1"),
		"ID and Operation": `{"ID":"run-1","Operation":"OperationTypeApply"}`,
		"only ID":          bare("run-1"),
		"empty body":       "",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				t := r.t
				r.locked(ann, "run-1")
				r.policy.set(denyAction(lock.ActForceRelease, "ask the platform team"))
				p := r.problem(r.call(bob, "UNLOCK", vpc, body), http.StatusForbidden)
				require.Contains(t, p.Detail, "ask the platform team")
				require.Contains(t, r.log.String(), "ask the platform team")
				require.Equal(t, lock.Held, r.of("run-1").State)

				r.policy.set(nil)
				require.Equal(t, http.StatusOK, r.call(bob, "UNLOCK", vpc, body).status)
				require.Equal(t, lock.ActForceRelease, r.policy.last().Action)
				all := r.events()
				last := all[len(all)-1]
				require.Equal(t, events.LockRevoked, last.Type)
				require.Equal(t, bob, last.By)
				require.Equal(t, "terraform force-unlock", last.Reason)
			})
		})
	}
}

func TestUnlock_ofAnotherSubjectsPlaceInTheQueueIsForceToo(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		r.refused(r.lock(ann, "run-2"))
		r.policy.set(denyAction(lock.ActForceRelease, "ask the platform team"))
		r.problem(r.unlock(bob, "run-2"), http.StatusForbidden)
		require.Equal(t, lock.Queued, r.of("run-2").State)
	})
}

func TestUnlock_emptyBodyAsksPolicyEvenForOnesOwnLock(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		require.Equal(t, http.StatusOK, r.call(ann, "UNLOCK", vpc, "").status)
		require.Equal(t, lock.ActForceRelease, r.policy.last().Action)
	})
}

func TestUnlock_emptyBodyBreaksWhateverHoldsThenWhateverIsOffered(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		r.refused(r.lock(ann, "run-2"))
		require.Equal(t, http.StatusOK, r.call(bob, "UNLOCK", vpc, "").status)
		require.Equal(t, lock.Offered, r.of("run-2").State)
		require.Equal(t, http.StatusOK, r.call(bob, "UNLOCK", vpc, "").status)
		require.Empty(t, r.requests())
		p := r.problem(r.call(bob, "UNLOCK", vpc, ""), http.StatusNotFound)
		require.Equal(t, "this state is not locked", p.Detail)
	})
}

func TestUnlock_tellsAHolderThatItsLockWasBroken(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		require.Equal(t, http.StatusOK, r.call(bob, "UNLOCK", vpc, bare("run-1")).status)
		require.Equal(t, http.StatusOK, r.call(bob, "UNLOCK", vpc, bare("run-1")).status, "again")
		p := r.problem(r.unlock(ann, "run-1"), http.StatusConflict)
		require.Equal(t, wire.CodeStaleToken, p.Code)
	})
}

func TestUnlock_breaksTheLockOfAnotherDoorByTheIDThatTheRefusalShowed(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		_, err := r.orch.Acquire(t.Context(), &lock.Caller{Subject: lock.Subject{ID: bob}}, &orchestrator.Request{
			Namespace: "acme/infra", Owner: "ci:7", Resources: []lock.Resource{{Key: "terraform/vpc"}},
		})
		require.NoError(t, err)
		shown := r.refused(r.lock(ann, "run-1")).ID
		require.Equal(t, http.StatusOK, r.call(ann, "UNLOCK", vpc, bare(shown)).status)
		require.Equal(t, lock.ActForceRelease, r.policy.last().Action)
		r.locked(ann, "run-1")
	})
}

func TestUnlock_ofAnUnknownIDLeavesTheHolderAlone(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		p := r.problem(r.unlock(ann, "run-9"), http.StatusNotFound)
		require.Contains(t, p.Detail, "no lock of this state has this ID")
		require.Equal(t, lock.Held, r.of("run-1").State)
	})
}

func TestUnlock_afterARestartOfTheGateway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "locks.db")
	before := start(t, setup{path: path})
	before.locked(ann, "run-1")
	before.refused(before.lock(bob, "run-2"))
	before.stop()

	after := start(t, setup{path: path})
	after.locked(ann, "run-1")
	require.Equal(t, http.StatusOK, after.unlock(ann, "run-1").status)
	after.locked(bob, "run-2")
	require.Equal(t, http.StatusOK, after.unlock(ann, "run-1").status, "again")
}
