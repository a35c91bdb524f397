package orchestrator

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lockgate/lockgate/core/lock"
)

// Request is what a caller asks for.
type Request struct {
	Namespace   lock.Namespace // "" is lock.DefaultNamespace
	Resources   []lock.Resource
	Owner       lock.Owner
	Priority    lock.Priority // a wish; policy decides
	TTL         time.Duration // 0: until released
	Wait        time.Duration // 0: a try-lock, never queues
	Labels      map[string]string
	Context     json.RawMessage // a JSON object, or nil
	Idempotency lock.Idempotency
	RetryOf     lock.ID // a request of the same owner that gave way in a deadlock: keeps its place in time

	Hold  time.Duration // how long this call stays open while the request is queued; 0 answers at once
	Place time.Duration // after this call the place is kept only that long without another; 0: until the wait ends
}

// Normalize fills in what was left out, sorts the resources, and answers every
// fault as *lock.InvalidError with pointers into the acquire body. The request
// must not be shared before.
func (r *Request) Normalize() error {
	if r.Namespace == "" {
		r.Namespace = lock.DefaultNamespace
	}
	var f faults
	f.add("/namespace", r.Namespace.Fault())
	f.add("/owner", r.Owner.Fault())
	f.resources(r.Resources)
	if r.TTL < 0 {
		f.add("/ttl", "is negative")
	}
	if r.Wait < 0 {
		f.add("/wait", "is negative")
	}
	if r.RetryOf != "" {
		f.add("/retry_of", r.RetryOf.Fault())
	}
	f.attached(r.Labels, r.Context)
	if len(f) > 0 {
		return &lock.InvalidError{Faults: f}
	}
	slices.SortFunc(r.Resources, func(a, b lock.Resource) int { return strings.Compare(string(a.Key), string(b.Key)) })
	return nil
}

type faults []lock.Fault

func (f *faults) add(pointer, detail string) {
	if detail != "" {
		*f = append(*f, lock.Fault{Pointer: pointer, Detail: detail})
	}
}

func (f *faults) resources(rs []lock.Resource) {
	if len(rs) == 0 || len(rs) > lock.MaxResources {
		f.add("/resources", "must name 1 to "+strconv.Itoa(lock.MaxResources)+" resources")
		return
	}
	seen := make(map[lock.Key]bool, len(rs))
	for i, r := range rs {
		at := "/resources/" + strconv.Itoa(i) + "/key"
		f.add(at, r.Key.Fault())
		if seen[r.Key] {
			f.add(at, "is named twice")
		}
		seen[r.Key] = true
	}
}

// attached bounds what is only handed through to policy and events.
func (f *faults) attached(labels map[string]string, context json.RawMessage) {
	size := len(context)
	for k, v := range labels {
		size += len(k) + len(v)
		if k == "" || !utf8.ValidString(k) || !utf8.ValidString(v) {
			f.add("/labels", "has an empty name or text that is not UTF-8")
		}
	}
	if size > lock.MaxAttachedBytes {
		f.add("/context", "is, with the labels, larger than "+strconv.Itoa(lock.MaxAttachedBytes>>10)+" KiB")
	}
	if c := bytes.TrimSpace(context); len(c) > 0 && (c[0] != '{' || !json.Valid(c)) {
		f.add("/context", "is no JSON object")
	}
}
