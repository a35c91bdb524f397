package settings

import (
	"encoding"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// set gives the key a value that was written in the environment or in a flag.
// The error does not repeat the text: it may be a secret.
func (k Key) set(text string) error {
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](k.value.Addr()); ok {
		return u.UnmarshalText([]byte(text))
	}
	if d, ok := reflect.TypeAssert[*time.Duration](k.value.Addr()); ok {
		parsed, err := time.ParseDuration(text)
		if err != nil {
			return errors.New("must be a duration such as 500ms, 30s or 24h")
		}
		*d = parsed
		return nil
	}
	switch k.value.Kind() { //nolint:exhaustive // scalars are read by YAML
	case reflect.String:
		k.value.SetString(text)
		return nil
	case reflect.Slice:
		return k.setYAML(bracketed(text, "[", "]"), "must be a list such as a,b")
	case reflect.Map:
		return k.setYAML(bracketed(text, "{", "}"), "must be a map such as a: 1, b: 2")
	default:
		return k.setYAML(text, "must be of type "+k.kind())
	}
}

func bracketed(text, open, closing string) string {
	if strings.HasPrefix(strings.TrimSpace(text), open) {
		return text
	}
	return open + text + closing
}

func (k Key) setYAML(text, expected string) error {
	fresh := reflect.New(k.value.Type())
	if err := yaml.UnmarshalWithOptions([]byte(text), fresh.Interface(), yaml.Strict()); err != nil {
		return errors.New(expected)
	}
	k.value.Set(fresh.Elem())
	return nil
}

// text is the key's value as a person would write it, without passwords.
func (k Key) text() (string, error) {
	v := k.value.Interface()
	if m, ok := v.(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		return string(text), err
	}
	switch v := v.(type) {
	case time.Duration:
		return shortDuration(v), nil
	case string:
		return redacted(v), nil
	}
	text, err := yaml.MarshalWithOptions(v, yaml.Flow(true))
	return strings.TrimSpace(string(text)), err
}

// shortDuration leaves out the zeros that Go prints: 24h, not 24h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// redacted hides the password of a URL.
func redacted(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.User == nil {
		return s
	}
	return u.Redacted()
}
