package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/lockgate/lockgate/cmd/internal/output"
	"github.com/lockgate/lockgate/gateway/wire"
)

func newVersion() *cobra.Command {
	var format output.Format
	c := &cobra.Command{
		Use: "version", Short: "Print version, source revision and Go release", Args: cobra.NoArgs,
		Example: "  gateway version\n  gateway version -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			b := build()
			return format.Print(c.OutOrStdout(), b, func() error {
				revision := b.Revision
				if revision == "" {
					revision = "unknown revision"
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "lockgate %s (%s, %s)\n", b.Version, revision, b.Go)
				return err
			})
		},
	}
	format.Flag(c)
	return c
}

// newDocs writes what packagers need.
func newDocs(root *cobra.Command) *cobra.Command {
	docs := &cobra.Command{Use: "docs", Short: "Write documentation", Hidden: true}
	docs.AddCommand(&cobra.Command{
		Use: "man DIR", Short: "Write man pages into a folder", Args: cobra.ExactArgs(1),
		Example: "  gateway docs man /usr/local/share/man/man1",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o750); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Title: "GATEWAY", Section: "1", Source: "Lockgate", Manual: "Lockgate"}, args[0])
		},
	})
	return docs
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
