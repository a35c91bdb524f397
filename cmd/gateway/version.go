package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/gateway/wire"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print version, source revision and Go release", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b := build()
			revision := b.Revision
			if revision == "" {
				revision = "unknown revision"
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "lockgate %s (%s, %s)\n", b.Version, revision, b.Go)
			return err
		},
	}
}

// build is what the linker wrote into the binary.
func build() wire.Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return wire.Build{Version: "(devel)"}
	}
	b := wire.Build{Version: info.Main.Version, Go: info.GoVersion}
	if b.Version == "" {
		b.Version = "(devel)" // a test binary has none
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}
