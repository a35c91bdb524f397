package wire_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/gateway/wire"
)

func TestResource_readsWhatNewerGatewaysSay(t *testing.T) {
	var l wire.Lock
	require.NoError(t, json.Unmarshal([]byte(`{"resources":[{"key":"a","mode":"shared","holders":3},"b"]}`), &l))
	require.Equal(t, []wire.Resource{{Key: "a", Mode: "shared"}, {Key: "b"}}, l.Resources)
}
