package terraform_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/events"
	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway/terraform"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestLock_makesALockWithoutLeaseOwnedByItsID(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		got := r.lock(ann, "run-1")
		require.Equal(t, http.StatusOK, got.status, got.body)
		l := r.of("run-1")
		require.Equal(t, "/v1/locks/"+string(l.ID), got.header.Get("Location"))
		require.Equal(t, lock.Held, l.State)
		require.Equal(t, lock.Namespace("acme/infra"), l.Namespace)
		require.Equal(t, []lock.Resource{{Key: "terraform/vpc"}}, l.Resources)
		require.Equal(t, ann, l.Subject)
		require.Zero(t, l.ExpiresAt)
	})
}

func TestLock_tellsPolicyTheCommandAndWhoRunsIt(t *testing.T) {
	for operation, command := range map[string]string{
		"OperationTypePlan": "plan", "OperationTypeApply": "apply", "state-mv": "state", "taint": "state",
		"import": "import", "OperationTypeInvalid": "other",
	} {
		bubble(t, func(r *rig) {
			t := r.t
			body := strings.Replace(info("run-1"), "OperationTypeApply", operation, 1)
			body = strings.Replace(body, `"Info":""`, `"Info":"nightly"`, 1)
			require.Equal(t, http.StatusOK, r.call(ann, "LOCK", vpc, body).status)
			q := r.policy.last()
			require.Equal(t, lock.ActAcquire, q.Action)
			require.Equal(t, lock.FromTerraform, q.Caller.Source)
			require.JSONEq(t, `{"command":"`+command+`","reason":"nightly","who":"ci@runner-run-1","terraform":`+body+`}`, string(q.Context))
		})
	}
}

func TestLock_repeatedIsTheSameLock(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		first := r.of("run-1")
		r.policy.set(denyAction(lock.ActAcquire, "frozen since")) // no second decision about what is held
		r.locked(ann, "run-1")
		require.Empty(t, cmp.Diff(first, r.of("run-1")))
	})
}

func TestLock_afterUnlockWithTheSameIDLocksAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		var tokens []lock.Token
		for range 3 {
			r.locked(ann, "run-1")
			tokens = append(tokens, r.of("run-1").Token)
			require.Equal(t, http.StatusOK, r.unlock(ann, "run-1").status)
			require.Empty(t, r.requests())
		}
		require.IsIncreasing(t, tokens)
	})
}

func TestLock_contendedShowsTheHolder(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		got := r.refused(r.lock(bob, "run-2"))
		want := terraform.Info{
			ID: "run-1", Operation: "OperationTypeApply", Who: "ci@runner-run-1", Version: "1.11.4",
			Created: time.Date(2026, 11, 21, 19, 19, 8, 716402478, time.UTC), Info: got.Info,
		}
		require.Empty(t, cmp.Diff(want, got))
		require.Contains(t, got.Info, "held by terraform:run-1 since 2000-01-01T00:00:00Z")
		require.Contains(t, got.Info, "you are number 1 in the queue")
		require.Contains(t, r.refused(r.lock(bob, "run-3")).Info, "you are number 2 in the queue")
	})
}

func TestLock_contendedByAnotherDoorShowsItsOwner(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		out, err := r.orch.Acquire(t.Context(), &lock.Caller{Subject: lock.Subject{ID: bob}}, &orchestrator.Request{
			Namespace: "acme/infra", Owner: "ci:7", Resources: []lock.Resource{{Key: "terraform/vpc"}},
		})
		require.NoError(t, err)
		got := r.refused(r.lock(ann, "run-1"))
		require.Equal(t, string(out.Lock.ID), got.ID)
		require.Equal(t, "ci:7", got.Who)
		require.Equal(t, "terraform/vpc", got.Path)
		require.Equal(t, out.Lock.AcquiredAt, got.Created)
	})
}

func TestLock_contendedByAnOfferShowsTheFirstWaiter(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		r.refused(r.lock(ann, "run-2"))
		require.Equal(t, http.StatusOK, r.unlock(ann, "run-1").status)
		got := r.refused(r.lock(bob, "run-3"))
		require.Equal(t, "run-2", got.ID)
		require.Contains(t, got.Info, "offered by terraform:run-2")
	})
}

// schedule is when Terraform tries with -lock-timeout, from the first try.
func schedule() []time.Duration {
	return []time.Duration{
		time.Second, 3 * time.Second, 7 * time.Second, 15 * time.Second, 31 * time.Second, 47 * time.Second, 63 * time.Second,
	}
}

