package policy

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// drainBacklog bounds the log events that wait for a sink: no decision waits
// for a disk or a server.
const drainBacklog = 4096

// logSink writes log events somewhere.
type logSink interface {
	// run writes events until there are no more; ctx bounds what is left to do
	// then. It counts what it loses.
	run(ctx context.Context, events <-chan json.RawMessage)
	// name is the sink in the metric of lost events.
	name() string
}

// drain carries decisions to the sinks, masked.
type drain struct {
	masks   masks
	sinks   []logSink
	backlog chan *entry
	lost    *prometheus.CounterVec
}

func newDrain(cfg *DecisionLog, hidden masks, logger *slog.Logger, lost *prometheus.CounterVec) *drain {
	d := &drain{masks: hidden, backlog: make(chan *entry, drainBacklog), lost: lost}
	if cfg.File.Path != "" {
		d.sinks = append(d.sinks, newRotated(cfg.File, logger, lost.WithLabelValues(sinkFile)))
	}
	if cfg.Upload.URL != "" {
		d.sinks = append(d.sinks, newUploader(cfg.Upload, logger, lost.WithLabelValues(sinkUpload)))
	}
	return d
}

// Names of sinks.
const (
	sinkFile   = "file"
	sinkUpload = "upload"
)

// offer hands a decision over, or drops it when the sinks are behind.
func (d *drain) offer(en *entry) {
	if len(d.sinks) == 0 {
		return
	}
	select {
	case d.backlog <- en:
	default:
		for _, s := range d.sinks {
			d.lost.WithLabelValues(s.name()).Inc()
		}
	}
}

// run writes until ctx ends, and then what was decided before.
func (d *drain) run(ctx context.Context) error {
	lines := make([]chan json.RawMessage, len(d.sinks))
	var running sync.WaitGroup
	for i, s := range d.sinks {
		lines[i] = make(chan json.RawMessage, drainBacklog)
		running.Go(func() { s.run(ctx, lines[i]) })
	}
	defer running.Wait()
	defer func() {
		for _, c := range lines {
			close(c)
		}
	}()
	for {
		select {
		case en := <-d.backlog:
			d.hand(en, lines)
		case <-ctx.Done():
			for {
				select {
				case en := <-d.backlog:
					d.hand(en, lines)
				default:
					return nil
				}
			}
		}
	}
}

// hand gives one event to every sink that has room.
func (d *drain) hand(en *entry, lines []chan json.RawMessage) {
	text := en.event(d.masks)
	for i, c := range lines {
		select {
		case c <- text:
		default:
			d.lost.WithLabelValues(d.sinks[i].name()).Inc()
		}
	}
}
