package deadlock

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfig_defaultIsValid(t *testing.T) {
	cfg := DefaultConfig()
	require.NoError(t, cfg.Validate())
	require.Equal(t, Config{Mode: Detect, VictimPolicy: LowestPriority, MaxVictimizations: 3, SweepInterval: 5 * time.Second, MaxPerOwnerPerMinute: 10}, cfg)
}

func TestConfig_allFaultsAreNamed(t *testing.T) {
	cfg := Config{Mode: Off + 1, VictimPolicy: "wasm:", MaxVictimizations: 0, MaxPerOwnerPerMinute: -1}
	err := cfg.Validate()
	for _, field := range []string{"mode", "victim_policy", "max_victimizations", "sweep_interval", "max_per_owner_per_minute"} {
		require.ErrorContains(t, err, field)
	}
	_, err = New(cfg, nil)
	require.Error(t, err)
}

func TestMode_readsWhatItWrites(t *testing.T) {
	for m := Detect; m <= Off; m++ {
		text, err := m.MarshalText()
		require.NoError(t, err)
		var again Mode
		require.NoError(t, again.UnmarshalText(text))
		require.Equal(t, m, again)
	}
	var m Mode
	require.ErrorContains(t, m.UnmarshalText([]byte("on")), "detect, prevent or off")
}

func TestOff_findsNothing(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Mode = Off
	d, err := New(cfg, nil)
	require.NoError(t, err)
	require.Empty(t, d.Sweep(t.Context(), twoOwners().graph()))
}
