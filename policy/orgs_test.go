package policy

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// A thousand organisations are a thousand packages, and each decides about its
// own resources only.
func TestDecide_onlyTheResourcesOwnOrganisationIsHeard(t *testing.T) {
	files := map[string]string{"p.rego": grantAll}
	for i := range 1000 {
		files[fmt.Sprintf("org/o%d.rego", i)] = fmt.Sprintf(
			"package lockgate.org[\"o-%d\"]\n\ndeny contains {\"code\": \"o%d\", \"msg\": \"no\"} if input.command.name == \"apply\"\n", i, i)
	}
	e := engine(t, files)
	q := question()
	q.Context = []byte(`{"command": "apply"}`)
	require.True(t, decide(t, e, q).Allow)
	for _, i := range []int{0, 7, 999} {
		q.Namespace = lock.Namespace(fmt.Sprintf("o-%d/infra", i))
		q.Resources = []lock.Resource{{Key: lock.Key(q.Namespace) + "/vpc/default/"}}
		require.Equal(t, []lock.Reason{{Policy: fmt.Sprintf("org/o-%d", i), Code: fmt.Sprintf("o%d", i), Msg: "no"}}, decide(t, e, q).Reasons)
	}
}
