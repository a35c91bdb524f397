package author

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Formatted is a file that `opa fmt` would write otherwise.
type Formatted struct {
	File string
	Text []byte // as it should be
}

// Format answers the files of a folder that are not formatted. A file that
// cannot be parsed is an error with line and column.
func Format(folder fs.FS) ([]Formatted, error) {
	var list []Formatted
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".rego":
			return nil
		}
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return err
		}
		formatted, err := format.SourceWithOpts(name, text, format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			return err
		}
		if !bytes.Equal(text, formatted) {
			list = append(list, Formatted{File: name, Text: formatted})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("format: %w", err)
	}
	return list, nil
}
