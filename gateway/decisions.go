package gateway

import (
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// may asks policy whether the caller may do something to the gateway as a
// whole.
func (s *Server) may(c echo.Context, a lock.Action) error {
	err := s.parts.Orchestrator.Authorize(c.Request().Context(), CallerFrom(c), a)
	if denied, ok := errors.AsType[*lock.DeniedError](err); ok {
		return &lock.DeniedError{Action: denied.Action, Decision: denied.Decision} // about no lock
	}
	return err
}

// tryDecision is POST /v1/decisions: what would policy say?
func (s *Server) tryDecision(c echo.Context) error {
	if err := query(c).err(); err != nil {
		return err
	}
	var body wire.DecisionRequest
	if err := s.readJSON(c, s.decoders.decision, &body); err != nil {
		return err
	}
	if err := s.may(c, lock.ActRead); err != nil {
		return err
	}
	question, err := asked(&body, CallerFrom(c))
	if err != nil {
		return err
	}
	d, err := s.parts.Orchestrator.Decide(c.Request().Context(), question)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, presentDecision(&d))
}

// asked makes a question of a body. A question about resources obeys the rules
// of an acquire.
func asked(body *wire.DecisionRequest, caller *lock.Caller) (*lock.Question, error) {
	about := &wire.AcquireRequest{
		Namespace: body.Namespace, Resources: body.Resources, Owner: body.Owner, Priority: body.Priority,
		TTL: body.TTL, Wait: body.Wait, Labels: body.Labels, Context: body.Context,
	}
	if body.Request != nil {
		if !reflect.ValueOf(*about).IsZero() {
			return nil, lock.Invalid("/request", "holds the whole request: nothing but action goes beside it")
		}
		about = body.Request
	}
	request, err := requested(about)
	if err != nil {
		return nil, err
	}
	action := lock.ActAcquire
	if body.Action != "" {
		if err := action.UnmarshalText([]byte(body.Action)); err != nil {
			return nil, lock.Invalid("/action", err.Error())
		}
	}
	if len(request.Resources) > 0 || action == lock.ActAcquire {
		if err := request.Normalize(); err != nil {
			return nil, err
		}
	}
	return &lock.Question{
		Action: action, DryRun: true, RequestID: caller.RequestID, Time: time.Now(), Caller: *caller,
		Namespace: request.Namespace, Resources: request.Resources, Owner: request.Owner,
		Want:   lock.Want{Priority: request.Priority, TTL: request.TTL, Wait: request.Wait},
		Labels: request.Labels, Context: request.Context,
	}, nil
}

func presentDecision(d *lock.Decision) *wire.Decision {
	w := &wire.Decision{
		ID: d.ID, Revision: d.Revision, Allow: d.Allow,
		Reasons: reasons(d.Reasons), Warnings: reasons(d.Warnings),
		Priority: d.Priority.String(), Value: d.Value,
		Limits:      wire.DecisionLimits{Wait: (*wire.Duration)(d.Limits.Wait), Queue: d.Limits.Queue},
		Preemptible: d.Preemptible, DeadlockAction: d.DeadlockAction, Obligations: d.Obligations,
	}
	if d.Limits.TTL > 0 {
		w.Limits.TTL = (*wire.Duration)(&d.Limits.TTL)
	}
	if w.Obligations == nil {
		w.Obligations = []map[string]any{}
	}
	return w
}

// listDecisions is GET /v1/decisions. The log tells what everybody asked for,
// so it is for administrators.
func (s *Server) listDecisions(c echo.Context) error {
	p := query(c, "action", "subject", "allow", "limit", "cursor")
	q := DecisionQuery{
		Action:  p.text("action"),
		Subject: p.text("subject"),
		Allow:   p.either("allow"),
		After:   p.text("cursor"),
		Limit:   p.count("limit", 1),
	}
	if err := p.err(); err != nil {
		return err
	}
	if err := s.may(c, lock.ActAdmin); err != nil {
		return err
	}
	page, next, err := s.parts.Decisions.Decisions(q)
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, &wire.DecisionList{Items: list(page), Next: next})
}

// either answers true, false, or nil for both.
func (p *params) either(name string) *bool {
	v := p.text(name)
	if v == "" {
		return nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		p.fault(name, "must be true or false")
	}
	return &b
}

// showDecision is GET /v1/decisions/{id}: for administrators, and for the
// subject that was decided about.
func (s *Server) showDecision(c echo.Context) error {
	if err := query(c).err(); err != nil {
		return err
	}
	id, err := pathText(c, "id")
	if err != nil {
		return err
	}
	entry, subject, found := s.parts.Decisions.Decision(id)
	if !found || subject != CallerFrom(c).Subject.ID {
		if err := s.may(c, lock.ActAdmin); err != nil {
			return err
		}
	}
	if !found {
		return &problemError{code: wire.CodeNotFound, detail: "no decision has this id, or the log has moved on"}
	}
	return c.JSONBlob(http.StatusOK, entry)
}

// listPolicies is GET /v1/policies.
func (s *Server) listPolicies(c echo.Context) error {
	if err := query(c).err(); err != nil {
		return err
	}
	if err := s.may(c, lock.ActRead); err != nil {
		return err
	}
	set := s.parts.Policies.Policies()
	set.Items, set.Warnings, set.Reloads = list(set.Items), list(set.Warnings), list(set.Reloads)
	return writeJSON(c, http.StatusOK, &set)
}
