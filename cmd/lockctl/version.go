package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// version is the module's version as the build recorded it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

func (c *cli) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Prints the version of lockctl, the Go version it was built with, and the platform.",
		Example: exampleOf("lockctl version"),
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			return c.print(v, func() *table {
				t := newTable("VERSION", "GO", "PLATFORM")
				t.add(v["version"], v["go"], v["platform"])
				return t
			})
		},
	}
}

// docsCommand writes what packagers need.
func docsCommand(root *cobra.Command) *cobra.Command {
	docs := &cobra.Command{Use: "docs", Short: "Write documentation", Hidden: true}
	docs.AddCommand(&cobra.Command{
		Use:     "man DIR",
		Short:   "Write man pages into a folder",
		Example: exampleOf("lockctl docs man /usr/local/share/man/man1"),
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o750); err != nil {
				return fmt.Errorf("man pages: %w", err)
			}
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{Title: "LOCKCTL", Section: "1", Source: "Lockgate", Manual: "Lockgate"}, args[0])
		},
	})
	return docs
}
