package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/backend/redis/redistest"
)

// TestRedis_networkFaults puts a proxy between one of two gateways and Redis and
// breaks the connections in every way it knows.
func TestRedis_networkFaults(t *testing.T) {
	chaos(t)
	for name, toxics := range map[string][]string{
		"latency":         {`{"type":"latency","stream":"downstream","attributes":{"latency":100,"jitter":50}}`},
		"reset":           {`{"type":"reset_peer","stream":"downstream","attributes":{"timeout":20}}`},
		"slow close":      {`{"type":"slow_close","stream":"downstream","attributes":{"delay":500}}`, `{"type":"reset_peer","stream":"upstream","attributes":{"timeout":20}}`},
		"requests vanish": {`{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`},
		"answers vanish":  {`{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			proxy := startProxy(t, server.Addr)
			f := startFleet(t, 1, "redis://"+proxy.Listen)
			whole := startFleet(t, 1, server.URL())
			f.gateways, f.addresses = append(f.gateways, whole.gateways...), append(f.addresses, whole.addresses...)
			a := f.startAudit(t)
			for range rounds(1, 10) {
				for _, toxic := range toxics {
					_, err := proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
					require.NoError(t, err)
				}
				fault := time.NewTimer(time.Second)
				<-fault.C
				proxy.Toxics.ResetToxics(t.Context())
				a.moves(t)
			}
			a.end(t)
		})
	}
}

// startProxy is a proxy of a server, without faults.
func startProxy(t *testing.T, upstream string) *toxiproxy.Proxy {
	t.Helper()
	s := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxiproxy.NewProxy(s, "redis", freeAddress(t), upstream)
	require.NoError(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	return proxy
}
