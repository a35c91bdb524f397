package app_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/app/settings"
)

var update = flag.Bool("update", false, "write the table of docs/configuration.md")

// TestDocs_listEveryKey holds the table of the configuration's document against
// the code; `go test ./app -run Docs -update` writes it.
func TestDocs_listEveryKey(t *testing.T) {
	t.Parallel()
	const path = "../docs/configuration.md"
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(text), "<!-- keys -->\n")
	require.True(t, found)
	table, after, found := strings.Cut(rest, "<!-- end of keys -->")
	require.True(t, found)

	want := keyTable(t)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+"<!-- keys -->\n"+want+"<!-- end of keys -->"+after), 0o600))
		return
	}
	require.Equal(t, want, table)
}

func keyTable(t *testing.T) string {
	t.Helper()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	require.NoError(t, settings.AddFlags(flags, new(app.DefaultConfig()), app.Help()))
	var b strings.Builder
	b.WriteString("| key | default | what it is |\n| --- | --- | --- |\n")
	help := app.Help()
	for _, path := range settings.Paths(new(app.DefaultConfig())) {
		value := flags.Lookup(path).DefValue
		if value == "" {
			value = `""`
		}
		b.WriteString("| `" + path + "` | `" + value + "` | " + help[path] + " |\n")
	}
	return b.String()
}
