package gateway

import (
	"context"
	"sync"
)

// streams knows the open event streams, so that a gateway which stops can end
// them at once: their readers resume at another one.
type streams struct {
	mu      sync.Mutex
	stopped bool
	open    map[*context.CancelFunc]struct{}
}

func newStreams() *streams {
	return &streams{open: map[*context.CancelFunc]struct{}{}}
}

// enter answers a context that also ends when the gateway stops. The caller
// calls leave.
func (s *streams) enter(ctx context.Context) (stream context.Context, leave func()) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		cancel()
		return ctx, cancel
	}
	s.open[&cancel] = struct{}{}
	return ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, &cancel)
		cancel()
	}
}

func (s *streams) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for cancel := range s.open {
		(*cancel)()
	}
}
