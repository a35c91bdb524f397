package client

import (
	"bufio"
	"io"
	"strings"
)

// maxLine bounds one line of an event stream, in bytes.
const maxLine = 1 << 20

// message is one block of a text/event-stream as far as it matters here; a
// comment, such as a heartbeat, is a message without data.
type message struct {
	id   string
	kind string // empty: an event of the lock table
	data string
}

// readStream hands on each message of a text/event-stream. The end of the stream
// is io.ErrUnexpectedEOF: a gateway's stream has none. A message that the end
// cut off is dropped.
func readStream(r io.Reader, each func(message) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	var m message
	var data []string
	for lines.Scan() {
		line := lines.Text()
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "":
			m.data = strings.Join(data, "\n")
			if err := each(m); err != nil {
				return err
			}
			m, data = message{}, nil
		case field == "":
			if err := each(message{}); err != nil {
				return err
			}
		case field == "id":
			m.id = value
		case field == "event":
			m.kind = value
		case field == "data":
			data = append(data, value)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
