package policy

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
)

// inputBuilder makes the input of an evaluation from some or all fields. It
// never changes.
type inputBuilder struct {
	sections []section
}

type section struct {
	name   *ast.Term
	fields []field
	names  []*ast.Term
}

// newInputBuilder takes fields with those of one section side by side.
func newInputBuilder(list []field) *inputBuilder {
	b := &inputBuilder{}
	for _, f := range list {
		n := len(b.sections)
		if n == 0 || b.sections[n-1].fields[0].section != f.section {
			b.sections = append(b.sections, section{name: ast.StringTerm(f.section)})
			n++
		}
		s := &b.sections[n-1]
		s.fields = append(s.fields, f)
		s.names = append(s.names, ast.StringTerm(f.name))
	}
	return b
}

// build answers the input for one resource, or why policies cannot be asked:
// *lock.InvalidError when the caller attached what cannot be read.
func (b *inputBuilder) build(v *view) (*ast.Term, error) {
	to := &termSink{}
	input := ast.NewObjectWithCapacity(len(b.sections))
	for i := range b.sections {
		s := &b.sections[i]
		if s.fields[0].name == "" {
			s.fields[0].write(v, to)
			input.Insert(s.name, to.term)
			continue
		}
		object := ast.NewObjectWithCapacity(len(s.fields))
		for j := range s.fields {
			s.fields[j].write(v, to)
			object.Insert(s.names[j], to.term)
		}
		input.Insert(s.name, ast.NewTerm(object))
	}
	if v.contextErr != nil {
		return nil, v.contextErr
	}
	if to.err != nil {
		return nil, fmt.Errorf("build the input: %w", to.err)
	}
	if to.size > maxInputBytes {
		return nil, fmt.Errorf("the input has more than %d bytes", maxInputBytes)
	}
	return ast.NewTerm(input), nil
}
