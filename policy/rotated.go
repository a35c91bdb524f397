package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"
)

// rotated is a file of JSON lines. When it is full it becomes PATH.1, PATH.1
// becomes PATH.2, and the oldest goes.
type rotated struct {
	cfg    LogFile
	logger *slog.Logger
	lost   prometheus.Counter

	file   *os.File
	size   int64
	failed bool // the last write did, and the log was told
}

func newRotated(cfg LogFile, logger *slog.Logger, lost prometheus.Counter) *rotated {
	return &rotated{cfg: cfg, logger: logger, lost: lost}
}

func (r *rotated) name() string { return sinkFile }

func (r *rotated) run(ctx context.Context, events <-chan json.RawMessage) {
	for text := range events {
		err := r.write(append(text, '\n'))
		if err != nil {
			r.lost.Inc()
			r.close()
			if !r.failed {
				r.logger.ErrorContext(ctx, "decision log is not written", "file", r.cfg.Path, "error", err.Error())
			}
		}
		r.failed = err != nil
	}
	r.close()
}

func (r *rotated) close() {
	if r.file != nil {
		_ = r.file.Close() // every line was written or counted as lost
		r.file = nil
	}
}

func (r *rotated) write(line []byte) error {
	if r.file != nil && r.size+int64(len(line)) > r.limit() && r.size > 0 {
		r.close()
		if err := r.shift(); err != nil {
			return err
		}
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return err
		}
	}
	n, err := r.file.Write(line)
	r.size += int64(n)
	return err
}

func (r *rotated) limit() int64 { return int64(r.cfg.MaxMB) << 20 }

func (r *rotated) open() error {
	f, err := os.OpenFile(r.cfg.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r.file, r.size = f, info.Size()
	return nil
}

// shift moves every file one further.
func (r *rotated) shift() error {
	for i := r.cfg.Keep; i > 0; i-- {
		from := r.cfg.Path
		if i > 1 {
			from = r.numbered(i - 1)
		}
		if err := os.Rename(from, r.numbered(i)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (r *rotated) numbered(i int) string { return fmt.Sprintf("%s.%d", r.cfg.Path, i) }
