package gateway

import (
	"encoding/json"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// present shows a lock to a caller: the token only to the subject that made the
// request and to admins.
func present(l *lock.Lock, caller *lock.Caller) wire.Lock {
	w := wire.Lock{
		ID:        string(l.ID),
		State:     l.State.String(),
		Namespace: string(l.Namespace),
		Resources: resources(l.Resources),
		Owner:     string(l.Owner),
		Subject:   l.Subject,
		Actor:     l.Actor,
		Priority:  l.Priority.String(),
		Value:     l.Value,
		TTL:       wire.Duration(l.TTL),
		Wait:      wire.Duration(l.Wait),
		Requested: wire.Time{Time: l.RequestedAt},
		Acquired:  wire.Time{Time: l.AcquiredAt},
		Expires:   wire.Time{Time: l.ExpiresAt},
		Ended:     wire.Time{Time: l.EndedAt},
		Reason:    l.Reason,
		RetryOf:   string(l.RetryOf),
		Losses:    l.Losses,

		Position:       l.Position,
		BlockedBy:      blockers(l.BlockedBy),
		BlockedByTotal: l.BlockedByTotal,

		Decision: wire.DecisionSummary{
			ID:       l.Decision.ID,
			Revision: l.Decision.Revision,
			Reasons:  reasons(l.Decision.Reasons),
			Warnings: reasons(l.Decision.Warnings),
		},
		Labels:  l.Labels,
		Context: l.Context,
		TraceID: traceID(l.Trace.Parent),
	}
	if l.State.Waiting() {
		w.Until = wire.Time{Time: l.WaitUntil}
		w.OfferUntil = wire.Time{Time: l.OfferUntil}
	}
	if w.Labels == nil {
		w.Labels = map[string]string{}
	}
	if len(w.Context) == 0 {
		w.Context = json.RawMessage("{}")
	}
	if l.Subject == caller.Subject.ID || caller.Subject.Has(lock.RoleAdmin) {
		w.Token = int64(l.Token)
	}
	return w
}

func presentAll(locks []lock.Lock, caller *lock.Caller) []wire.Lock {
	out := make([]wire.Lock, len(locks))
	for i := range locks {
		out[i] = present(&locks[i], caller)
	}
	return out
}

func resources(rs []lock.Resource) []wire.Resource {
	out := make([]wire.Resource, len(rs))
	for i, r := range rs {
		out[i] = wire.Resource{Key: string(r.Key), Mode: r.Mode.String()}
	}
	return out
}

func blockers(bs []lock.Blocker) []wire.Blocker {
	out := make([]wire.Blocker, len(bs))
	for i, b := range bs {
		out[i] = wire.Blocker{
			ID: string(b.ID), Owner: string(b.Owner), Resource: string(b.Resource),
			State: b.State.String(), Priority: b.Priority.String(), Since: wire.Time{Time: b.Since},
		}
	}
	return out
}

func reasons(rs []lock.Reason) []wire.Reason {
	out := make([]wire.Reason, len(rs))
	for i, r := range rs {
		out[i] = wire.Reason(r)
	}
	return out
}

// traceID cuts the trace id out of a traceparent.
func traceID(parent string) string {
	const from, to = len("00-"), len("00-") + 32
	if len(parent) < to {
		return ""
	}
	return parent[from:to]
}

// list makes an empty list of none, so that callers never meet null.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func writeJSON(c echo.Context, status int, body any) error {
	return writeJSONAs(c, status, "application/json", body)
}

func writeJSONAs(c echo.Context, status int, mediaType string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return c.Blob(status, mediaType, data)
}
