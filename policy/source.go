package policy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/lockgate/lockgate/policies"
)

// maxSourceBytes bounds what one generation reads: 10,000 projects take 3 MB.
const maxSourceBytes = 64 << 20

// file is one file of a policy folder.
type file struct {
	path string
	text []byte
}

// sources is what a policy folder holds.
type sources struct {
	rego []file
	data []file
}

// readSources reads a folder: *.rego, and data under OPA's own names. Hidden
// files and documents (*.md, *.txt) are passed over; any other file is refused,
// because whoever put it there thinks that it counts.
func readSources(folder fs.FS) (*sources, error) {
	s := &sources{}
	size := int64(0)
	err := fs.WalkDir(folder, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name != "." && strings.HasPrefix(entry.Name(), ".") {
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := fs.Stat(folder, name) // follows links, as mounted ConfigMaps need
		if err != nil {
			return err
		}
		if info.IsDir() {
			return nil
		}
		if size += info.Size(); size > maxSourceBytes {
			return fmt.Errorf("the folder holds more than %d bytes", maxSourceBytes)
		}
		return s.add(folder, name)
	})
	if err != nil {
		return nil, fmt.Errorf("read policies: %w", err)
	}
	return s, nil
}

func (s *sources) add(folder fs.FS, name string) error {
	list := &s.data
	switch base := path.Base(name); {
	case path.Ext(base) == ".rego":
		list = &s.rego
	case base == "data.json", base == "data.yaml", base == "data.yml":
	case path.Ext(base) == ".md", path.Ext(base) == ".txt":
		return nil
	default:
		return fault(name, 0, 0, "file_name", "is neither *.rego nor data.json, data.yaml or data.yml, and OPA would ignore it: rename or remove it")
	}
	text, err := fs.ReadFile(folder, name)
	if err != nil {
		return err
	}
	*list = append(*list, file{path: name, text: text})
	return nil
}

// digest names the content of the sources, together with what else decides.
func (s *sources) digest(settings string) string {
	text := fmt.Appendf(nil, "%q\n%d\n", settings, len(s.rego))
	for _, list := range [][]file{s.rego, s.data} {
		for _, f := range list {
			text = fmt.Appendf(text, "%q %x\n", f.path, sha256.Sum256(f.text))
		}
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// facts merges the data files into data.facts. Two files that state the same
// member are refused: which of them counts would be an accident.
func (s *sources) facts() (map[string]any, error) {
	root := map[string]any{}
	var faults []error
	for _, f := range s.data {
		document, err := f.document()
		if err != nil {
			faults = append(faults, err)
			continue
		}
		for _, segment := range reversed(path.Dir(f.path)) {
			document = map[string]any{segment: document}
		}
		if name, ok := outsideFacts(document); ok {
			faults = append(faults, fault(f.path, 1, 1, "data_root", fmt.Sprintf("states data.%s, and facts stand under data.facts only", name)))
			continue
		}
		if at, ok := merge(root, document, "data"); !ok {
			faults = append(faults, fault(f.path, 1, 1, "data_conflict", at+" is stated by another data file too"))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	facts, ok := root["facts"]
	if !ok {
		return map[string]any{}, nil
	}
	object, ok := facts.(map[string]any)
	if !ok {
		return nil, errors.New("data.facts must be an object")
	}
	return object, nil
}

func (f *file) document() (map[string]any, error) {
	text := f.text
	if path.Ext(f.path) != ".json" {
		converted, err := yaml.YAMLToJSON(text)
		if err != nil {
			return nil, fault(f.path, 1, 1, "data_syntax", err.Error())
		}
		text = converted
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	document := map[string]any{}
	if err := d.Decode(&document); err != nil {
		return nil, f.syntaxFault(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, f.syntaxFault(errors.New("more than one document"))
	}
	return document, nil
}

func (f *file) syntaxFault(err error) error {
	row, col := 1, 1
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) && path.Ext(f.path) == ".json" {
		before := f.text[:min(int(syntax.Offset), len(f.text))]
		row += bytes.Count(before, []byte("\n"))
		col = len(before) - bytes.LastIndexByte(before, '\n') - 1
	}
	return fault(f.path, row, max(col, 1), "data_syntax", err.Error())
}

func reversed(dir string) []string {
	if dir == "." {
		return nil
	}
	var out []string
	for dir != "." {
		out = append(out, path.Base(dir))
		dir = path.Dir(dir)
	}
	return out
}

func outsideFacts(document map[string]any) (string, bool) {
	for _, name := range sortedKeys(document) {
		if name != "facts" {
			return name, true
		}
	}
	return "", false
}

// merge puts what from says into into; it answers false and where both say
// something.
func merge(into, from map[string]any, at string) (string, bool) {
	for _, name := range sortedKeys(from) {
		here := at + "." + name
		old, ok := into[name]
		if !ok {
			into[name] = from[name]
			continue
		}
		a, isObject := old.(map[string]any)
		b, areObjects := from[name].(map[string]any)
		if !isObject || !areObjects {
			return here, false
		}
		if at, ok := merge(a, b, here); !ok {
			return at, false
		}
	}
	return "", true
}

// isAggregator reports whether a file is our aggregator to the byte.
func isAggregator(text []byte) bool {
	ours, err := policies.Aggregator()
	return err == nil && bytes.Equal(ours, text)
}
