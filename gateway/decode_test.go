package gateway_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway"
	"github.com/lockgate/lockgate/gateway/wire"
)

func TestBody_faultsHavePointers(t *testing.T) {
	r := start(t)
	const ok = `"resources":["a"],"owner":"o"`
	for _, tc := range []struct{ name, body, pointer string }{
		{"unknown member", `{` + ok + `,"ownr":"x"}`, "/ownr"},
		{"name in another case", `{"resources":["a"],"Owner":"o"}`, "/Owner"},
		{"unknown member inside", `{"resources":["a",{"key":"b","mod":"shared"}],"owner":"o"}`, "/resources/1/mod"},
		{"member twice", `{` + ok + `,"owner":"p"}`, "/owner"},
		{"member twice, escaped", `{` + ok + `,"\u006fwner":"p"}`, "/owner"},
		{"member twice in context", `{` + ok + `,"context":{"pull":{"num":1,"num":2}}}`, "/context/pull/num"},
		{"pointer escapes", `{` + ok + `,"a/b~":1}`, "/a~1b~0"},
		{"wrong kind", `{` + ok + `,"priority":7}`, "/priority"},
		{"wrong kind of a key", `{"resources":[7],"owner":"o"}`, "/resources/0"},
		{"list for text", `{"resources":["a"],"owner":["o"]}`, "/owner"},
		{"text for list", `{"resources":"a","owner":"o"}`, "/resources"},
		{"null", `{"resources":["a"],"owner":null}`, "/owner"},
		{"a label that is no text", `{` + ok + `,"labels":{"x":1}}`, "/labels/x"},
		{"no duration", `{` + ok + `,"ttl":"soon"}`, "/ttl"},
		{"number for duration", `{` + ok + `,"ttl":30}`, "/ttl"},
		{"negative duration", `{` + ok + `,"wait":"-1s"}`, "/wait"},
		{"no object", `["a"]`, ""},
		{"unknown mode", `{"resources":[{"key":"a","mode":"half"}],"owner":"o"}`, "/resources/0/mode"},
		{"unknown priority", `{` + ok + `,"priority":"urgent"}`, "/priority"},
		{"key twice", `{"resources":["a","a"],"owner":"o"}`, "/resources/1/key"},
		{"no resources", `{"owner":"o"}`, "/resources"},
		{"context that is no object", `{` + ok + `,"context":[1]}`, "/context"},
		{"control character", `{"resources":["a\u0007"],"owner":"o"}`, "/resources/0/key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := r.within(t).do("POST", "/v1/locks", tc.body).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
			require.Len(t, p.Errors, 1)
			require.Equal(t, tc.pointer, p.Errors[0].Pointer, "%+v", p.Errors)
			require.NotEmpty(t, p.Errors[0].Detail)
		})
	}
}

func TestBody_allFaultsAtOnce(t *testing.T) {
	r := start(t)
	p := r.do("POST", "/v1/locks", `{"resources":[""],"owner":"","namespace":"`+strings.Repeat("n", 201)+`"}`).
		problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	require.Len(t, p.Errors, 3)
}

func TestBody_thatCannotBeRead(t *testing.T) {
	r := start(t)
	for _, body := range []string{
		`{"owner":`, `{"owner":"o"} {}`, `{"owner":"o"}x`, `{owner:"o"}`, "{\"owner\":\"\xff\"}", `{"owner":"o",}`, "\xef\xbb\xbf{}", "",
	} {
		r.do("POST", "/v1/locks", body).problem(http.StatusBadRequest, wire.CodeBadRequest)
	}
	l := r.held("o", "a")
	r.do("POST", "/v1/locks/"+l.ID+"/verify", `{"token":1.5}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
	r.do("POST", "/v1/locks/"+l.ID+"/verify", `{"token":1e400}`).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}

func TestBody_mediaTypeAndSize(t *testing.T) {
	r := start(t, func(s *setup) { s.config.HTTP.MaxBody = 256 << 10 })
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "application/jsonx", ";"} {
		r.as("Content-Type", media).do("POST", "/v1/locks", body("o", "a")).
			problem(http.StatusUnsupportedMediaType, wire.CodeUnsupportedMediaType)
	}
	r.as("Content-Type", "application/json; charset=utf-8").do("POST", "/v1/locks", body("o", "a")).lock(http.StatusCreated)

	large := `{"owner":"` + strings.Repeat("x", 256<<10) + `"}`
	r.do("POST", "/v1/locks", large).problem(http.StatusRequestEntityTooLarge, wire.CodeTooLarge)
	req, err := r.request(t.Context(), "POST", "/v1/locks", large)
	require.NoError(t, err)
	req.ContentLength = -1 // chunked: nobody said how long it is
	resp, err := r.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
}

func TestBody_attachmentsAreBounded(t *testing.T) {
	r := start(t)
	b := body("o", "a")
	b.Labels = map[string]string{"l": strings.Repeat("x", 10<<10)}
	b.Context = json.RawMessage(`{"c":"` + strings.Repeat("x", 10<<10) + `"}`)
	r.do("POST", "/v1/locks", b).problem(http.StatusUnprocessableEntity, wire.CodeInvalid)
}

func TestRoutes_thatDoNotExist(t *testing.T) {
	r := start(t)
	r.do("GET", "/v1/nothing", nil).problem(http.StatusNotFound, wire.CodeNotFound)
	r.do("GET", "/v1/nowhere", nil).problem(http.StatusNotFound, wire.CodeNotFound)
	a := r.do("PUT", "/v1/locks", nil)
	a.problem(http.StatusMethodNotAllowed, wire.CodeMethodNotAllowed)
	require.Contains(t, a.header.Get("Allow"), "POST")
}

// FuzzDecode: whatever is accepted means the same when it is written out and
// read again, and encoding/json reads it too.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"resources":["a",{"key":"b","mode":"shared"}],"owner":"o","ttl":"1m","labels":{"a":"b"},"context":{"x":[1,{"y":null}]}}`,
		`{"owner":"o","owner":"p"}`, `{"context":{"a":{"a":{}}}}`, `{"\u006fwner":"o"}`, `[[[]]]`, `{"a~/":1}`, `null`, `"x"`, ` { } `, `{"context":"\\\""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := gateway.DecodeAs[wire.AcquireRequest](data)
		_, _ = gateway.DecodeAs[wire.TokenRequest](data)
		_, _ = gateway.DecodeAs[wire.DecisionRequest](data)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		var plain wire.AcquireRequest
		require.NoError(t, d.Decode(&plain))
		require.Empty(t, cmp.Diff(plain, got))
		out, err := json.Marshal(got)
		require.NoError(t, err)
		_, err = gateway.DecodeAs[wire.AcquireRequest](out)
		require.NoError(t, err, "%s", out)
	})
}
