package policy

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	uploadEvents  = 1000             // of one upload
	uploadBytes   = 1 << 20          // of one upload, before it is compressed
	uploadTimeout = 10 * time.Second // of one upload
)

// uploader posts log events to a server as OPA does: a gzipped JSON array. What
// could not be sent is tried again; meanwhile new events wait, and are lost when
// there are too many.
type uploader struct {
	cfg    LogUpload
	client *http.Client
	logger *slog.Logger
	lost   prometheus.Counter

	batch  []json.RawMessage
	size   int
	failed int // uploads in a row
}

func newUploader(cfg LogUpload, logger *slog.Logger, lost prometheus.Counter) *uploader {
	return &uploader{cfg: cfg, client: &http.Client{Timeout: uploadTimeout}, logger: logger, lost: lost}
}

func (u *uploader) name() string { return sinkUpload }

func (u *uploader) run(ctx context.Context, events <-chan json.RawMessage) {
	timer := time.NewTimer(u.cfg.Interval)
	defer timer.Stop()
	for {
		incoming := events
		if u.isFull() {
			incoming = nil // until there is room again
		}
		select {
		case text, ok := <-incoming:
			if !ok {
				u.last(ctx)
				return
			}
			u.batch, u.size = append(u.batch, text), u.size+len(text)
			if u.isFull() && u.failed == 0 {
				u.flush(ctx)
			}
		case <-ctx.Done():
			u.rest(ctx, events)
			return
		case <-timer.C:
			u.flush(ctx)
			timer.Reset(u.pause())
		}
	}
}

func (u *uploader) isFull() bool { return len(u.batch) >= uploadEvents || u.size >= uploadBytes }

func (u *uploader) pause() time.Duration {
	if u.failed == 0 {
		return u.cfg.Interval
	}
	return min(retryFirst<<min(u.failed-1, 16), max(u.cfg.Interval, retryMost))
}

// rest sends what is left when the gateway stops, and gives up at the first
// failure.
func (u *uploader) rest(ctx context.Context, events <-chan json.RawMessage) {
	for text := range events {
		if u.isFull() {
			u.flush(ctx)
			if u.failed > 0 {
				u.lost.Inc()
				continue
			}
		}
		u.batch, u.size = append(u.batch, text), u.size+len(text)
	}
	u.last(ctx)
}

func (u *uploader) last(ctx context.Context) {
	u.flush(ctx)
	u.lost.Add(float64(len(u.batch)))
}

// flush sends the batch; after a failure it keeps it. An upload under way is
// not broken off when the gateway stops, or its events would be sent twice.
func (u *uploader) flush(ctx context.Context) {
	if len(u.batch) == 0 {
		return
	}
	if err := u.post(context.WithoutCancel(ctx)); err != nil {
		if u.failed++; u.failed == 1 {
			u.logger.ErrorContext(ctx, "decision log is not uploaded", "error", err.Error())
		}
		return
	}
	u.batch, u.size, u.failed = nil, 0, 0
}

func (u *uploader) post(ctx context.Context) error {
	var body bytes.Buffer
	zipped := gzip.NewWriter(&body)
	if err := errors.Join(json.NewEncoder(zipped).Encode(u.batch), zipped.Close()); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.cfg.URL, &body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	res, err := u.client.Do(req)
	if err != nil {
		if plain, ok := errors.AsType[*url.Error](err); ok {
			err = plain.Err // its URL may hold a password
		}
		return err
	}
	_ = res.Body.Close() // only the status counts
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the server answered %s", res.Status)
	}
	return nil
}