func TestLock_keepsItsPlaceOverTheRetriesOfLockTimeout(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		began := time.Now()
		r.locked(ann, "holder")
		r.refused(r.lock(ann, "first"))
		pass(10 * time.Millisecond)
		r.refused(r.lock(bob, "second"))
		queued := r.of("first")
		for _, at := range schedule() {
			pass(at - time.Since(began))
			require.Contains(t, r.refused(r.lock(ann, "first")).Info, "you are number 1 in the queue")
			require.Equal(t, queued.ID, r.of("first").ID)
			pass(10 * time.Millisecond)
			require.Contains(t, r.refused(r.lock(bob, "second")).Info, "you are number 2 in the queue")
		}
		require.Equal(t, http.StatusOK, r.unlock(ann, "holder").status)
		pass(16 * time.Second)
		r.locked(ann, "first")
		require.Equal(t, queued.ID, r.of("first").ID)
		require.Equal(t, "first", r.refused(r.lock(bob, "second")).ID)
	})
}

func TestLock_placeLapsesWhenNobodyTriesAgain(t *testing.T) {
	for tries, longest := range map[int]time.Duration{1: 3200 * time.Millisecond, 2: 4300 * time.Millisecond, 7: 20 * time.Second} {
		bubble(t, func(r *rig) {
			t := r.t
			r.locked(ann, "holder")
			began := time.Now()
			for _, at := range append([]time.Duration{0}, schedule()...)[:tries] {
				pass(at - time.Since(began))
				r.refused(r.lock(bob, "waiter"))
			}
			left := time.Until(r.of("waiter").AliveUntil)
			require.LessOrEqual(t, left, longest)
			pass(left + time.Millisecond)
			require.Len(t, r.requests(), 1, "only the holder")
			r.refused(r.lock(bob, "waiter")) // late: a new place, behind the others
			require.Equal(t, lock.Queued, r.of("waiter").State)
		})
	}
}

func TestLock_withTheIDOfAnotherSubjectIsRefused(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		require.Contains(t, r.refused(r.lock(bob, "run-1")).Info, "belongs to another subject")
		r.refused(r.lock(ann, "run-2"))
		require.Contains(t, r.refused(r.lock(bob, "run-2")).Info, "belongs to another subject")
		require.Len(t, r.requests(), 2)
		require.Equal(t, http.StatusOK, r.unlock(ann, "run-1").status)
		require.Equal(t, lock.Offered, r.of("run-2").State)
		r.refused(r.lock(bob, "run-2"))
		r.locked(ann, "run-2")
	})
}

func TestLock_deniedSaysWhyInBodyLogAndEvent(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.policy.set(denyAction(lock.ActAcquire, "apply is frozen until Monday"))
		p := r.problem(r.lock(ann, "run-1"), http.StatusForbidden)
		require.Equal(t, wire.CodeDenied, p.Code)
		require.Contains(t, p.Detail, "apply is frozen until Monday")
		require.Contains(t, r.log.String(), "apply is frozen until Monday")
		require.Contains(t, r.log.String(), "decision_id=decision")
		all := r.events()
		require.Len(t, all, 1)
		require.Equal(t, events.LockDenied, all[0].Type)
		require.Equal(t, lock.Owner("terraform:run-1"), all[0].Lock.Owner)
	})
}

func TestLock_deniedAtTheGrantGivesUpThePlace(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		r.refused(r.lock(bob, "run-2"))
		require.Equal(t, http.StatusOK, r.unlock(ann, "run-1").status)
		r.policy.set(func(q *lock.Question, d *lock.Decision) {
			if q.Stage == lock.AtGrant {
				deny(d, "frozen meanwhile")
			}
		})
		require.Contains(t, r.problem(r.lock(bob, "run-2"), http.StatusForbidden).Detail, "frozen meanwhile")
		require.Empty(t, r.requests())
	})
}

func TestLock_whenPolicyAllowsNoWaitSaysSo(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.policy.set(func(_ *lock.Question, d *lock.Decision) { d.Limits.Wait = new(time.Duration) })
		r.locked(ann, "run-1")
		got := r.refused(r.lock(bob, "run-2"))
		require.Equal(t, "run-1", got.ID)
		require.Contains(t, got.Info, "you are not in the queue")
		require.Len(t, r.requests(), 1)
	})
}

func TestLock_withAFullQueueIsLockedSoThatTerraformTriesAgain(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.policy.set(func(_ *lock.Question, d *lock.Decision) { d.Limits.Queue = new(1) })
		r.locked(ann, "run-1")
		r.refused(r.lock(bob, "run-2"))
		got := r.refused(r.lock(bob, "run-3"))
		require.Equal(t, "run-1", got.ID)
		require.Contains(t, got.Info, "is full (1 requests)")
	})
}

func TestLock_showsNobodyTheControlCharactersOfOthers(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		body := strings.Replace(info("run-1"), `ci@runner-run-1`, `ci\u001b[2J@runner`, 1)
		require.Equal(t, http.StatusOK, r.call(ann, "LOCK", vpc, body).status)
		require.Equal(t, "ci [2J@runner", r.refused(r.lock(bob, "run-2")).Who)
	})
}

