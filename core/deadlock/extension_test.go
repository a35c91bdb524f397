package deadlock

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/core/lock"
)

// hubAndThree is three rings that share an owner.
func hubAndThree() *table {
	tab := newTable()
	tab.hold("hub", "k0")
	tab.hold("a", "ka")
	tab.hold("b", "kb")
	tab.hold("c", "kc")
	tab.wait("a", "k0")
	tab.wait("b", "k0")
	tab.wait("c", "k0")
	tab.wait("hub", "ka", "kb", "kc")
	return tab
}

// inTurn is an extension that answers one owner after the other.
type inTurn struct {
	answers []string
	asked   []*Dispute
}

func (g *inTurn) SelectVictim(_ context.Context, extension string, d *Dispute) (Choice, error) {
	answer := g.answers[len(g.asked)]
	g.asked = append(g.asked, d)
	return Choice{Victim: lock.Owner(answer), Reason: extension + " says so"}, nil
}

func TestExtension_isAskedUntilNoRingIsLeftAndSparesTheUnneeded(t *testing.T) {
	cfg := DefaultConfig()
	cfg.VictimPolicy = "wasm:two-minds"
	g := &inTurn{answers: []string{"a", "hub"}}
	d, err := New(cfg, g)
	require.NoError(t, err)
	found := d.Sweep(t.Context(), hubAndThree().graph())
	require.NoError(t, found[0].Fallback)
	require.Len(t, found[0].Victims, 1)
	require.Equal(t, lock.Owner("hub"), found[0].Victims[0].Owner, "a is not needed once hub gives way")
	require.Equal(t, "two-minds says so", found[0].Victims[0].Reason)

	require.Len(t, g.asked, 2)
	require.Equal(t, []lock.Owner{"a", "b", "c", "hub"}, ownersIn(g.asked[0]))
	require.Equal(t, []lock.Owner{"b", "c", "hub"}, ownersIn(g.asked[1]))
	require.NotContains(t, g.asked[1].Cycle.Owners(), lock.Owner("a"))
	require.Equal(t, found[0].ID, g.asked[0].ID)
}

func TestExtension_withoutExtensionsThePolicyFallsBack(t *testing.T) {
	cfg := DefaultConfig()
	cfg.VictimPolicy = "wasm:fair-victim"
	d, err := New(cfg, nil)
	require.NoError(t, err)
	found := d.Sweep(t.Context(), twoOwners().graph())
	require.ErrorContains(t, found[0].Fallback, "no extensions")
	require.Equal(t, LowestPriority, found[0].Policy)
	require.Len(t, found[0].Victims, 1)
}

func ownersIn(d *Dispute) []lock.Owner {
	var list []lock.Owner
	for i := range d.Candidates {
		list = append(list, d.Candidates[i].Owner)
	}
	return list
}
