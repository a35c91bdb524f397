package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"
)

// Status is what GET /v1/policies tells.
type Status struct {
	Source    string         `json:"source"` // the folder, or the profile
	Revision  string         `json:"revision"`
	LoadedAt  time.Time      `json:"loaded_at"`
	Modules   []ModuleStatus `json:"modules"`
	Warnings  []Fault        `json:"warnings"`
	LastError []Fault        `json:"last_error"` // of the newest reload; empty when it went well
	History   []ReloadResult `json:"history"`    // newest first
}

// ModuleStatus is one loaded file.
type ModuleStatus struct {
	Path     string `json:"path"`
	Package  string `json:"package"`
	Revision string `json:"revision"` // SHA-256 of the file, in hex
}

// ReloadResult is what became of one load.
type ReloadResult struct {
	At       time.Time `json:"at"`
	OK       bool      `json:"ok"`
	Revision string    `json:"revision"` // in force afterwards
	Faults   []Fault   `json:"faults,omitempty"`
}

// historyLength is how many loads are remembered.
const historyLength = 10

type history struct {
	mu      sync.Mutex // guards results
	results []ReloadResult
}

func (h *history) add(r ReloadResult) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.results = append([]ReloadResult{r}, h.results[:min(len(h.results), historyLength-1)]...)
}

func (h *history) list() []ReloadResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]ReloadResult{}, h.results...)
}

// Status answers what is in force and how the last loads went.
func (e *Engine) Status() Status {
	g := e.current.Load()
	s := Status{
		Source: e.cfg.source(), Revision: g.revision, LoadedAt: g.loadedAt, Modules: g.modules,
		Warnings: append([]Fault{}, g.warnings...), LastError: []Fault{}, History: e.history.list(),
	}
	if len(s.History) > 0 && !s.History[0].OK {
		s.LastError = s.History[0].Faults
	}
	return s
}

func describe(modules []module) []ModuleStatus {
	list := make([]ModuleStatus, len(modules))
	for i, m := range modules {
		sum := sha256.Sum256(m.text)
		list[i] = ModuleStatus{
			Path: m.path, Revision: hex.EncodeToString(sum[:]),
			Package: strings.TrimPrefix(m.parsed.Package.Path.String(), "data."),
		}
	}
	return list
}
