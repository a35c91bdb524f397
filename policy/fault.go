package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Fault is one thing wrong with a policy folder. Row and Col count from 1; 0
// is the file as a whole.
type Fault struct {
	File string `json:"file"`
	Row  int    `json:"row,omitempty"`
	Col  int    `json:"col,omitempty"`
	Code string `json:"code"`
	Msg  string `json:"msg"`
}

func (f *Fault) String() string {
	switch {
	case f.File == "":
		return f.Msg
	case f.Row == 0:
		return f.File + ": " + f.Msg
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Row, f.Col, f.Msg)
}

// LoadError lists what is wrong with a policy folder, in order of files and
// lines. Nothing of the folder is in force.
type LoadError struct {
	Faults []Fault
}

func (e *LoadError) Error() string {
	lines := make([]string, len(e.Faults))
	for i := range e.Faults {
		lines[i] = e.Faults[i].String()
	}
	return strings.Join(lines, "\n")
}

// faultError is a Fault on its way into a LoadError.
type faultError struct {
	Fault
}

func (e *faultError) Error() string { return e.String() }

func fault(file string, row, col int, code, msg string) error {
	return &faultError{Fault{File: file, Row: row, Col: col, Code: code, Msg: msg}}
}

func faultAt(at *ast.Location, code, msg string) Fault {
	if at == nil {
		return Fault{Code: code, Msg: msg}
	}
	return Fault{File: at.File, Row: at.Row, Col: at.Col, Code: code, Msg: msg}
}

// loadError turns whatever went wrong into a LoadError.
func loadError(err error) *LoadError {
	e := &LoadError{Faults: faultsOf(err)}
	slices.SortStableFunc(e.Faults, func(a, b Fault) int {
		if c := strings.Compare(a.File, b.File); c != 0 {
			return c
		}
		if a.Row != b.Row {
			return a.Row - b.Row
		}
		return a.Col - b.Col
	})
	return e
}

func faultsOf(err error) []Fault {
	switch e := err.(type) { //nolint:errorlint // the tree of errors is walked node by node
	case *LoadError:
		return e.Faults
	case *faultError:
		return []Fault{e.Fault}
	case *ast.Error:
		return []Fault{faultAt(e.Location, e.Code, message(e))}
	case ast.Errors:
		var list []Fault
		for _, one := range e {
			list = append(list, faultsOf(one)...)
		}
		return list
	case interface{ Unwrap() []error }:
		var list []Fault
		for _, one := range e.Unwrap() {
			list = append(list, faultsOf(one)...)
		}
		return list
	}
	if inner := errors.Unwrap(err); inner != nil {
		if list := faultsOf(inner); list[0].File != "" {
			return list
		}
	}
	return []Fault{{Code: "load_error", Msg: err.Error()}}
}

// message is the text of one of OPA's errors with what it knows beside it.
func message(e *ast.Error) string {
	if e.Details == nil {
		return e.Message
	}
	lines := e.Details.Lines()
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(append([]string{e.Message}, lines...), " ")
}
