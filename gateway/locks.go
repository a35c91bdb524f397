package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway/wire"
)

// acquire is POST /v1/locks.
func (s *Server) acquire(c echo.Context) error {
	if err := query(c).err(); err != nil {
		return err
	}
	var body wire.AcquireRequest
	if err := s.readJSON(c, s.decoders.acquire, &body); err != nil {
		return err
	}
	caller := CallerFrom(c)
	request, err := requested(&body)
	if err != nil {
		return err
	}
	if request.Idempotency, err = idempotency(c, caller, &body); err != nil {
		return err
	}
	if request.Hold = preferredWait(c); request.Hold > 0 {
		c.Response().Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(request.Hold/time.Second)))
	}
	out, err := s.parts.Orchestrator.Acquire(c.Request().Context(), caller, request)
	if err != nil {
		return err
	}
	return s.granted(c, &out)
}

// requested makes the orchestrator's request of a body, with all faults of its
// texts at once. It takes the credentials out of URLs in the body itself, so
// that nothing which looks at the body later meets them.
func requested(body *wire.AcquireRequest) (*orchestrator.Request, error) {
	body.Labels, body.Context = stripLabels(body.Labels), stripJSON(compacted(body.Context))
	var p params
	r := &orchestrator.Request{
		Namespace: lock.Namespace(body.Namespace),
		Resources: p.resources(body.Resources),
		Owner:     lock.Owner(body.Owner),
		Priority:  p.priority("/priority", body.Priority),
		TTL:       time.Duration(body.TTL),
		Wait:      time.Duration(body.Wait),
		RetryOf:   lock.ID(body.RetryOf),
		Labels:    body.Labels,
		Context:   body.Context,
	}
	return r, p.err()
}

func (p *params) resources(given []wire.Resource) []lock.Resource {
	out := make([]lock.Resource, len(given))
	for i, r := range given {
		out[i].Key = lock.Key(r.Key)
		if err := out[i].Mode.UnmarshalText([]byte(r.Mode)); err != nil {
			p.fault("/resources/"+strconv.Itoa(i)+"/mode", err.Error())
		}
	}
	return out
}

func (p *params) priority(pointer, given string) lock.Priority {
	var out lock.Priority
	if err := out.UnmarshalText([]byte(given)); err != nil {
		p.fault(pointer, err.Error())
	}
	return out
}

// compacted drops the spaces of a context, and a context that is null.
func compacted(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var out bytes.Buffer
	out.Grow(len(raw))
	if err := json.Compact(&out, raw); err != nil {
		return raw // cannot be: the decoder has seen that it is valid
	}
	return out.Bytes()
}

const maxIdempotencyKey = 255

// idempotency names the call when the caller gave it a key. The hash is of the
// body as it was understood, so that spaces and the order of members do not
// make another request, and of whom the call is for.
func idempotency(c echo.Context, caller *lock.Caller, body *wire.AcquireRequest) (lock.Idempotency, error) {
	key := c.Request().Header.Get(wire.HeaderIdempotencyKey)
	if key == "" {
		return lock.Idempotency{}, nil
	}
	if len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		return lock.Idempotency{}, badRequest("Idempotency-Key must be 1 to 255 characters of printable ASCII")
	}
	canonical, err := json.Marshal(body)
	if err != nil {
		return lock.Idempotency{}, err
	}
	h := sha256.New()
	h.Write([]byte(caller.Acts()))
	h.Write([]byte{0})
	h.Write(canonical)
	return lock.Idempotency{
		Key:  caller.Subject.ID + "\x00" + key,
		Hash: hex.EncodeToString(h.Sum(nil)),
	}, nil
}

// granted answers an acquire or a waiting call: held or still queued.
func (s *Server) granted(c echo.Context, out *lock.Outcome) error {
	l := &out.Lock
	h := c.Response().Header()
	h["Location"] = []string{"/v1/locks/" + string(l.ID)}
	status := http.StatusCreated
	switch {
	case l.State.Waiting():
		status = http.StatusAccepted
		h.Set("Retry-After", strconv.Itoa(s.pollIn(l)))
	case out.Repeat:
		status = http.StatusOK
	}
	body := present(l, CallerFrom(c))
	return writeJSON(c, status, &body)
}

// pollIn is after how many seconds a caller that was answered 202 should come
// again: when its turn is expected, but well before an offer made to it would
// lapse.
func (s *Server) pollIn(l *lock.Lock) int {
	const soonest, latest = 1, 10
	var expected time.Duration
	for _, r := range l.Resources {
		if d, known := s.parts.Orchestrator.Estimate(l.Namespace, r.Key, l.Position); known {
			expected = max(expected, d)
		}
	}
	return min(max(seconds(expected), soonest), latest)
}

// defaultHold is how long a waiting call stays open that does not say.
const defaultHold = 30 * time.Second

