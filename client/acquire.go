package client

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

const (
	// waitingCall is how long one waiting call stays open.
	waitingCall = 15 * time.Second
	// waitingPause is the least time from one waiting call to the next, for a
	// gateway that does not keep them open.
	waitingPause = time.Second
	// placeKept is how long a gateway keeps the place of a request whose caller is
	// not heard of, and so how long a broken waiting call is worth repeating.
	placeKept = 30 * time.Second
	// abandonTime bounds the clean-up after a caller that gave up.
	abandonTime = 5 * time.Second
)

// AcquireOption changes how [Client.Acquire] and [Client.Hold] ask.
type AcquireOption func(*acquiring)

type acquiring struct {
	key      string
	progress func(*wire.Lock)
}

// WithIdempotencyKey names the request, so that another process, or this one
// after a restart, can repeat it. Without it a random key is made.
func WithIdempotencyKey(key string) AcquireOption {
	return func(a *acquiring) { a.key = key }
}

// OnProgress has f called, in the goroutine of the caller, each time the gateway
// says where the waiting request stands: once when it is queued, then at least
// every 15 s. The next waiting call comes after f: it should return within a few
// seconds.
func OnProgress(f func(*wire.Lock)) AcquireOption {
	return func(a *acquiring) { a.progress = f }
}

// Acquire asks for all resources of a request at once, and waits for them as
// long as its Wait says. The answer is held; every other end is an error:
// [ErrLocked], [ErrDenied], [ErrDeadlock] and the rest. An owner that holds the
// resources already gets that lock.
//
// When ctx ends first, Acquire takes the request back, which may take another
// 5 s, and answers the cause of ctx. Only a lock that was granted at once, with
// its answer under way just then, stays: it looks like one that the owner had
// before. It ends with its lease, and repeating the call with its idempotency key
// finds it.
func (c *Client) Acquire(ctx context.Context, r *wire.AcquireRequest, options ...AcquireOption) (*wire.Lock, error) {
	l, _, err := c.ask(ctx, r, options)
	return l, err
}

// ask answers also when the call was sent that answered the lock: the lease
// began after that.
func (c *Client) ask(ctx context.Context, r *wire.AcquireRequest, options []AcquireOption) (*wire.Lock, time.Time, error) {
	a := acquiring{key: rand.Text()}
	for _, set := range options {
		set(&a)
	}
	first := &call{
		what: "acquire", method: http.MethodPost, path: "/v1/locks",
		header: http.Header{wire.HeaderIdempotencyKey: {a.key}}, body: r,
	}
	sent := time.Now()
	l, err := c.lock(ctx, first)
	if err == nil && waits(l) {
		l, sent, err = c.standInLine(ctx, l, a.progress)
	}
	if err != nil {
		if ctx.Err() != nil {
			c.abandon(ctx, first, l)
		}
		return nil, time.Time{}, err
	}
	return l, sent, nil
}

// standInLine makes waiting calls until the request is held or has ended. With an
// error it answers the request as it was last seen.
func (c *Client) standInLine(ctx context.Context, l *wire.Lock, progress func(*wire.Lock)) (*wire.Lock, time.Time, error) {
	for {
		if progress != nil {
			progress(l)
		}
		cl := waiting(l.ID, waitingCall)
		cl.retry = max(c.retryFor, placeKept)
		sent := time.Now()
		next, err := c.lock(ctx, cl)
		if err != nil {
			return l, sent, err
		}
		l = next
		if !waits(l) {
			return l, sent, nil
		}
		if err := sleep(ctx, waitingPause-time.Since(sent)); err != nil {
			return l, sent, err
		}
	}
}

func waits(l *wire.Lock) bool { return l.State == Queued || l.State == Offered }

// abandon takes back a request whose caller gave up: known is the request, or
// nil when not even the first answer was awaited. Nobody is left to hear of an
// error; what remains then ends with its lease, or its place with the gateway's
// waiter grace.
func (c *Client) abandon(ctx context.Context, first *call, known *wire.Lock) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	if known == nil {
		l, err := c.lock(ctx, first)
		if err != nil || (l.State == Held && first.status != http.StatusCreated) {
			return // perhaps a lock that the owner had before: not ours to release
		}
		known = l
	}
	if _, err := c.Release(ctx, known.ID, known.Token); !errors.Is(err, ErrStaleToken) {
		return
	}
	// It was granted while the caller left.
	if l, err := c.Get(ctx, known.ID, 0); err == nil && l.State == Held {
		_, _ = c.Release(ctx, l.ID, l.Token)
	}
}
