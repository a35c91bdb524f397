package policy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	settleFor = 100 * time.Millisecond // editors and mounts write in several steps
	scanEvery = 30 * time.Second       // for file systems that tell nobody
)

// Reload reads the folder again and puts it in force when it is well. It
// answers false when nothing has changed since the last attempt. A *LoadError
// leaves the last good generation in force.
func (e *Engine) Reload(ctx context.Context) (bool, error) {
	e.loading.Lock()
	defer e.loading.Unlock()
	s, err := readSources(e.folder)
	if err != nil {
		e.attempted = ""
		return true, e.reject(ctx, loadError(err))
	}
	digest := s.digest(settings(&e.cfg))
	if digest == e.attempted {
		return false, nil
	}
	e.attempted = digest
	g, err := load(ctx, s, &e.cfg)
	if err != nil {
		return true, e.reject(ctx, err)
	}
	g.loadedAt = time.Now().UTC()
	e.current.Store(g)
	e.metrics.reloads.WithLabelValues(outcomeOK).Inc()
	e.logger.InfoContext(ctx, "policies loaded", "source", e.cfg.source(), "revision", g.revision, "modules", len(g.modules))
	e.report(ReloadResult{At: g.loadedAt, OK: true, Revision: g.revision})
	return true, nil
}

func (e *Engine) reject(ctx context.Context, err error) error {
	g := e.current.Load()
	if g == nil {
		return err // at start there is nothing to fall back to
	}
	r := ReloadResult{At: time.Now().UTC(), Revision: g.revision, Faults: loadError(err).Faults}
	if last := e.history.list()[0]; sameFaults(last.Faults, r.Faults) {
		return err // the folder is as unreadable as it was
	}
	e.metrics.reloads.WithLabelValues(outcomeError).Inc()
	e.logger.ErrorContext(ctx, "policies refused, the last good ones stay in force",
		"source", e.cfg.source(), "revision", r.Revision, "error", err.Error())
	e.report(r)
	return err
}

func sameFaults(a, b []Fault) bool {
	return (&LoadError{Faults: a}).Error() == (&LoadError{Faults: b}).Error()
}

func (e *Engine) report(r ReloadResult) {
	first := len(e.history.list()) == 0
	e.history.add(r)
	if e.onReload != nil && !first {
		e.onReload(r)
	}
}

// Run follows the policy folder until ctx ends: file events, and a slow scan
// for file systems without them. With a profile there is nothing to follow.
func (e *Engine) Run(ctx context.Context) error {
	if e.cfg.Dir == "" {
		<-ctx.Done()
		return nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", e.cfg.Dir, err)
	}
	defer func() { _ = watcher.Close() }() // it only reads
	if err := watchTree(watcher, e.cfg.Dir); err != nil {
		return fmt.Errorf("watch %s: %w", e.cfg.Dir, err)
	}
	return e.follow(ctx, watcher)
}

func (e *Engine) follow(ctx context.Context, watcher *fsnotify.Watcher) error {
	scan := time.NewTicker(scanEvery)
	defer scan.Stop()
	settle := time.NewTimer(0) // what changed before the watch began
	defer settle.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-watcher.Events:
			if !ok {
				return errors.New("the watch of the policy folder ended")
			}
			settle.Reset(settleFor)
		case err := <-watcher.Errors:
			e.logger.WarnContext(ctx, "watch of the policy folder", "error", err.Error())
			settle.Reset(settleFor)
		case <-scan.C:
			settle.Reset(0)
		case <-settle.C:
			if err := watchTree(watcher, e.cfg.Dir); err != nil {
				e.logger.WarnContext(ctx, "watch of the policy folder", "error", err.Error())
			}
			_, _ = e.Reload(ctx) // it has told log, metric and status
		}
	}
}

// watchTree watches a folder and everything below; watching twice is once.
func watchTree(watcher *fsnotify.Watcher, dir string) error {
	return filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil // it went while we looked
		case err != nil:
			return err
		case !entry.IsDir():
			return nil
		case name != dir && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		}
		return watcher.Add(name)
	})
}
