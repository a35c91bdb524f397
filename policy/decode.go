package policy

import (
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/lockgate/lockgate/core/lock"
)

const (
	maxResultBytes = 64 << 10
	maxSeconds     = 1 << 31 // of a limit: 68 years
	maxPoints      = 1 << 20 // of one contribution, either way
)

// count puts what one voice said into the ballot. Every contribution is checked
// again here: what the compiler could only call "any" is held against the
// contract now, and a wrong one is an error, never a limit or a denial less.
func (b *ballot) count(v *voice, said ast.Value, mode Mode) error {
	set, ok := said.(ast.Set)
	if !ok {
		return fmt.Errorf("%s of policy %s is a %s, not a set", v.rule, v.scope.label(), ast.ValueName(said))
	}
	for _, term := range set.Slice() {
		if err := b.contribution(v, term, mode); err != nil {
			return fmt.Errorf("%s of policy %s: %w", v.rule, v.scope.label(), err)
		}
	}
	return nil
}

func (b *ballot) contribution(v *voice, term *ast.Term, mode Mode) error {
	name := v.scope.label()
	switch v.rule {
	case ruleGrant:
		why, err := textTerm(term)
		if err == nil && mode != ModeShadow {
			b.out.Grants = append(b.out.Grants, grantLine{Policy: name, Why: why})
		}
		return err
	case ruleDeny:
		return b.denial(name, term, mode)
	case ruleWarn:
		finding, err := findingTerm(name, term)
		if err == nil && mode != ModeShadow {
			b.out.Warn = append(b.out.Warn, finding)
		}
		return err
	case rulePoints:
		return b.points(v, term, mode)
	case ruleLevelGrant, ruleDeadlockAction:
		return b.word(v, term, mode)
	case ruleObligation:
		return b.obligation(term, mode)
	}
	return b.limit(v.rule, term, mode)
}

func (b *ballot) denial(name string, term *ast.Term, mode Mode) error {
	finding, err := findingTerm(name, term)
	if err != nil {
		return err
	}
	switch mode {
	case ModeDeny:
		b.out.Deny = append(b.out.Deny, finding)
	case ModeWarn:
		b.out.Warn = append(b.out.Warn, finding)
	case ModeShadow:
		b.out.Shadow = append(b.out.Shadow, finding)
	}
	return nil
}

func (b *ballot) points(v *voice, term *ast.Term, mode Mode) error {
	members, err := exactly(term, "why", "points")
	if err != nil {
		return err
	}
	why, err := textTerm(members[0])
	if err != nil {
		return fmt.Errorf("why: %w", err)
	}
	n, err := intTerm(members[1], -maxPoints, maxPoints)
	if err != nil {
		return fmt.Errorf("points: %w", err)
	}
	switch {
	case mode == ModeShadow:
	case v.scope.kind == scopeOrg:
		b.orgName = v.scope.label()
		b.orgPoints += n
	default:
		b.out.Priority.Points = append(b.out.Priority.Points, pointLine{Policy: v.scope.label(), Why: why, Points: n})
	}
	return nil
}

// word counts contributions that are one string and no finding.
func (b *ballot) word(v *voice, term *ast.Term, mode Mode) error {
	said, err := textTerm(term)
	if err != nil {
		return err
	}
	if v.rule == ruleDeadlockAction && said != actionCancelWait && said != actionRevoke {
		return fmt.Errorf("%q is no deadlock action: use cancel_wait or revoke", said)
	}
	if mode == ModeShadow {
		return nil
	}
	if v.rule == ruleDeadlockAction {
		b.actions = append(b.actions, said)
		return nil
	}
	if b.levels == nil {
		b.levels = map[string]bool{}
	}
	b.levels[v.level] = true
	return nil
}

