package settings

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
)

// decodeFile decodes strictly: one document, no key that the struct has not.
func decodeFile(name string, source []byte, into any) error {
	d := yaml.NewDecoder(bytes.NewReader(source), yaml.Strict())
	var document any
	err := d.Decode(&document)
	if errors.Is(err, io.EOF) || (err == nil && document == nil) {
		return nil // decoding null would clear the defaults
	}
	if err != nil {
		return positioned(name, source, into, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: a configuration is one YAML document", name)
	}
	if err := yaml.UnmarshalWithOptions(source, into, yaml.Strict()); err != nil {
		return positioned(name, source, into, err)
	}
	return nil
}

// positioned puts file:line:column before an error of the YAML decoder.
func positioned(name string, source []byte, into any, err error) error {
	e := yaml.Error(nil)
	if !errors.As(err, &e) || e.GetToken() == nil {
		return refusedText(name, source, into, err)
	}
	at := e.GetToken().Position
	_, snippet, _ := strings.Cut(e.FormatError(false, true), "\n")
	return fmt.Errorf("%s:%d:%d: %s\n%s", name, at.Line, at.Column, e.GetMessage(), strings.TrimRight(snippet, "\n"))
}

// refusedText finds the key whose UnmarshalText answered err: the decoder does
// not say which one it was.
func refusedText(name string, source []byte, into any, err error) error {
	for _, k := range keys(into) {
		p, pathErr := yaml.PathString("$." + k.Path)
		if pathErr != nil {
			continue
		}
		fault := p.Read(bytes.NewReader(source), reflect.New(k.value.Type()).Interface())
		if fault != nil && fault.Error() == err.Error() {
			return inFile(name, source, k.Path, fault.Error())
		}
	}
	return fmt.Errorf("%s: %w", name, err)
}

// inFile is a fault with the place of a key in the file and a caret below it.
func inFile(name string, source []byte, path, message string) error {
	p, err := yaml.PathString("$." + path)
	if err != nil {
		return fmt.Errorf("%s: %s: %s", name, path, message)
	}
	node, err := p.ReadNode(bytes.NewReader(source))
	if err != nil {
		return fmt.Errorf("%s: %s: %s", name, path, message)
	}
	snippet, err := p.AnnotateSource(source, false)
	if err != nil {
		return fmt.Errorf("%s: %s: %s", name, path, message)
	}
	at := node.GetToken().Position
	return fmt.Errorf("%s:%d:%d: %s: %s\n%s", name, at.Line, at.Column, path, message, bytes.TrimRight(snippet, "\n"))
}
