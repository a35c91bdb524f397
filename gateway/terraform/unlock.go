package terraform

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// forceReason is kept with a lock that was broken.
const forceReason = "terraform force-unlock"

// bareDelete answers a DELETE that does not say what to unlock.
const bareDelete = "the body is empty: a DELETE here unlocks and needs the LockInfo that locked; " +
	"to break a lock use the method UNLOCK (without unlock_method in the configuration), or lockctl unlock"

// unlock answers UNLOCK: 200 when the lock is no longer there. What it means
// depends on who sends what:
//
//	body                      lock of the caller    of another subject
//	LockInfo as locked with   release               force_release, if policy allows
//	only ID                   release               force_release, if policy allows
//	empty                     force_release of whoever holds, if policy allows
//	empty, with DELETE        refused
//
// Every refusal shows the holder's ID, so knowing one proves nothing: only the
// subject that locked can release.
//
// Terraform's force-unlock sends an empty body, OpenTofu's only the ID. A DELETE
// with an empty body may as well be a configuration whose address is here by
// mistake and that wants its state gone, so nothing is broken by it.
func (d *Door) unlock(c echo.Context) error {
	s, err := stateOf(c)
	if err != nil {
		return err
	}
	ctx, caller := c.Request().Context(), callerOf(c)
	info, err := readInfo(c)
	switch {
	case errors.Is(err, errNoBody) && c.Request().Method == http.MethodDelete:
		d.log.InfoContext(ctx, "terraform delete without body refused",
			"namespace", s.namespace, "resource", s.key, "subject", caller.Subject.ID, "reason", bareDelete)
		return lock.Invalid("", bareDelete)
	case errors.Is(err, errNoBody):
		return d.breakHolder(c, s, caller)
	case err != nil:
		return err
	}
	p, err := d.pastOf(ctx, s, info.owner())
	if err != nil {
		return err
	}
	l := p.live()
	switch {
	case l != nil && l.Subject != caller.Subject.ID:
		return d.force(c, caller, l)
	case l != nil:
		_, err := d.orchestrator.Release(ctx, caller, l.ID, l.Token)
		return d.unlocked(c, err)
	case p.over != nil:
		return repeated(c, info, p.over)
	}
	return d.breakByLockID(c, s, caller, lock.ID(info.ID))
}

// repeated answers an UNLOCK of a lock that has ended. A holder that lost its
// lock in the middle of its run is told so.
func repeated(c echo.Context, info *Info, over *lock.Lock) error {
	lost := over.State == lock.Revoked || over.State == lock.Expired
	if lost && !info.bare() {
		return lock.ErrStaleToken
	}
	return c.NoContent(http.StatusOK)
}

// breakHolder serves a force-unlock that names no lock.
func (d *Door) breakHolder(c echo.Context, s state, caller *lock.Caller) error {
	holders, err := d.holders(c.Request().Context(), s)
	if err != nil {
		return err
	}
	if len(holders) == 0 {
		return problem(c, http.StatusNotFound, wire.CodeNotFound, "this state is not locked")
	}
	return d.force(c, caller, &holders[0])
}

// breakByLockID serves a force-unlock of a lock that Terraform did not make: its
// refusals named that by the gateway's own id.
func (d *Door) breakByLockID(c echo.Context, s state, caller *lock.Caller, id lock.ID) error {
	holders, err := d.holders(c.Request().Context(), s)
	if err != nil {
		return err
	}
	for i := range holders {
		if holders[i].ID == id {
			return d.force(c, caller, &holders[i])
		}
	}
	return problem(c, http.StatusNotFound, wire.CodeNotFound,
		"no lock of this state has this ID, or it ended more than an hour ago")
}

func (d *Door) force(c echo.Context, caller *lock.Caller, l *lock.Lock) error {
	_, err := d.orchestrator.Revoke(c.Request().Context(), caller, l.ID, forceReason)
	if _, over := errors.AsType[*lock.EndedError](err); over {
		err = nil // somebody was faster
	}
	return d.unlocked(c, err)
}

// unlocked logs what Terraform will not show.
func (d *Door) unlocked(c echo.Context, err error) error {
	if err == nil {
		return c.NoContent(http.StatusOK)
	}
	if denied, ok := errors.AsType[*lock.DeniedError](err); ok {
		d.log.InfoContext(c.Request().Context(), "terraform unlock denied", "lock_id", denied.LockID,
			"action", denied.Action, "decision_id", denied.Decision.ID, "reason", err.Error())
	}
	return err
}

// holders lists who holds the state or is offered it, the oldest request first,
// without asking policy.
func (d *Door) holders(ctx context.Context, s state) ([]lock.Lock, error) {
	page, err := d.orchestrator.Find(ctx, lock.Query{
		Namespace: s.namespace, Resource: s.key, States: []lock.State{lock.Held, lock.Offered}, Limit: lock.MaxBlockers,
	})
	return page.Locks, err
}
