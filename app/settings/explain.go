package settings

import (
	"errors"
	"fmt"
	"sort"

	"github.com/knadh/koanf/v2"
)

// FaultError is a value that its owner does not accept.
type FaultError struct {
	Path    string // of the key, such as queue.max_wait; a block's when several keys disagree
	Message string
}

func (f *FaultError) Error() string { return f.Path + ": " + f.Message }

// Explain answers err with every *FaultError in it located where its value was
// written. Joined errors stay apart.
func (l *Loaded[T]) Explain(err error) error {
	if err == nil {
		return nil
	}
	var located []error
	for _, e := range flatten(err) {
		if f := (*FaultError)(nil); errors.As(e, &f) {
			e = l.locate(f.Path, f.Message, nil)
		}
		located = append(located, e)
	}
	return errors.Join(located...)
}

// locate names the place of a key's value; layer nil is the one that won.
func (l *Loaded[T]) locate(path, message string, layer *koanf.Koanf) error {
	switch {
	case layer != l.env && l.flags.Exists(path):
		return fmt.Errorf("--%s: %s", path, message)
	case l.env.Exists(path):
		return fmt.Errorf("%s: %s", l.src.Prefix+Key{Path: path}.variable(), message)
	case l.file.Exists(path):
		return l.locateInFile(path, message)
	default:
		return fmt.Errorf("%s: %s", path, message)
	}
}

func (l *Loaded[T]) locateInFile(path, message string) error {
	return inFile(l.src.File, l.source, path, message)
}

// flatten answers the leaves of joined errors.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

func joinSorted(faults []error) error {
	sort.Slice(faults, func(i, j int) bool { return faults[i].Error() < faults[j].Error() })
	return errors.Join(faults...)
}