// waitForLock is POST /v1/locks/{id}/wait.
func (s *Server) waitForLock(c echo.Context) error {
	id, err := lockID(c)
	if err != nil {
		return err
	}
	p := query(c, "timeout")
	timeout := p.wait("timeout", defaultHold)
	if err := p.err(); err != nil {
		return err
	}
	out, err := s.parts.Orchestrator.Wait(c.Request().Context(), CallerFrom(c), id, timeout)
	if err != nil {
		return err
	}
	return s.granted(c, &out)
}

// showLock is GET /v1/locks/{id}.
func (s *Server) showLock(c echo.Context) error {
	id, err := lockID(c)
	if err != nil {
		return err
	}
	p := query(c, "wait")
	wait := p.wait("wait", 0)
	if err := p.err(); err != nil {
		return err
	}
	l, err := s.parts.Orchestrator.Watch(c.Request().Context(), CallerFrom(c), id, wait)
	return shown(c, &l, err)
}

// shown answers 200 with a lock, or hands the error on.
func shown(c echo.Context, l *lock.Lock, err error) error {
	if err != nil {
		return err
	}
	body := present(l, CallerFrom(c))
	return writeJSON(c, http.StatusOK, &body)
}

// renewLock is POST /v1/locks/{id}/renew.
func (s *Server) renewLock(c echo.Context) error {
	id, body, err := s.tokenCall(c)
	if err != nil {
		return err
	}
	l, err := s.parts.Orchestrator.Renew(c.Request().Context(), CallerFrom(c), id, lock.Token(body.Token), (*time.Duration)(body.TTL))
	return shown(c, &l, err)
}

// verifyLock is POST /v1/locks/{id}/verify.
func (s *Server) verifyLock(c echo.Context) error {
	id, body, err := s.tokenCall(c)
	if err != nil {
		return err
	}
	if body.TTL != nil {
		return lock.Invalid("/ttl", "is for renew; verify changes nothing")
	}
	l, err := s.parts.Orchestrator.Verify(c.Request().Context(), CallerFrom(c), id, lock.Token(body.Token))
	return shown(c, &l, err)
}

// tokenCall reads a call that names a lock and its fencing token.
func (s *Server) tokenCall(c echo.Context) (lock.ID, *wire.TokenRequest, error) {
	id, err := lockID(c)
	if err != nil {
		return "", nil, err
	}
	if err := query(c).err(); err != nil {
		return "", nil, err
	}
	body := &wire.TokenRequest{}
	if err := s.readJSON(c, s.decoders.token, body); err != nil {
		return "", nil, err
	}
	if body.Token == 0 {
		return "", nil, lock.Invalid("/token", "is missing")
	}
	return id, body, nil
}

// changeLock is PATCH /v1/locks/{id}.
func (s *Server) changeLock(c echo.Context) error {
	id, err := lockID(c)
	if err != nil {
		return err
	}
	if err := query(c).err(); err != nil {
		return err
	}
	var body wire.PatchRequest
	if err := s.readJSON(c, s.decoders.patch, &body); err != nil {
		return err
	}
	var p params
	wish := p.priority("/priority", body.Priority)
	if wish == lock.Unstated && len(p.faults) == 0 {
		p.fault("/priority", "is missing: use critical, high, normal or low")
	}
	if err := p.err(); err != nil {
		return err
	}
	l, err := s.parts.Orchestrator.Reprioritize(c.Request().Context(), CallerFrom(c), id, wish)
	return shown(c, &l, err)
}

// endLock is DELETE /v1/locks/{id}: release, cancel, or revoke by force.
func (s *Server) endLock(c echo.Context) error {
	id, err := lockID(c)
	if err != nil {
		return err
	}
	p := query(c, "token", "force", "reason")
	token, force, reason := p.token("token"), p.flag("force"), p.text("reason")
	switch {
	case force && p.has("token"):
		p.fault("token", "does not go with force, which asks for no token")
	case force && reason == "":
		p.fault("reason", "is missing: say why the lock is taken away, it is kept")
	case !force && reason != "":
		p.fault("reason", "goes with force=true")
	}
	if err := p.err(); err != nil {
		return err
	}
	ctx, caller := c.Request().Context(), CallerFrom(c)
	if force {
		l, err := s.parts.Orchestrator.Revoke(ctx, caller, id, reason)
		return shown(c, &l, err)
	}
	l, err := s.parts.Orchestrator.Release(ctx, caller, id, token)
	return shown(c, &l, err)
}

// endOwner is DELETE /v1/owners/{owner}/locks.
func (s *Server) endOwner(c echo.Context) error {
	owner, err := pathText(c, "owner")
	if err != nil {
		return err
	}
	p := query(c, "namespace")
	ns := lock.Namespace(p.text("namespace"))
	if err := p.err(); err != nil {
		return err
	}
	caller := CallerFrom(c)
	ended, err := s.parts.Orchestrator.EndOwner(c.Request().Context(), caller, ns, lock.Owner(owner))
	if err != nil {
		return err
	}
	return writeJSON(c, http.StatusOK, &wire.LockList{Items: presentAll(ended, caller)})
}
