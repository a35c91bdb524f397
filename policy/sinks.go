package policy

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// maxInputBytes bounds the text of one evaluation's input.
const maxInputBytes = 64 << 10

// termSink builds the value of a field as rego sees it, and counts its bytes.
type termSink struct {
	term *ast.Term
	size int
	err  error
}

func (t *termSink) text(s string) {
	t.size += len(s) + 8
	t.term = ast.InternedTerm(s)
}

func (t *termSink) number(n int64) {
	t.size += 8
	t.term = ast.InternedTerm(n)
}

func (t *termSink) flag(b bool) {
	t.size++
	t.term = ast.InternedTerm(b)
}

func (t *termSink) texts(list []string) {
	terms := make([]*ast.Term, len(list))
	for i, s := range list {
		t.text(s)
		terms[i] = t.term
	}
	t.term = ast.ArrayTerm(terms...)
}

func (t *termSink) pairs(m map[string]string) {
	object := ast.NewObjectWithCapacity(len(m))
	for k, s := range m {
		t.text(s)
		t.size += len(k)
		object.Insert(ast.StringTerm(k), t.term)
	}
	t.term = ast.NewTerm(object)
}

func (t *termSink) document(v any) {
	value, err := ast.InterfaceToValue(v)
	if err != nil {
		t.err = err
		return
	}
	t.size += measure(v)
	t.term = ast.NewTerm(value)
}

func (t *termSink) windows(active []*window) {
	terms := make([]*ast.Term, len(active))
	for i, w := range active {
		t.size += len(w.name) + len(w.kind) + len(w.reason) + 16
		terms[i] = ast.ObjectTerm(
			ast.Item(ast.InternedTerm("name"), ast.StringTerm(w.name)),
			ast.Item(ast.InternedTerm("kind"), ast.StringTerm(w.kind)),
			ast.Item(ast.InternedTerm("from_ns"), ast.InternedTerm(w.from)),
			ast.Item(ast.InternedTerm("to_ns"), ast.InternedTerm(w.to)),
			ast.Item(ast.InternedTerm("reason"), ast.StringTerm(w.reason)),
		)
	}
	t.term = ast.ArrayTerm(terms...)
}

// measure estimates the bytes of a decoded JSON value.
func measure(v any) int {
	size := 8
	switch v := v.(type) {
	case string:
		size += len(v)
	case []any:
		for _, e := range v {
			size += measure(e)
		}
	case map[string]any:
		for k, e := range v {
			size += len(k) + measure(e)
		}
	}
	return size
}

// keySink appends the value of a field to a memo key. Every value carries its
// kind and its length, so two different sequences of values never spell the
// same key.
type keySink struct {
	key []byte
	sub []string // the part of a map or document that is read; nil all
}

const (
	markText byte = iota + 1
	markNumber
	markFlag
	markList
	markMap
	markNull
	markAbsent
	markOther
)

func (k *keySink) text(s string) {
	k.key = append(k.key, markText)
	k.key = binary.AppendUvarint(k.key, uint64(len(s)))
	k.key = append(k.key, s...)
}

func (k *keySink) number(n int64) {
	k.key = append(k.key, markNumber)
	k.key = binary.AppendVarint(k.key, n)
}

func (k *keySink) flag(b bool) {
	k.key = strconv.AppendBool(append(k.key, markFlag), b)
}

func (k *keySink) open(mark byte, n int) {
	k.key = append(k.key, mark)
	k.key = binary.AppendVarint(k.key, int64(n))
}

func (k *keySink) texts(list []string) {
	k.open(markList, len(list))
	for _, s := range list {
		k.text(s)
	}
}

func (k *keySink) pairs(m map[string]string) {
	if len(k.sub) > 0 {
		if s, ok := m[k.sub[0]]; ok {
			k.text(s)
			return
		}
		k.key = append(k.key, markAbsent)
		return
	}
	k.open(markMap, len(m))
	for _, name := range sortedKeys(m) {
		k.text(name)
		k.text(m[name])
	}
}

func (k *keySink) document(v any) {
	for _, name := range k.sub {
		m, ok := v.(map[string]any)
		if !ok {
			break // a list or a scalar: all of it decides
		}
		if v, ok = m[name]; !ok {
			k.key = append(k.key, markAbsent)
			return
		}
	}
	k.value(v)
}

func (k *keySink) value(v any) {
	switch v := v.(type) {
	case nil:
		k.key = append(k.key, markNull)
	case string:
		k.text(v)
	case bool:
		k.flag(v)
	case json.Number:
		k.open(markNumber, len(v))
		k.key = append(k.key, v...)
	case []any:
		k.open(markList, len(v))
		for _, e := range v {
			k.value(e)
		}
	case map[string]any:
		k.open(markMap, len(v))
		for _, name := range sortedKeys(v) {
			k.text(name)
			k.value(v[name])
		}
	default:
		s := fmt.Sprintf("%#v", v) // quotes what is inside
		k.open(markOther, len(s))
		k.key = append(k.key, s...)
	}
}

func (k *keySink) windows(active []*window) {
	k.open(markList, len(active))
	for _, w := range active {
		k.text(w.name)
		k.text(w.kind)
		k.text(w.reason)
		k.number(w.from)
		k.number(w.to)
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
