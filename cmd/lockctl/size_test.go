package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// maxSize is how large lockctl may be, stripped: CI jobs download it.
const maxSize = 15 << 20

func TestBinary_isSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a binary")
	}
	out := filepath.Join(t.TempDir(), "lockctl")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, ".")
	text, err := build.CombinedOutput()
	require.NoError(t, err, string(text))
	info, err := os.Stat(out)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(maxSize))
}

// What the gateway is made of stays out of lockctl.
func TestBinary_importsNothingHeavy(t *testing.T) {
	text, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	deps := strings.Fields(string(text))
	require.Contains(t, deps, "github.com/lockgate/lockgate/client")
	for _, dep := range deps {
		for _, heavy := range []string{
			"github.com/open-policy-agent/", "github.com/tetratelabs/", "github.com/labstack/", "github.com/redis/",
			"go.opentelemetry.io/", "github.com/prometheus/", "google.golang.org/",
			"github.com/lockgate/lockgate/core", "github.com/lockgate/lockgate/policy", "github.com/lockgate/lockgate/app",
		} {
			require.False(t, strings.HasPrefix(dep, heavy), "lockctl imports %s", dep)
		}
	}
}
