package gateway

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/gateway/wire"
)

// delegate sets whom a call is for from the header Lockgate-On-Behalf-Of, such
// as "ann";teams="net,ops". Only subjects with role delegate may send it.
func delegate(caller *lock.Caller, header []string) error {
	if !caller.Subject.Has(lock.RoleDelegate) {
		return &problemError{
			code:   wire.CodeDenied,
			detail: "only a subject with the role " + lock.RoleDelegate + " may send " + wire.HeaderOnBehalfOf,
		}
	}
	actor, err := parseActor(strings.Join(header, ", "))
	if err != nil {
		return &problemError{
			code:   wire.CodeBadRequest,
			detail: fmt.Sprintf("%s must look like \"ann\";teams=\"net,ops\": %s", wire.HeaderOnBehalfOf, err),
		}
	}
	actor.VouchedBy = caller.Subject.ID
	caller.Actor = actor
	return nil
}

// parseActor reads an RFC 8941 item: a string with the parameter teams.
func parseActor(header string) (lock.Actor, error) {
	id, rest, err := quoted(strings.Trim(header, " "))
	if err != nil {
		return lock.Actor{}, err
	}
	if problem := lock.Owner(id).Fault(); problem != "" {
		return lock.Actor{}, errors.New("the name " + problem)
	}
	actor := lock.Actor{ID: id}
	for rest != "" {
		parameter, found := strings.CutPrefix(rest, ";")
		if !found {
			return lock.Actor{}, errors.New("something other than a parameter follows the name")
		}
		name, value, _ := strings.Cut(strings.TrimLeft(parameter, " "), "=")
		if name != "teams" {
			return lock.Actor{}, errors.New("the only parameter is teams")
		}
		var teams string
		if teams, rest, err = quoted(value); err != nil {
			return lock.Actor{}, err
		}
		actor.Teams = strings.FieldsFunc(teams, func(r rune) bool { return r == ',' || r == ' ' })
	}
	return actor, nil
}

// quoted reads an RFC 8941 string from the front of s.
func quoted(s string) (value, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", errors.New("a quoted string is expected")
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch ch := s[i]; {
		case ch == '"':
			return b.String(), s[i+1:], nil
		case ch == '\\':
			i++
			if i == len(s) || (s[i] != '"' && s[i] != '\\') {
				return "", "", errors.New(`only \" and \\ may be escaped`)
			}
			b.WriteByte(s[i])
		case ch < 0x20 || ch > 0x7e:
			return "", "", errors.New("a string is printable ASCII")
		default:
			b.WriteByte(ch)
		}
	}
	return "", "", errors.New("the string has no end")
}
