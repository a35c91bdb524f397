// Package logbook reads decision logs and tells a decision in words.
//
// An [Entry] is one decision, in the fields of OPA's decision log; [Read] takes
// them from a file, [Tell] writes them for people. It decides nothing: package
// policy/replay does that with what is read here.
//
// # Failure
//
// A log that cannot be read is an error with the number of the entry. Members
// that are not known are passed over, because logs outlive gateways.
//
// # Testing
//
// Entries of a real engine are read back and told, in the tests of
// policy/replay.
package logbook

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/policy"
)

// Entry is one decision.
type Entry struct {
	ID          string               `json:"decision_id"`
	Time        time.Time            `json:"timestamp"`
	By          string               `json:"requested_by"`
	Stage       string               `json:"stage"`
	Revisions   map[string]string    `json:"revisions"` // of policies and facts, by name
	Inputs      []json.RawMessage    `json:"inputs"`    // one a resource
	Results     []Result             `json:"results"`   // one a resource; none when there was no decision
	Allow       bool                 `json:"allow"`
	Error       string               `json:"error,omitempty"`
	Rules       []string             `json:"rules"`  // that fired, by their labels
	Masked      []string             `json:"masked"` // JSON pointers into the entry
	Explanation []policy.Explanation `json:"explanation,omitempty"`
}

// Result is the contract's output, as data.lockgate.decision has it.
type Result struct {
	Allow    bool          `json:"allow"`
	Grants   []Grant       `json:"grants"`
	Deny     []lock.Reason `json:"deny"`
	Warn     []lock.Reason `json:"warn"`
	Shadow   []lock.Reason `json:"shadow"`
	Priority struct {
		Level  string   `json:"level"`
		Value  int      `json:"value"`
		Points []Points `json:"points"`
	} `json:"priority"`
	Limits struct {
		TTL   *int `json:"ttl_s"`
		Wait  *int `json:"wait_s"`
		Queue *int `json:"queue"`
	} `json:"limits"`
	Preempt struct {
		Allowed bool `json:"allowed"`
		Below   int  `json:"below"`
	} `json:"preempt"`
	DeadlockAction string            `json:"deadlock_action"`
	Obligations    []json.RawMessage `json:"obligations"`
}

// Grant is what one policy grants.
type Grant struct {
	Policy string `json:"policy"`
	Why    string `json:"why"`
}

// Points are what one policy moves a request by.
type Points struct {
	Policy string `json:"policy"`
	Why    string `json:"why"`
	Points int    `json:"points"`
}

// UnmarshalJSON reads an entry of the decision log.
func (e *Entry) UnmarshalJSON(text []byte) error {
	var w struct {
		ID      string    `json:"decision_id"`
		Time    time.Time `json:"timestamp"`
		By      string    `json:"requested_by"`
		Stage   string    `json:"stage"`
		Bundles map[string]struct {
			Revision string `json:"revision"`
		} `json:"bundles"`
		Input       json.RawMessage      `json:"input"`
		Result      json.RawMessage      `json:"result"`
		Allow       bool                 `json:"allow"`
		Error       json.RawMessage      `json:"error"`
		RuleLabels  []map[string]any     `json:"rule_labels"`
		Masked      []string             `json:"masked"`
		Explanation []policy.Explanation `json:"explanation"`
	}
	if err := json.Unmarshal(text, &w); err != nil {
		return err
	}
	if w.ID == "" {
		return errors.New("it has no decision_id")
	}
	*e = Entry{
		ID: w.ID, Time: w.Time, By: w.By, Stage: w.Stage, Allow: w.Allow, Masked: w.Masked, Explanation: w.Explanation,
		Revisions: map[string]string{},
	}
	for name, b := range w.Bundles {
		e.Revisions[name] = b.Revision
	}
	for _, l := range w.RuleLabels {
		if name, ok := l["rule"].(string); ok {
			e.Rules = append(e.Rules, name)
		}
	}
	slices.Sort(e.Rules)
	e.Rules = slices.Compact(e.Rules)
	if len(w.Error) > 0 && string(w.Error) != "null" {
		if json.Unmarshal(w.Error, &e.Error) != nil {
			e.Error = string(w.Error)
		}
	}
	if err := oneOrMany(w.Input, &e.Inputs); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	if err := oneOrMany(w.Result, &e.Results); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	return nil
}

// oneOrMany reads a value, or a list of values.
func oneOrMany[T any](text json.RawMessage, list *[]T) error {
	if len(text) == 0 || string(text) == "null" {
		return nil
	}
	if text[0] == '[' {
		return json.Unmarshal(text, list)
	}
	var one T
	if err := json.Unmarshal(text, &one); err != nil {
		return err
	}
	*list = []T{one}
	return nil
}

// Read answers the entries of a log: JSON documents one after another or in
// lists, gzipped or not. It ends with the first error.
func Read(r io.Reader) iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		buffered := bufio.NewReader(r)
		plain := io.Reader(buffered)
		if magic, err := buffered.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
			unzipped, err := gzip.NewReader(buffered)
			if err != nil {
				yield(nil, fmt.Errorf("decision log: %w", err))
				return
			}
			plain = unzipped
		}
		d := json.NewDecoder(plain)
		for n := 1; ; n++ {
			var text json.RawMessage
			if err := d.Decode(&text); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				yield(nil, fmt.Errorf("decision log, document %d: %w", n, err))
				return
			}
			var list []*Entry
			if err := oneOrMany(text, &list); err != nil {
				yield(nil, fmt.Errorf("decision log, document %d: %w", n, err))
				return
			}
			for _, e := range list {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
