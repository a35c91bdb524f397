package terraform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
)

// longestWait bounds how long a run may try. Terraform does not tell its
// -lock-timeout; what ends a request is that nobody comes back to its place.
const longestWait = 24 * time.Hour

// lock answers LOCK: 200 when the caller holds the state, 423 with the LockInfo
// of who is in the way, 403 when policy refuses.
func (d *Door) lock(c echo.Context) error {
	if c.QueryParam("ID") != "" {
		return noStorage(c) // a write of state under a lock, with update_method PUT
	}
	s, err := stateOf(c)
	if err != nil {
		return err
	}
	info, err := readInfo(c)
	if errors.Is(err, errNoBody) {
		return lock.Invalid("", err.Error())
	}
	if err != nil {
		return err
	}
	ctx, caller := c.Request().Context(), callerOf(c)
	past, err := d.pastOf(ctx, s, info.owner())
	if err != nil {
		return err
	}
	if other := past.madeByOther(caller); other != nil {
		d.log.WarnContext(ctx, "terraform lock id of another subject", "lock_id", other.ID, "subject", caller.Subject.ID)
		return refuse(c, other, foreignID)
	}
	if past.held != nil {
		return granted(c, past.held)
	}
	return d.acquire(c, s, caller, &attempt{info: info, past: past})
}

// foreignID tells the sender of an ID that somebody else locked with.
const foreignID = "this lock ID belongs to another subject"

// attempt is one LOCK and what came before it.
type attempt struct {
	info *Info
	past *past
}

func (d *Door) acquire(c echo.Context, s state, caller *lock.Caller, a *attempt) error {
	request, err := a.request(s, caller)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	out, err := d.orchestrator.Acquire(ctx, caller, request)
	var (
		denied   *lock.DeniedError
		conflict *lock.ConflictError
		ended    *lock.EndedError
		full     *lock.QueueFullError
	)
	switch {
	case err == nil && out.Lock.State == lock.Held && out.Lock.Subject != caller.Subject.ID:
		return refuse(c, &out.Lock, foreignID) // taken since pastOf looked
	case err == nil && out.Lock.State == lock.Held:
		return granted(c, &out.Lock)
	case err == nil:
		return d.queued(c, s, &out.Lock)
	case errors.As(err, &denied):
		d.log.InfoContext(ctx, "terraform lock denied", "namespace", s.namespace, "resource", s.key,
			"subject", caller.Subject.ID, "who", a.info.Who, "decision_id", denied.Decision.ID, "reason", err.Error())
		return err
	case errors.As(err, &conflict):
		return d.unplaced(c, s, &conflict.Lock, err)
	case errors.As(err, &ended):
		return d.unplaced(c, s, &ended.Lock, err)
	case errors.As(err, &full):
		return d.unplaced(c, s, &lock.Lock{Owner: request.Owner}, err)
	}
	return err
}

// request asks for the state without waiting in this call. The idempotency key
// is that of the caller's last request for it, if that has ended: all tries of
// one wait find the same request, and a wait that is over does not stand in the
// way of the next.
func (a *attempt) request(s state, caller *lock.Caller) (*orchestrator.Request, error) {
	document, err := a.info.context()
	if err != nil {
		return nil, fmt.Errorf("keep LockInfo: %w", err)
	}
	key := strings.Join([]string{caller.Subject.ID, "terraform", string(s.key), a.info.ID, string(a.past.ended())}, "\x00")
	return &orchestrator.Request{
		Namespace:   s.namespace,
		Resources:   []lock.Resource{{Key: s.key, Mode: lock.Exclusive}},
		Owner:       a.info.owner(),
		Wait:        longestWait,
		Context:     document,
		Idempotency: lock.Idempotency{Key: key, Hash: a.info.ID},
		Place:       place(a.past.waiting),
	}, nil
}

// granted tells people with curl where the lock is; Terraform wants the status.
func granted(c echo.Context, l *lock.Lock) error {
	c.Response().Header().Set(echo.HeaderLocation, "/v1/locks/"+string(l.ID))
	return c.NoContent(http.StatusOK)
}

// past is everything known about one owner and one state.
type past struct {
	held    *lock.Lock
	waiting *lock.Lock // queued or offered
	over    *lock.Lock // the last of those that have ended
}

// pastOf finds the requests of an owner, live and recently ended. Policy is not
// asked: what is done about them is its business.
func (d *Door) pastOf(ctx context.Context, s state, owner lock.Owner) (*past, error) {
	q := lock.Query{Namespace: s.namespace, Resource: s.key, Owner: owner, States: everyState(), Limit: 100}
	p := &past{}
	for {
		page, err := d.orchestrator.Find(ctx, q)
		if err != nil {
			return nil, err
		}
		for i := range page.Locks {
			p.add(&page.Locks[i])
		}
		if q.After = page.Next; q.After == "" {
			return p, nil
		}
	}
}

// add is called in ascending order of ids, which is that of time.
func (p *past) add(l *lock.Lock) {
	switch {
	case l.State == lock.Held:
		p.held = l
	case l.State.Waiting():
		p.waiting = l
	default:
		p.over = l
	}
}

// live is what an UNLOCK means: the lock, or the request for it.
func (p *past) live() *lock.Lock {
	if p.held != nil {
		return p.held
	}
	return p.waiting
}

func (p *past) ended() lock.ID {
	if p.over == nil {
		return ""
	}
	return p.over.ID
}

// madeByOther answers a live request that another subject made with this ID. IDs
// are no secret, Terraform prints them: knowing one must not be enough to share
// its lock.
func (p *past) madeByOther(caller *lock.Caller) *lock.Lock {
	for _, l := range []*lock.Lock{p.held, p.waiting} {
		if l != nil && l.Subject != caller.Subject.ID {
			return l
		}
	}
	return nil
}

func everyState() []lock.State {
	var all []lock.State
	for s := lock.Queued; s <= lock.Denied; s++ {
		all = append(all, s)
	}
	return all
}