func TestLock_refusesWhatIsNoLockInfo(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		status int
		detail string
	}{
		"empty body":    {"", http.StatusUnprocessableEntity, "LockInfo is expected"},
		"no JSON":       {"lock, please", http.StatusUnprocessableEntity, "no LockInfo"},
		"no ID":         {`{"Who":"ann"}`, http.StatusUnprocessableEntity, "/ID is empty"},
		"a state":       {`{"version":4,"serial":3}`, http.StatusUnprocessableEntity, "no LockInfo"},
		"long ID":       {info(strings.Repeat("x", 129)), http.StatusUnprocessableEntity, "longer than 128 bytes"},
		"control in ID": {strings.Replace(info("ab"), `"ab"`, `"a\u0001b"`, 1), http.StatusUnprocessableEntity, "/ID"},
		"bad time":      {`{"ID":"x","Created":"yesterday"}`, http.StatusUnprocessableEntity, "no LockInfo"},
		"two values":    {info("x") + info("y"), http.StatusUnprocessableEntity, "no LockInfo"},
		"large":         {strings.Replace(info("x"), `"Info":""`, `"Info":"`+strings.Repeat("x", 9000)+`"`, 1), http.StatusRequestEntityTooLarge, "8192"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				t := r.t
				require.Contains(t, r.problem(r.call(ann, "LOCK", vpc, c.body), c.status).Detail, c.detail)
				require.Empty(t, r.events())
			})
		})
	}
}

func TestLock_passesOverMembersOfLaterVersions(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		body := strings.Replace(info("run-1"), `{`, `{"Workspace":"default",`, 1)
		require.Equal(t, http.StatusOK, r.call(ann, "LOCK", vpc, body).status)
	})
}

func TestLock_needsToKnowWhoCalls(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.problem(r.lock("", "run-1"), http.StatusUnauthorized)
		r.problem(r.lock("mallory", "run-1"), http.StatusUnauthorized)
		require.Empty(t, r.events())
	})
}

func TestAddress_namespaceIsTheFirstSegmentUnescaped(t *testing.T) {
	for path, want := range map[string]lock.Lock{
		"/terraform/acme%2Finfra/vpc":          {Namespace: "acme/infra", Resources: []lock.Resource{{Key: "terraform/vpc"}}},
		"/terraform/acme/infra/vpc":            {Namespace: "acme", Resources: []lock.Resource{{Key: "terraform/infra/vpc"}}},
		"/terraform/acme%2Finfra/eu%20west/a/": {Namespace: "acme/infra", Resources: []lock.Resource{{Key: "terraform/eu west/a/"}}},
		"/terraform/a%252Fb/c%2Fd":             {Namespace: "a%2Fb", Resources: []lock.Resource{{Key: "terraform/c/d"}}},
	} {
		bubble(t, func(r *rig) {
			t := r.t
			require.Equal(t, http.StatusOK, r.call(ann, "LOCK", path, info("run-1")).status)
			held := r.events()[0].Lock
			require.Equal(t, want.Namespace, held.Namespace)
			require.Equal(t, want.Resources, held.Resources)
		})
	}
}

func TestAddress_withoutNamespaceOrStateIsExplained(t *testing.T) {
	for _, path := range []string{"/terraform/acme", "/terraform/acme/", "/terraform//vpc", "/terraform/", "/terraform/acme/" + strings.Repeat("x", 513)} {
		bubble(t, func(r *rig) {
			t := r.t
			p := r.problem(r.call(ann, "LOCK", path, info("run-1")), http.StatusUnprocessableEntity)
			require.NotEmpty(t, p.Errors, p.Detail)
			require.Empty(t, r.events())
		})
	}
}

func TestMethods_putLocksAndDeleteUnlocks(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		require.Equal(t, http.StatusOK, r.call(ann, http.MethodPut, vpc, info("run-1")).status)
		require.Equal(t, lock.Held, r.of("run-1").State)
		require.Equal(t, http.StatusOK, r.call(ann, http.MethodDelete, vpc, info("run-1")).status)
		require.Empty(t, r.requests())
	})
}

// A backend whose address points here deletes its state with an empty DELETE.
func TestMethods_deleteWithoutLockInfoBreaksNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		r.locked(ann, "run-1")
		for _, path := range []string{vpc, vpc + "?ID=run-1"} {
			for _, subject := range []string{ann, bob} {
				p := r.problem(r.call(subject, http.MethodDelete, path, ""), http.StatusUnprocessableEntity)
				require.Contains(t, p.Detail, "needs the LockInfo that locked")
			}
		}
		require.Contains(t, r.log.String(), "needs the LockInfo that locked")
		require.Equal(t, lock.Held, r.of("run-1").State)
	})
}

func TestMethods_stateIsNotStoredHere(t *testing.T) {
	bubble(t, func(r *rig) {
		t := r.t
		state := `{"version":4,"serial":3,"lineage":"x"}`
		for method, path := range map[string]string{http.MethodGet: vpc, http.MethodPost: vpc + "?ID=run-1", http.MethodPut: vpc + "?ID=run-1"} {
			p := r.problem(r.call(ann, method, path, state), http.StatusNotImplemented)
			require.Equal(t, wire.CodeNotImplemented, p.Code)
			require.Contains(t, p.Detail, "no upstream is configured")
		}
	})
}
