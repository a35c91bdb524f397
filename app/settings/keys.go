package settings

import (
	"encoding"
	"reflect"
	"strings"
	"time"
)

// Key is one value of a configuration struct: a field that is no struct, or one
// that is written as text.
type Key struct {
	Path  string // such as http.tls.cert_file
	value reflect.Value
}

// keys answers every key of the struct that p points to, in the order of its
// fields.
func keys(p any) []Key {
	return appendKeys(nil, "", reflect.ValueOf(p).Elem())
}

// Paths answers the path of every key of the struct that p points to.
func Paths(p any) []string {
	all := keys(p)
	paths := make([]string, len(all))
	for i, k := range all {
		paths[i] = k.Path
	}
	return paths
}

func appendKeys(all []Key, prefix string, v reflect.Value) []Key {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		path, field := prefix+name, v.Field(i)
		if field.Kind() == reflect.Struct && !isText(field) {
			all = appendKeys(all, path+".", field)
			continue
		}
		all = append(all, Key{Path: path, value: field})
	}
	return all
}

func isText(v reflect.Value) bool {
	_, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	return ok
}

// variable is the key's name in the environment, without the prefix.
func (k Key) variable() string {
	return strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// kind is what --help shows after a flag's name.
func (k Key) kind() string {
	if _, ok := reflect.TypeAssert[time.Duration](k.value); ok {
		return "duration"
	}
	if isText(k.value) {
		return "string"
	}
	switch k.value.Kind() { //nolint:exhaustive // the rest is written as a string
	case reflect.Bool:
		return "bool"
	case reflect.Int, reflect.Int64:
		return "int"
	case reflect.Float64:
		return "number"
	case reflect.Slice:
		return "list"
	case reflect.Map:
		return "map"
	default:
		return "string"
	}
}

// isEmpty says that the key is a list or a map with nothing in it.
func (k Key) isEmpty() bool {
	kind := k.value.Kind()
	return (kind == reflect.Slice || kind == reflect.Map) && k.value.Len() == 0
}

// Differences answers the paths of the keys whose values differ between two
// structs of one type.
func Differences(a, b any) []string {
	var paths []string
	theirs := keys(b)
	for i, k := range keys(a) {
		if !reflect.DeepEqual(k.value.Interface(), theirs[i].value.Interface()) {
			paths = append(paths, k.Path)
		}
	}
	return paths
}
