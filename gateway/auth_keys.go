package gateway

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// keysPause is how long a fetched key set answers before it is fetched again:
	// anybody can send a token that names an unknown key.
	keysPause = 10 * time.Second
	// keysRetry is the same after a fetch that failed.
	keysRetry = time.Second
	// maxKeySet bounds the key set of an issuer.
	maxKeySet = 1 << 20
)

// keyDoor bounds how often the keys of an issuer are fetched: in between it
// answers as the issuer did last. It is for one URL.
type keyDoor struct {
	next http.RoundTripper

	mu      sync.Mutex
	again   time.Time // not before then
	status  int
	body    []byte
	failure error
}

// RoundTrip implements http.RoundTripper.
func (d *keyDoor) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !time.Now().Before(d.again) {
		d.fetch(r)
	}
	if d.failure != nil {
		return nil, d.failure
	}
	return &http.Response{
		Status: http.StatusText(d.status), StatusCode: d.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(d.body)), ContentLength: int64(len(d.body)), Request: r,
	}, nil
}

func (d *keyDoor) fetch(r *http.Request) {
	d.status, d.body, d.failure = 0, nil, nil
	resp, err := d.next.RoundTrip(r)
	if err == nil {
		d.status = resp.StatusCode
		d.body, err = io.ReadAll(io.LimitReader(resp.Body, maxKeySet))
		_ = resp.Body.Close() // it was read as far as it counts
	}
	pause := keysPause
	if d.failure = err; err != nil || d.status != http.StatusOK {
		pause = keysRetry
	}
	d.again = time.Now().Add(pause)
}
