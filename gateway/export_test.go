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

// MaxSubjectStreams bounds the event streams of one subject.
const MaxSubjectStreams = maxSubjectStreams

// OpenStreams counts the event streams of all subjects.
func (s *Server) OpenStreams() int {
	s.streams.mu.Lock()
	defer s.streams.mu.Unlock()
	return len(s.streams.open)
}

// DecodeAs reads a body as a route that takes a T does.
func DecodeAs[T any](data []byte) (T, error) {
	var into T
	err := decode(data, shapeOf(reflect.TypeFor[T]()), &into)
	return into, err
}

// ParseActor reads the header Lockgate-On-Behalf-Of.
var ParseActor = parseActor

// StripJSON is StripUserInfo for JSON.
var StripJSON = stripJSON

// ProblemOf is the table of errors.
var ProblemOf = problemOf
