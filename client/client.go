package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

const (
	// maxAnswer bounds what is read of one answer, in bytes.
	maxAnswer = 32 << 20
	// answerTime is how long a gateway may take beyond the time that it was asked
	// to keep the call open.
	answerTime = 15 * time.Second
)

// Config says which gateway to speak to, and as whom.
type Config struct {
	// URL is the gateway's address, such as "http://127.0.0.1:7480". Required.
	URL string
	// Token is sent as bearer token. Empty: the caller is anonymous.
	Token string
	// HTTPClient sends the requests. Nil: one with the settings of
	// http.DefaultTransport. Its Timeout, if any, must exceed 45 s: waiting calls
	// stay open for 30 s.
	HTTPClient *http.Client
	// UserAgent names the program. Empty: "lockgate-go".
	UserAgent string
	// Headers adds headers to every request, such as traceparent. May be nil.
	Headers func(ctx context.Context, h http.Header)
	// RetryFor is how long a call is repeated after its first failure. 0: 10 s;
	// negative: never.
	RetryFor time.Duration
}

// Validate answers all faults joined.
func (c *Config) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		return errors.New("the gateway's URL is empty: set it to an address such as http://127.0.0.1:7480")
	case err != nil:
		return errors.New("the gateway's URL cannot be parsed: set it to an address such as http://127.0.0.1:7480")
	case (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
		return fmt.Errorf("the gateway's URL %q is no http or https address such as http://127.0.0.1:7480", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("the gateway's URL %q has a query or a fragment: leave them out", u.Redacted())
	}
	return nil
}

// Client speaks to one gateway. It is safe for concurrent use.
type Client struct {
	base      string
	redacted  string
	token     string
	http      *http.Client
	userAgent string
	headers   func(context.Context, http.Header)
	retryFor  time.Duration
}

// New checks the configuration. It does not speak to the gateway.
func New(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:      strings.TrimRight(cfg.URL, "/"),
		redacted:  strings.TrimRight(u.Redacted(), "/"),
		token:     cfg.Token,
		http:      cfg.HTTPClient,
		userAgent: cfg.UserAgent,
		headers:   cfg.Headers,
		retryFor:  cfg.RetryFor,
	}
	if c.http == nil {
		c.http = &http.Client{}
	}
	if c.userAgent == "" {
		c.userAgent = "lockgate-go"
	}
	if c.retryFor == 0 {
		c.retryFor = 10 * time.Second
	}
	return c, nil
}

// call is one request to the API.
type call struct {
	what   string // in errors: "renew lock 01J…"
	method string
	path   string // escaped, below the base address
	query  url.Values
	header http.Header
	body   any           // nil: none
	open   time.Duration // how long the gateway may keep the call open
	retry  time.Duration // 0: as configured
	status int           // of the answer, once there is one
}

// do sends a call, repeats it while that may help, and decodes the answer; into
// a string it goes as it is.
func (c *Client) do(ctx context.Context, cl *call, into any) error {
	var body []byte
	if cl.body != nil {
		var err error
		if body, err = json.Marshal(cl.body); err != nil {
			return fmt.Errorf("%s: %w", cl.what, err)
		}
	}
	budget := cl.retry
	if budget == 0 || c.retryFor < 0 {
		budget = c.retryFor
	}
	again := retrying{budget: budget}
	for {
		err := c.once(ctx, cl, body, into)
		if err == nil {
			return nil
		}
		if again.pause(ctx, err) {
			continue
		}
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			return fmt.Errorf("%s: %w; before that: %w", cl.what, cause, err)
		}
		return fmt.Errorf("%s: %w", cl.what, err)
	}
}

// once sends a call one time.
func (c *Client) once(ctx context.Context, cl *call, body []byte, into any) error {
	attempt, cancel := context.WithTimeout(ctx, cl.open+answerTime)
	defer cancel()
	resp, err := c.send(attempt, cl, body)
	if err != nil {
		return c.explain(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return readProblem(resp)
	}
	cl.status = resp.StatusCode
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return c.explain(ctx, err)
	}
	if text, ok := into.(*string); ok {
		*text = string(data)
		return nil
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s answered with something that is no answer of a Lockgate gateway (check the address): %w", c.redacted, err)
	}
	return nil
}

// send makes the HTTP request and answers whatever came back.
func (c *Client) send(ctx context.Context, cl *call, body []byte) (*http.Response, error) {
	target := c.base + cl.path
	if len(cl.query) > 0 {
		target += "?" + cl.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, cl.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, cl.header)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	req.Header.Set("User-Agent", c.userAgent)
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if c.headers != nil {
		c.headers(ctx, req.Header)
	}
	return c.http.Do(req)
}

// explain turns a failure below HTTP into ErrUnreachable, unless the caller's
// own context ended.
func (c *Client) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w at %s in time", ErrUnreachable, c.redacted)
	}
	if about, ok := errors.AsType[*url.Error](err); ok {
		err = about.Err
	}
	return fmt.Errorf("%w at %s: %w", ErrUnreachable, c.redacted, err)
}

// readProblem turns a refusal into an error.
func readProblem(resp *http.Response) error {
	p := &wire.Problem{}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media != "application/problem+json" || json.Unmarshal(data, p) != nil {
		p = &wire.Problem{
			Type:   "about:blank",
			Title:  resp.Status,
			Detail: "the answer does not come from a Lockgate gateway: check the address and what stands in between",
		}
	}
	p.Status = resp.StatusCode
	return &refusal{problem: p, after: retryAfter(resp.Header, p)}
}
