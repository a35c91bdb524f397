package policy

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// track is one line of generations from one origin, each made of the one before
// and of what is new.
type track struct {
	cfg      *Config
	origin   origin
	cache    *cache // nil: nothing is kept on disk
	logger   *slog.Logger
	reloads  *prometheus.CounterVec
	onReload func(ReloadResult) // may be nil
	history  history

	mayBeEmpty bool // nothing is wrong with having no policies at all

	loading   sync.Mutex // one load at a time; guards the rest but current
	attempted string     // digest of the sources of the last load
	current   atomic.Pointer[generation]
}

// start loads the first generation. When a bundle cannot be had, or is not
// well, the one that was kept on disk decides.
func (t *track) start(ctx context.Context) error {
	_, err := t.reload(ctx)
	if err == nil {
		return nil
	}
	kept, cacheErr := t.cache.read()
	if _, isBundle := t.origin.(*bundleOrigin); !isBundle || cacheErr != nil {
		return err
	}
	t.loading.Lock()
	defer t.loading.Unlock()
	if loadErr := t.enforce(ctx, kept, standing{}); loadErr != nil {
		return err
	}
	return ignore(t.reject(ctx, err))
}

// ignore is for an error that log, metric and status have told.
func ignore(error) error { return nil }

// reload reads the origin again and puts it in force when it is well. It
// answers false when nothing has changed since the last attempt.
func (t *track) reload(ctx context.Context) (bool, error) {
	t.loading.Lock()
	defer t.loading.Unlock()
	s, err := t.origin.read(ctx)
	if err != nil {
		t.attempted = ""
		return true, t.reject(ctx, loadError(err))
	}
	if s == nil {
		return false, nil
	}
	digest := s.digest(settings(t.cfg))
	if digest == t.attempted {
		return false, nil
	}
	t.attempted = digest
	if err := t.enforce(ctx, s, t.standing()); err != nil {
		return true, t.reject(ctx, err)
	}
	return true, nil
}

// standing is what the next generation may fall back to, part by part.
func (t *track) standing() standing {
	if g := t.current.Load(); g != nil {
		return g.standing
	}
	kept, err := t.cache.read()
	if err != nil {
		return standing{}
	}
	return standing{files: kept}
}

// enforce makes a generation and puts it in force.
func (t *track) enforce(ctx context.Context, s *sources, last standing) error {
	g, err := assemble(ctx, s, last, t.cfg)
	if err != nil {
		return err
	}
	g.guards(t.current.Load(), t.cfg.Budget)
	g.loadedAt = time.Now().UTC()
	t.current.Store(g)
	if err := t.cache.write(g.files); err != nil {
		t.logger.WarnContext(ctx, "policies are not kept for a restart", "error", err.Error())
	}
	faults := g.asideFaults()
	if len(faults) > 0 {
		t.reloads.WithLabelValues(outcomePartly).Inc()
		t.logger.ErrorContext(ctx, "policies loaded, without those of some organisations", "source", t.origin.String(),
			"revision", g.revision, "organisations", sortedKeys(g.aside), "error", (&LoadError{Faults: faults}).Error())
	} else {
		t.reloads.WithLabelValues(outcomeOK).Inc()
		t.logger.InfoContext(ctx, "policies loaded", "source", t.origin.String(), "revision", g.revision, "modules", len(g.modules))
	}
	t.report(ReloadResult{At: g.loadedAt, OK: len(faults) == 0, Revision: g.revision, Faults: faults})
	return nil
}

func (t *track) reject(ctx context.Context, err error) error {
	r := ReloadResult{At: time.Now().UTC(), Faults: loadError(err).Faults}
	switch g := t.current.Load(); {
	case g != nil:
		r.Revision = g.revision
	case !t.mayBeEmpty:
		return err // at start there is nothing to fall back to
	}
	if last := t.history.list(); len(last) > 0 && sameFaults(last[0].Faults, r.Faults) {
		return err // the origin is as unreadable as it was
	}
	t.reloads.WithLabelValues(outcomeError).Inc()
	t.logger.ErrorContext(ctx, "policies refused, the last good ones stay in force",
		"source", t.origin.String(), "revision", r.Revision, "error", err.Error())
	t.report(r)
	return err
}

func sameFaults(a, b []Fault) bool {
	return (&LoadError{Faults: a}).Error() == (&LoadError{Faults: b}).Error()
}

func (t *track) report(r ReloadResult) {
	first := len(t.history.list()) == 0
	t.history.add(r)
	if t.onReload != nil && !first {
		t.onReload(r)
	}
}

// follow reloads as the origin changes, until ctx ends.
func (t *track) follow(ctx context.Context) error {
	return t.origin.follow(ctx, func(ctx context.Context) error {
		_, err := t.reload(ctx)
		return err
	})
}
