package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/lockgate/lockgate/core/lock"
)

// shape is what a JSON value may look like, worked out once from a Go type.
// encoding/json alone matches names in any case, takes the last of two members
// with one name, and does not say where an unknown one stands.
type shape struct {
	kind   kind
	fields map[string]*shape      // of an object with fixed names
	elem   *shape                 // of a list, or of an object with free names
	null   bool                   // null stands for absent
	plain  bool                   // an object that may also be a plain string
	check  func(raw []byte) error // of a text with a form of its own
}

type kind string

const (
	anything kind = "value"
	object   kind = "object"
	array    kind = "list"
	text     kind = "string"
	number   kind = "number"
	boolean  kind = "boolean"
)

// shapeOf derives the shape of a type from the fields and tags that
// encoding/json goes by.
func shapeOf(t reflect.Type) *shape {
	if t == reflect.TypeFor[json.RawMessage]() {
		return &shape{kind: anything, null: true}
	}
	unmarshals := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]())
	switch t.Kind() { //nolint:exhaustive // the other kinds are numbers; the body types have no others
	case reflect.Pointer:
		s := *shapeOf(t.Elem())
		s.null = true
		return &s
	case reflect.Struct:
		s := &shape{kind: object, fields: map[string]*shape{}, plain: unmarshals}
		for f := range t.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			s.fields[name] = shapeOf(f.Type)
		}
		return s
	case reflect.Map:
		return &shape{kind: object, elem: shapeOf(t.Elem()), null: true}
	case reflect.Slice:
		return &shape{kind: array, elem: shapeOf(t.Elem()), null: true}
	case reflect.String:
		return &shape{kind: text}
	case reflect.Bool:
		return &shape{kind: boolean}
	}
	if unmarshals {
		return &shape{kind: text, check: func(raw []byte) error {
			return json.Unmarshal(raw, reflect.New(t).Interface())
		}}
	}
	return &shape{kind: number}
}

// walker compares valid JSON with a shape.
type walker struct {
	data []byte
	at   int
	path []string
}

// conform answers the first place where valid JSON differs from a shape, as
// *lock.InvalidError with a JSON pointer.
func conform(data []byte, s *shape) error {
	w := &walker{data: data}
	return w.value(s)
}

func (w *walker) fault(detail string) error {
	var b strings.Builder
	for _, name := range w.path {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(name))
	}
	return lock.Invalid(b.String(), detail)
}

func (w *walker) value(s *shape) error {
	w.space()
	found := w.kind()
	switch {
	case found == "" && !s.null && s.kind != anything:
		return w.fault("is null; leave it out or make it a " + string(s.kind))
	case found == "" || s.kind == anything || found == s.kind:
	case found == text && s.plain:
		w.scalar()
		return nil
	default:
		return w.fault(fmt.Sprintf("must be a %s, not a %s", s.kind, found))
	}
	switch found {
	case object:
		return w.object(s)
	case array:
		return w.list(s)
	case text, number, boolean, anything:
	}
	raw := w.scalar()
	if s.check != nil {
		if err := s.check(raw); err != nil {
			return w.fault(err.Error())
		}
	}
	return nil
}

// kind tells the kind of the value that begins here; "" is null.
func (w *walker) kind() kind {
	switch w.data[w.at] {
	case '{':
		return object
	case '[':
		return array
	case '"':
		return text
	case 't', 'f':
		return boolean
	case 'n':
		return ""
	}
	return number
}

func (w *walker) object(s *shape) error {
	var seen names
	for w.open('}') {
		name := w.name()
		w.path = append(w.path, name)
		if !seen.add(name) {
			return w.fault("is there twice")
		}
		inner := s.elem
		if s.fields != nil {
			if inner = s.fields[name]; inner == nil {
				return w.fault("is not known")
			}
		}
		if inner == nil {
			inner = &shape{kind: anything}
		}
		if err := w.value(inner); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	return nil
}

// names is a set of member names: a short list first, because most objects are
// small, then a map, because a caller could make one large.
type names struct {
	few  []string
	many map[string]struct{}
}

const fewNames = 24

// add answers false when the name was there before.
func (n *names) add(name string) bool {
	if n.many != nil {
		before := len(n.many)
		n.many[name] = struct{}{}
		return len(n.many) > before
	}
	if slices.Contains(n.few, name) {
		return false
	}
	n.few = append(n.few, name)
	if len(n.few) > fewNames {
		n.many = make(map[string]struct{}, 2*fewNames)
		for _, f := range n.few {
			n.many[f] = struct{}{}
		}
	}
	return true
}

func (w *walker) list(s *shape) error {
	inner := s.elem
	if inner == nil {
		inner = &shape{kind: anything}
	}
	for i := 0; w.open(']'); i++ {
		w.path = append(w.path, strconv.Itoa(i))
		if err := w.value(inner); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	return nil
}

// open steps over an opening bracket or a comma; at the closing bracket it
// steps over that and answers false.
func (w *walker) open(closing byte) bool {
	w.space()
	if w.data[w.at] != closing { // the opening bracket or a comma
		w.at++
		w.space()
	}
	if w.data[w.at] != closing {
		return true
	}
	w.at++
	return false
}

// name reads a member's name and the colon behind it.
func (w *walker) name() string {
	w.space()
	raw := w.scalar()
	w.space()
	w.at++
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var name string
	if err := json.Unmarshal(raw, &name); err != nil {
		return string(raw)
	}
	return name
}

// scalar steps over a string, number or word and answers its text.
func (w *walker) scalar() []byte {
	from := w.at
	if w.data[w.at] != '"' {
		for w.at < len(w.data) && !bytes.ContainsRune([]byte(",]} \t\r\n"), rune(w.data[w.at])) {
			w.at++
		}
		return w.data[from:w.at]
	}
	for w.at++; w.data[w.at] != '"'; w.at++ {
		if w.data[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.data[from:w.at]
}

func (w *walker) space() {
	for w.at < len(w.data) {
		switch w.data[w.at] {
		case ' ', '\t', '\r', '\n':
			w.at++
		default:
			return
		}
	}
}