func (b *ballot) limit(rule string, term *ast.Term, mode Mode) error {
	lowest, highest := 0, maxSeconds
	switch rule {
	case ruleMaxTTL:
		lowest = 1
	case rulePreemptBelow:
		highest = lock.MaxValue
	}
	n, err := intTerm(term, lowest, highest)
	if err != nil || mode == ModeShadow {
		return err
	}
	switch rule {
	case ruleMaxTTL:
		b.out.Limits.TTL = least(b.out.Limits.TTL, n)
	case ruleMaxWait:
		b.out.Limits.Wait = least(b.out.Limits.Wait, n)
	case ruleMaxQueue:
		b.out.Limits.Queue = least(b.out.Limits.Queue, n)
	case rulePreemptBelow:
		b.below = least(b.below, n)
	default:
		return fmt.Errorf("%s is no rule of the contract", rule)
	}
	return nil
}

func (b *ballot) obligation(term *ast.Term, mode Mode) error {
	object, ok := term.Value.(ast.Object)
	if !ok {
		return fmt.Errorf("%s is no object with a type", term)
	}
	kind := object.Get(ast.InternedTerm("type"))
	if kind == nil {
		return fmt.Errorf("%s has no type", term)
	}
	if _, err := textTerm(kind); err != nil {
		return fmt.Errorf("type: %w", err)
	}
	if mode != ModeShadow {
		b.duties.Add(term)
	}
	return nil
}

// obligations answers the duties in the order of rego's sets, each once.
func (b *ballot) obligations() ([]map[string]any, error) {
	list := make([]map[string]any, 0, b.duties.Len())
	for _, term := range b.duties.Slice() {
		plain, err := ast.JSON(term.Value)
		if err != nil {
			return nil, fmt.Errorf("obligation: %w", err)
		}
		members, ok := plain.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("obligation: %s is no object", term)
		}
		list = append(list, members)
	}
	return list, nil
}

func findingTerm(policy string, term *ast.Term) (lock.Reason, error) {
	members, err := exactly(term, "code", "msg")
	if err != nil {
		return lock.Reason{}, err
	}
	code, err := textTerm(members[0])
	if err != nil {
		return lock.Reason{}, fmt.Errorf("code: %w", err)
	}
	msg, err := textTerm(members[1])
	if err != nil {
		return lock.Reason{}, fmt.Errorf("msg: %w", err)
	}
	return lock.Reason{Policy: policy, Code: code, Msg: msg}, nil
}

// exactly takes the named members of an object that has no others.
func exactly(term *ast.Term, names ...string) ([]*ast.Term, error) {
	object, ok := term.Value.(ast.Object)
	if !ok || object.Len() != len(names) {
		return nil, fmt.Errorf("%s is no object with exactly %q", term, names)
	}
	members := make([]*ast.Term, len(names))
	for i, name := range names {
		if members[i] = object.Get(ast.InternedTerm(name)); members[i] == nil {
			return nil, fmt.Errorf("%s has no %q", term, name)
		}
	}
	return members, nil
}

func textTerm(term *ast.Term) (string, error) {
	s, ok := term.Value.(ast.String)
	if !ok {
		return "", fmt.Errorf("%s is no string", term)
	}
	return string(s), nil
}

func intTerm(term *ast.Term, lowest, highest int) (int, error) {
	number, ok := term.Value.(ast.Number)
	if !ok {
		return 0, fmt.Errorf("%s is no integer", term)
	}
	n, ok := number.Int()
	if !ok || n < lowest || n > highest {
		return 0, fmt.Errorf("%s is no integer from %d to %d", term, lowest, highest)
	}
	return n, nil
}

// weigh estimates the bytes of an answer and stops at the bound.
func weigh(v ast.Value, left int) int {
	switch v := v.(type) {
	case ast.String:
		left -= len(v)
	case *ast.Array:
		v.Until(func(t *ast.Term) bool { left = weigh(t.Value, left); return left < 0 })
	case ast.Set:
		v.Until(func(t *ast.Term) bool { left = weigh(t.Value, left); return left < 0 })
	case ast.Object:
		v.Until(func(key, value *ast.Term) bool {
			left = weigh(value.Value, weigh(key.Value, left))
			return left < 0
		})
	}
	return left - 8
}
