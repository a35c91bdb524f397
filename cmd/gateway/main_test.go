package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun_exitCodes(t *testing.T) {
	t.Chdir(t.TempDir())
	for line, want := range map[string]int{
		"version":                        exitFine,
		"":                               exitFine,
		"config":                         exitFine,
		"config check --config nowhere":  exitFault,
		"serve --backend.url=nowhere":    exitFault,
		"bogus":                          exitUsage,
		"serve --bogus":                  exitUsage,
		"config check too many":          exitUsage,
		"health --timeout=long":          exitUsage,
		"config print --http.listen":     exitUsage,
		"config bogus --config anything": exitUsage,
	} {
		var stdout, stderr strings.Builder
		require.Equal(t, want, run(strings.Fields(line), &stdout, &stderr), "gateway %s: %s", line, &stderr)
		require.Equal(t, want != exitFine, strings.HasPrefix(stderr.String(), "gateway: "), "gateway %s: %s", line, &stderr)
		require.LessOrEqual(t, strings.Count(stderr.String(), "\n"), 1, "gateway %s: %s", line, &stderr)
	}
}
