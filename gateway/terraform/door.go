package terraform

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/core/lock"
	"github.com/lockgate/lockgate/core/orchestrator"
	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/wire"
)

// The methods of Terraform's lock protocol, which net/http has no names for.
const (
	methodLock   = "LOCK"
	methodUnlock = "UNLOCK"
)

const root = "/terraform/"

// Door serves the lock protocol of Terraform's http backend. It is safe for
// concurrent use.
type Door struct {
	orchestrator *orchestrator.Orchestrator
	log          *slog.Logger
}

// New builds a door to an orchestrator.
func New(o *orchestrator.Orchestrator, logger *slog.Logger) *Door {
	return &Door{orchestrator: o, log: logger}
}

// Mount adds the door's routes to a gateway. PUT and DELETE are for
// configurations that set lock_method and unlock_method so.
func (d *Door) Mount(routes gateway.Routes) {
	for method, handler := range map[string]echo.HandlerFunc{
		methodLock:        d.lock,
		http.MethodPut:    d.lock,
		methodUnlock:      d.unlock,
		http.MethodDelete: d.unlock,
		http.MethodGet:    noStorage,
		http.MethodPost:   noStorage,
	} {
		routes.Add(method, root+"*", handler)
	}
}

// state is the Terraform state that a call is about.
type state struct {
	namespace lock.Namespace
	key       lock.Key
}

// stateOf reads /terraform/{namespace}/{state}: the namespace is one segment in
// which slashes are escaped, the state is everything after it.
func stateOf(c echo.Context) (state, error) {
	escaped := strings.TrimPrefix(c.Request().URL.EscapedPath(), root)
	first, rest, _ := strings.Cut(escaped, "/")
	namespace, err := url.PathUnescape(first)
	if err != nil {
		return state{}, lock.Invalid("namespace", "is not percent-escaped as a URL is")
	}
	name, err := url.PathUnescape(rest)
	if err != nil {
		return state{}, lock.Invalid("state", "is not percent-escaped as a URL is")
	}
	s := state{namespace: lock.Namespace(namespace), key: lock.Key("terraform/" + name)}
	var faults []lock.Fault
	if fault := s.namespace.Fault(); fault != "" {
		faults = append(faults, lock.Fault{Pointer: "namespace", Detail: fault + ": the address is /terraform/{namespace}/{state}"})
	}
	fault := s.key.Fault()
	if name == "" {
		fault = "is empty: the address is /terraform/{namespace}/{state}"
	}
	if fault != "" {
		faults = append(faults, lock.Fault{Pointer: "state", Detail: fault})
	}
	if faults != nil {
		return state{}, &lock.InvalidError{Faults: faults}
	}
	return s, nil
}

// callerOf is who calls, through this door.
func callerOf(c echo.Context) *lock.Caller {
	caller := *gateway.CallerFrom(c)
	caller.Source = lock.FromTerraform
	return &caller
}

// noStorage answers reads and writes of state.
func noStorage(c echo.Context) error {
	return problem(c, http.StatusNotImplemented, wire.CodeNotImplemented,
		"this gateway keeps locks, not state, and no upstream is configured for this one: "+
			"point lock_address and unlock_address here, and address at the state's own storage")
}

// problem answers with a problem that no error of the core stands for.
func problem(c echo.Context, status int, code, detail string) error {
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	return c.JSON(status, &wire.Problem{
		Type: wire.ProblemType + code, Title: http.StatusText(status), Status: status, Code: code,
		Detail: detail, Instance: c.Request().URL.EscapedPath(),
	})
}
