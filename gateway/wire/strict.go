package wire

import (
	"bytes"
	"encoding/json"
)

// strict decodes one JSON value and refuses unknown members.
func strict(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
