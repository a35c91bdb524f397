package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/lockgate/lockgate/gateway/wire"
)

// How many event streams may be open at once. Each costs a goroutine, a socket
// and a question to policy for every event.
const (
	maxStreams        = 1024
	maxSubjectStreams = 64
)

// streams knows the open event streams: it bounds them, and a gateway which
// stops can end them at once, so that their readers resume at another one.
type streams struct {
	mu       sync.Mutex
	stopped  bool
	open     map[*context.CancelFunc]struct{}
	subjects map[string]int // streams of each subject
}

func newStreams() *streams {
	return &streams{open: map[*context.CancelFunc]struct{}{}, subjects: map[string]int{}}
}

// enter answers a context that also ends when the gateway stops, or a
// rate_limited problem when there are too many streams. The caller calls leave.
func (s *streams) enter(ctx context.Context, subject string) (stream context.Context, leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxStreams || s.subjects[subject] >= maxSubjectStreams {
		return nil, nil, &problemError{
			code: wire.CodeRateLimited, detail: "too many event streams are open: close some, or share one", retryAfter: streamPause,
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	if s.stopped {
		cancel()
		return ctx, cancel, nil
	}
	s.open[&cancel] = struct{}{}
	s.subjects[subject]++
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, &cancel)
		if s.subjects[subject]--; s.subjects[subject] == 0 {
			delete(s.subjects, subject)
		}
	}, nil
}

// streamPause is when somebody who was refused a stream should come again.
const streamPause = 10 * time.Second

func (s *streams) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for cancel := range s.open {
		(*cancel)()
	}
}
