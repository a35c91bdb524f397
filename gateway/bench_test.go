package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway/wire"
)

// BenchmarkAcquireRelease is one acquire and its release over HTTP; one
// operation is two calls. BenchmarkBareEcho is the floor of the same two calls.
func BenchmarkAcquireRelease(b *testing.B) {
	r, _ := assemble(b)
	server := httptest.NewServer(r.Handler())
	b.Cleanup(server.Close)
	var n atomic.Int64
	pairs(b, server, func() string {
		return fmt.Sprintf(`{"namespace":"acme/infra","resources":["acme/infra/%d/default/"],"owner":"atlantis:acme/infra#42","ttl":"30m"}`, n.Add(1))
	})
}

func BenchmarkBareEcho(b *testing.B) {
	e := echo.New()
	e.POST("/v1/locks", func(c echo.Context) error {
		var body wire.AcquireRequest
		if err := c.Bind(&body); err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, &wire.Lock{ID: "01JDA000000000000000000000", Token: 7, Owner: body.Owner})
	})
	e.DELETE("/v1/locks/:id", func(c echo.Context) error {
		return c.JSON(http.StatusOK, &wire.Lock{ID: c.Param("id")})
	})
	server := httptest.NewServer(e)
	b.Cleanup(server.Close)
	pairs(b, server, func() string { return `{"resources":["acme/infra/1/default/"],"owner":"o"}` })
}

func pairs(b *testing.B, server *httptest.Server, body func() string) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	client := &http.Client{Transport: transport}
	b.Cleanup(transport.CloseIdleConnections)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			data := call(b, client, "POST", server.URL+"/v1/locks", body(), http.StatusCreated)
			id, token := cut(data, `"id":"`, '"'), cut(data, `"token":`, ',')
			call(b, client, "DELETE", server.URL+"/v1/locks/"+id+"?token="+token, "", http.StatusOK)
		}
	})
	b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func cut(text, after string, until byte) string {
	_, rest, _ := strings.Cut(text, after)
	return rest[:strings.IndexByte(rest, until)]
}

func call(b *testing.B, client *http.Client, method, url, body string, want int) string {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, url, strings.NewReader(body))
	require.NoError(b, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	require.NoError(b, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	require.Equal(b, want, resp.StatusCode, "%s", data)
	return string(data)
}
