package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// Target is one server under load.
type Target struct {
	base  string
	token string
	http  *http.Client
}

// NewTarget is a server at a base URL; token may be empty. Clients bounds its
// connections.
func NewTarget(base, token string, clients int) *Target {
	return &Target{
		base: base, token: token,
		http: &http.Client{Transport: &http.Transport{
			MaxIdleConns: clients, MaxIdleConnsPerHost: clients, MaxConnsPerHost: clients,
			DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		}},
	}
}

// Close drops the connections.
func (t *Target) Close() { t.http.CloseIdleConnections() }

// grant is what a client needs to know of an answer.
type grant struct {
	ID    string `json:"id"`
	Token int64  `json:"token"` // 0 until held
}

// refusal is an answer that is an error.
type refusal struct {
	call   string
	status int
	text   string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s: %d %s: %s", r.call, r.status, http.StatusText(r.status), r.text)
}

// again reports whether another try, or another gateway, may do better.
func (r *refusal) again() bool {
	return r.status == http.StatusTooManyRequests || r.status >= http.StatusInternalServerError
}

// acquire asks for a lock; hold is how long the call may stay open.
func (t *Target) acquire(ctx context.Context, body *wire.AcquireRequest, hold time.Duration) (grant, error) {
	return t.ask(ctx, body, "", hold)
}

// ask is acquire with an idempotency key, unless that is empty.
func (t *Target) ask(ctx context.Context, body *wire.AcquireRequest, key string, hold time.Duration) (grant, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return grant{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+"/v1/locks", bytes.NewReader(data))
	if err != nil {
		return grant{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set(wire.HeaderIdempotencyKey, key)
	}
	if hold > 0 {
		req.Header.Set("Prefer", "wait="+strconv.Itoa(int(hold.Seconds())))
	}
	return t.do(req)
}

// wait is the waiting call of a queued request.
func (t *Target) wait(ctx context.Context, id string, hold time.Duration) (grant, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+"/v1/locks/"+id+"/wait?timeout="+hold.String(), http.NoBody)
	if err != nil {
		return grant{}, err
	}
	return t.do(req)
}

func (t *Target) release(ctx context.Context, g grant) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete,
		t.base+"/v1/locks/"+url.PathEscape(g.ID)+"?token="+strconv.FormatInt(g.Token, 10), http.NoBody)
	if err != nil {
		return err
	}
	_, err = t.do(req)
	return err
}

// verify asks whether a grant's token still holds.
func (t *Target) verify(ctx context.Context, g grant) error {
	data, err := json.Marshal(wire.TokenRequest{Token: g.Token})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base+"/v1/locks/"+url.PathEscape(g.ID)+"/verify", bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	_, err = t.do(req)
	return err
}

func (t *Target) do(req *http.Request) (grant, error) {
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := t.http.Do(req)
	if err != nil {
		return grant{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return grant{}, err
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return grant{}, &refusal{call: req.Method + " " + req.URL.Path, status: resp.StatusCode, text: string(bytes.TrimSpace(data))}
	}
	var g grant
	if err := json.Unmarshal(data, &g); err != nil {
		return grant{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	return g, nil
}
