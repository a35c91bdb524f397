package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

const (
	// verifyEvery is how often a lock without a lease is looked at.
	verifyEvery = 10 * time.Second
	// renewAgain is the pause after a renewal that got no answer.
	renewAgain = time.Second
)

// Hold is a lock that is renewed in the background until [Hold.Unlock].
type Hold struct {
	client *Client
	lock   *wire.Lock
	ctx    context.Context //nolint:containedctx // what a Hold is: a context that ends with the lock
	lose   context.CancelCauseFunc
	stop   context.CancelFunc
	done   chan struct{} // closed when nothing renews any more
}

// Hold acquires a lock as [Client.Acquire] does and keeps it until Unlock, also
// when ctx ends in the meantime: whoever was told to stop still needs the lock
// while stopping. Every Hold must be unlocked.
//
// The lease is renewed every third of its length. A lock without a lease (ttl
// "0s") is verified every 10 s instead.
func (c *Client) Hold(ctx context.Context, r *wire.AcquireRequest, options ...AcquireOption) (*Hold, error) {
	l, sent, err := c.ask(ctx, r, options)
	if err != nil {
		return nil, err
	}
	h := &Hold{client: c, lock: l, done: make(chan struct{})}
	lease := begun(l, sent)
	if lease.length > 0 && !time.Now().Before(lease.due) {
		// The lease began at some moment of a long waiting call: a renewal tells when.
		if lease, err = h.prolong(ctx); err != nil {
			c.abandon(ctx, nil, l)
			return nil, fmt.Errorf("%w: %w", ErrLost, err)
		}
	}
	h.ctx, h.lose = context.WithCancelCause(ctx)
	var renewing context.Context
	renewing, h.stop = context.WithCancel(context.WithoutCancel(ctx))
	go h.keep(renewing, lease)
	return h, nil
}

// Lock is the lock as it was granted, with its token.
func (h *Hold) Lock() *wire.Lock { return h.lock }

// Context ends when the lock is lost, when the context given to [Client.Hold]
// ends, and after Unlock. When the lock was lost its cause is [ErrLost].
func (h *Hold) Context() context.Context { return h.ctx }

// Unlock releases the lock. It answers [ErrLost] when the lock did not last
// until now: somebody else may have held it in the meantime. Nothing renews the
// lock after Unlock, whatever it answers.
func (h *Hold) Unlock(ctx context.Context) error {
	h.stop()
	<-h.done
	defer h.lose(context.Canceled)
	if err := h.loss(); err != nil {
		return err
	}
	ended, err := h.client.Release(ctx, h.lock.ID, h.lock.Token)
	switch {
	case errors.Is(err, ErrStaleToken), errors.Is(err, ErrNotFound):
		return fmt.Errorf("%w: %w", ErrLost, err)
	case err != nil:
		return err
	case ended.State != Released:
		return fmt.Errorf("%w: it is %s", ErrLost, ended.State)
	}
	return nil
}

// loss is why the lock was lost, as far as the renewals know, or nil.
func (h *Hold) loss() error {
	if cause := context.Cause(h.ctx); errors.Is(cause, ErrLost) {
		return cause
	}
	return nil
}

// lease is what this side knows of a lease.
type lease struct {
	length time.Duration // 0: there is none
	due    time.Time     // of the next renewal
	end    time.Time
}

// begun is a lease that began after sent, and counts from there: early rather
// than late.
func begun(l *wire.Lock, sent time.Time) lease {
	length := time.Duration(l.TTL)
	if length <= 0 {
		return lease{due: sent.Add(verifyEvery)}
	}
	return lease{length: length, due: sent.Add(length / 3), end: sent.Add(length)}
}

func (l lease) over() bool { return l.length > 0 && !time.Now().Before(l.end) }

// capped is t, or the end of the lease when that comes first.
func (l lease) capped(t time.Time) time.Time {
	if l.length > 0 && t.After(l.end) {
		return l.end
	}
	return t
}

// keep renews until it is stopped or the lock is lost.
func (h *Hold) keep(ctx context.Context, now lease) {
	defer close(h.done)
	var failed error
	for {
		if sleep(ctx, time.Until(now.due)) != nil {
			return
		}
		if now.over() {
			h.lose(fmt.Errorf("%w: the lease ended before it could be renewed: %w", ErrLost, failed))
			return
		}
		next, err := h.prolongInTime(ctx, now)
		switch {
		case err == nil:
			now = next
		case ctx.Err() != nil:
			return
		case refused(err):
			h.lose(fmt.Errorf("%w: %w", ErrLost, err))
			return
		default:
			failed = err
			now.due = now.capped(time.Now().Add(renewAgain))
		}
	}
}

// refused reports whether the gateway has said that it will not prolong the
// lock.
func refused(err error) bool {
	var r *refusal
	return errors.As(err, &r) && final(err) && r.problem.Status < http.StatusInternalServerError
}

// prolongInTime prolongs for no longer than the lease lasts.
func (h *Hold) prolongInTime(ctx context.Context, now lease) (lease, error) {
	if now.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, now.end)
		defer cancel()
	}
	return h.prolong(ctx)
}

// prolong renews the lease, or verifies a lock that has none.
func (h *Hold) prolong(ctx context.Context) (lease, error) {
	sent := time.Now()
	prolong := func() (*wire.Lock, error) { return h.client.Renew(ctx, h.lock.ID, h.lock.Token, nil) }
	if h.lock.TTL == 0 {
		prolong = func() (*wire.Lock, error) { return h.client.Verify(ctx, h.lock.ID, h.lock.Token) }
	}
	l, err := prolong()
	if err != nil {
		return lease{}, err
	}
	return begun(l, sent), nil
}
