package gateway

import "reflect"

// RouteNames lists what is served, as METHOD /path/{parameter}.
func (s *Server) RouteNames() []string {
	var out []string
	for _, r := range s.echo.Routes() {
		out = append(out, r.Method+" "+s.routes[r.Path])
	}
	return out
}

// DecodeAs reads a body as a route that takes a T does.
func DecodeAs[T any](data []byte) (T, error) {
	var into T
	err := decode(data, shapeOf(reflect.TypeFor[T]()), &into)
	return into, err
}

// ParseActor reads the header Lockgate-On-Behalf-Of.
var ParseActor = parseActor

// ProblemOf is the table of errors.
var ProblemOf = problemOf
