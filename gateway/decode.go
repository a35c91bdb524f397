package gateway

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"time"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"github.com/lockgate/lockgate/gateway/wire"
)

// decoders are the shapes of the bodies that routes take.
type decoders struct {
	acquire, token, patch, decision, wait *shape
}

func newDecoders() decoders {
	return decoders{
		acquire:  shapeOf(reflect.TypeFor[wire.AcquireRequest]()),
		token:    shapeOf(reflect.TypeFor[wire.TokenRequest]()),
		patch:    shapeOf(reflect.TypeFor[wire.PatchRequest]()),
		decision: shapeOf(reflect.TypeFor[wire.DecisionRequest]()),
		wait:     shapeOf(reflect.TypeFor[wire.WaitRequest]()),
	}
}

// readJSON reads the body of a call into a value of the given shape. What
// cannot be read at all is bad_request, what differs from the shape is invalid
// with a pointer.
func (s *Server) readJSON(c echo.Context, shape *shape, into any) error {
	if err := jsonMedia(c.Request()); err != nil {
		return err
	}
	data, err := s.readBody(c)
	if err != nil {
		return err
	}
	return decode(data, shape, into)
}

// decode is readJSON without the call around it.
func decode(data []byte, shape *shape, into any) error {
	switch {
	case len(data) == 0:
		return badRequest("the body is empty: send a JSON object")
	case !utf8.Valid(data):
		return badRequest("the body is not UTF-8")
	case !json.Valid(data):
		return badRequest(syntaxFault(data, into))
	}
	if err := conform(data, shape); err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return invalidValue(err)
	}
	return nil
}

// invalidValue is a value of the right kind that does not fit, such as a number
// with a fraction where a token belongs.
func invalidValue(err error) error {
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return &problemError{code: wire.CodeInvalid, detail: kind.Field + " cannot be " + kind.Value}
	}
	return &problemError{code: wire.CodeInvalid, detail: err.Error()}
}

func syntaxFault(data []byte, into any) string {
	if err := json.Unmarshal(data, into); err != nil {
		return "the body is not one JSON value: " + err.Error()
	}
	return "the body is not one JSON value"
}

func badRequest(detail string) error {
	return &problemError{code: wire.CodeBadRequest, detail: detail}
}

func jsonMedia(r *http.Request) error {
	given := r.Header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(given)
	if err == nil && media == "application/json" {
		return nil
	}
	return &problemError{
		code:   wire.CodeUnsupportedMediaType,
		detail: "send the body with Content-Type: application/json",
	}
}

// readBody reads the whole body within the size limit and the read timeout. The
// deadline is set for the body alone: left standing it would end a call that
// waits.
func (s *Server) readBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > int64(s.cfg.HTTP.MaxBody) {
		return nil, &http.MaxBytesError{Limit: int64(s.cfg.HTTP.MaxBody)}
	}
	rc := http.NewResponseController(c.Response())
	bounded := rc.SetReadDeadline(time.Now().Add(s.cfg.HTTP.ReadTimeout)) == nil
	data, err := readAll(r)
	switch {
	case err != nil: // the deadline stands: the server would wait for the rest of the body
		c.Response().Header().Set("Connection", "close")
	case bounded:
		err = rc.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil, errors.As(err, &tooLarge):
		return data, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, badRequest("the body took longer than " + s.cfg.HTTP.ReadTimeout.String())
	}
	return nil, badRequest("the body broke off")
}

func readAll(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 {
		return io.ReadAll(r.Body)
	}
	data := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, data)
	return data, err
}
