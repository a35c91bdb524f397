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

	"github.com/lockgate/lockgate/policies"
)

// origin is where policies come from.
type origin interface {
	// read answers the files as they are now, or nil when nothing has changed
	// since the read before.
	read(ctx context.Context) (*sources, error)
	// follow calls reload whenever there may be something new, until ctx ends.
	follow(ctx context.Context, reload func(context.Context) error) error
	// String names the origin, without credentials.
	String() string
}

// open finds the origin that the configuration names.
func (t *track) open() (err error) {
	switch {
	case t.cfg.Bundle.URL != "":
		t.origin, err = newBundleOrigin(t.cfg.Bundle)
	case t.cfg.Dir != "":
		t.origin, err = newFolderOrigin(t.cfg.Dir)
	default:
		t.origin, err = newProfile(t.cfg.Profile)
	}
	return err
}

// profile is shipped with the gateway and never changes.
type profile struct {
	name  string
	files fs.FS
}

func newProfile(name string) (*profile, error) {
	shipped, err := policies.Open()
	return &profile{name: name, files: shipped}, err
}

func (p *profile) read(context.Context) (*sources, error) { return readSources(p.files) }

func (p *profile) follow(ctx context.Context, _ func(context.Context) error) error {
	<-ctx.Done()
	return nil
}

func (p *profile) String() string { return "profile " + p.name }

const (
	settleFor = 100 * time.Millisecond // editors and mounts write in several steps
	scanEvery = 30 * time.Second       // for file systems that tell nobody
)

// folderOrigin is a directory that is followed by file events, and by a slow scan for
// file systems without them.
type folderOrigin struct {
	dir   string
	files fs.FS
}

func newFolderOrigin(dir string) (*folderOrigin, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("dir: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("dir: %s is no folder", dir)
	}
	return &folderOrigin{dir: dir, files: os.DirFS(dir)}, nil
}

func (f *folderOrigin) read(context.Context) (*sources, error) { return readSources(f.files) }

func (f *folderOrigin) String() string { return f.dir }

func (f *folderOrigin) follow(ctx context.Context, reload func(context.Context) error) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", f.dir, err)
	}
	defer func() { _ = watcher.Close() }() // it only reads
	if err := watchTree(watcher, f.dir); err != nil {
		return fmt.Errorf("watch %s: %w", f.dir, err)
	}
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
		case _, ok := <-watcher.Errors: // such as an overflow: look for oneself
			if !ok {
				return errors.New("the watch of the policy folder ended")
			}
			settle.Reset(settleFor)
		case <-scan.C:
			settle.Reset(0)
		case <-settle.C:
			_ = watchTree(watcher, f.dir) // what cannot be watched is found by the scan
			_ = reload(ctx)               // it has told log, metric and status
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
