package gateway

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
)

// maxWait is the longest that one call stays open to wait.
const maxWait = time.Minute

// params reads the query of a call and collects what is wrong with it.
type params struct {
	values url.Values
	faults []lock.Fault
}

// query accepts the parameters named and no others: a misspelt filter would
// list everything.
func query(c echo.Context, names ...string) *params {
	raw := c.Request().URL.RawQuery
	if raw == "" {
		return &params{}
	}
	values, err := url.ParseQuery(raw)
	p := &params{values: values}
	if err != nil {
		p.fault("", "the query cannot be read: "+err.Error())
	}
	for name := range values {
		if !slices.Contains(names, name) {
			p.fault(name, "is not known; this route takes "+listed(names))
		}
	}
	return p
}

func listed(names []string) string {
	if len(names) == 0 {
		return "no parameters"
	}
	return strings.Join(names, ", ")
}

// inParameter answers err with the parameter's name in place of the one that a
// store gave to the fault.
func inParameter(name string, err error) error {
	if invalid, ok := errors.AsType[*lock.InvalidError](err); ok && len(invalid.Faults) == 1 {
		return lock.Invalid(name, invalid.Faults[0].Detail)
	}
	return err
}

func (p *params) fault(name, detail string) {
	p.faults = append(p.faults, lock.Fault{Pointer: name, Detail: detail})
}

// err answers everything that was wrong as *lock.InvalidError.
func (p *params) err() error {
	if len(p.faults) == 0 {
		return nil
	}
	slices.SortFunc(p.faults, func(a, b lock.Fault) int { return strings.Compare(a.Pointer, b.Pointer) })
	return &lock.InvalidError{Faults: p.faults}
}

func (p *params) has(name string) bool { return p.values.Has(name) }

// text answers a parameter that may be there once.
func (p *params) text(name string) string {
	all := p.values[name]
	if len(all) > 1 {
		p.fault(name, "is there twice")
	}
	if len(all) == 0 {
		return ""
	}
	return all[0]
}

// each answers every value of a parameter that may be repeated or hold several
// values with commas.
func (p *params) each(name string) []string {
	var out []string
	for _, v := range p.values[name] {
		out = append(out, strings.Split(v, ",")...)
	}
	return out
}

// count reads how many of something a list may have.
func (p *params) count(name string, least int) int {
	v := p.text(name)
	if v == "" {
		return defaultLimit
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > maxLimit {
		p.fault(name, "must be a number from "+strconv.Itoa(least)+" to "+strconv.Itoa(maxLimit))
	}
	return n
}

// wait reads how long a call may stay open.
func (p *params) wait(name string, fallback time.Duration) time.Duration {
	v := p.text(name)
	if v == "" {
		return fallback
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 || d > maxWait {
		p.fault(name, "must be a duration from 0s to "+maxWait.String()+", such as 30s")
		return fallback
	}
	return d
}

func (p *params) flag(name string) bool {
	switch v := p.text(name); v {
	case "", "false":
		return false
	case "true":
		return true
	default:
		p.fault(name, "must be true or false")
		return false
	}
}

func (p *params) token(name string) lock.Token {
	v := p.text(name)
	if v == "" {
		return 0
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n >= 1<<53 {
		p.fault(name, "must be a fencing token")
	}
	return lock.Token(n)
}

// pathText answers a path parameter as the caller meant it. Echo matches on the
// escaped path when that differs from the plain one, and leaves parameters so.
func pathText(c echo.Context, name string) (string, error) {
	v := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return v, nil
	}
	plain, err := url.PathUnescape(v)
	if err != nil {
		return "", badRequest("the path cannot be read")
	}
	return plain, nil
}

// lockID answers the id in the path; what cannot be an id is not found.
func lockID(c echo.Context) (lock.ID, error) {
	id, err := pathText(c, "id")
	if err != nil {
		return "", err
	}
	if lock.ID(id).Fault() != "" {
		return "", lock.ErrNotFound
	}
	return lock.ID(id), nil
}

// preferredWait reads Prefer: wait=30 (RFC 7240). A preference that cannot be
// met in full is met as far as it can be; one that cannot be read is none.
func preferredWait(c echo.Context) time.Duration {
	for _, header := range c.Request().Header.Values("Prefer") {
		for preference := range strings.SplitSeq(header, ",") {
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`))
			if err != nil || n < 0 {
				return 0
			}
			return time.Duration(min(n, int(maxWait/time.Second))) * time.Second
		}
	}
	return 0
}
