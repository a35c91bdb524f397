package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockgate/lockgate/app"
	"github.com/lockgate/lockgate/app/settings"
	"github.com/lockgate/lockgate/cmd/internal/output"
)

// prefix is that of every environment variable of ours.
const prefix = "LOCKGATE_"

const configFlag = "config"

// addConfigFlags adds --config and a flag for every key; --insecure is
// --auth.insecure.
func addConfigFlags(c *cobra.Command) *cobra.Command {
	c.Flags().String(configFlag, "", "YAML file with the configuration (default $LOCKGATE_CONFIG)")
	defaults := app.DefaultConfig()
	if err := settings.AddFlags(c.Flags(), &defaults, app.Help()); err != nil {
		c.RunE = func(*cobra.Command, []string) error { return fmt.Errorf("flags: %w", err) }
	}
	c.Flags().SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "insecure" { // so short because people type it at a first try
			name = "auth.insecure"
		}
		return pflag.NormalizedName(name)
	})
	return c
}

// loadConfig answers the configuration that the flags of a command, the
// environment and the file make together, valid as a whole.
func loadConfig(c *cobra.Command) (*settings.Loaded[app.Config], error) {
	file, err := c.Flags().GetString(configFlag)
	if err != nil {
		return nil, err
	}
	if file == "" {
		file = os.Getenv(prefix + "CONFIG")
	}
	loaded, err := settings.Load(app.DefaultConfig(), settings.Sources{File: file, Prefix: prefix, Env: os.Environ(), Flags: c.Flags()})
	if err != nil {
		return nil, err
	}
	if err := loaded.Explain(loaded.Config.Validate()); err != nil {
		return nil, err
	}
	return loaded, nil
}

func newConfig() *cobra.Command {
	config := &cobra.Command{
		Use: "config", Short: "Check, print and describe the configuration", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var format output.Format
	printing := addConfigFlags(&cobra.Command{
		Use: "print", Short: "Print every effective value and where it came from, without passwords",
		Example: "  gateway config print --config gate.yaml\n  gateway config print -o json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return printConfig(c, &format) },
	})
	format.Flag(printing)
	config.AddCommand(
		addConfigFlags(&cobra.Command{
			Use: "check", Short: "Say what is wrong with the configuration, with line and column",
			Example: "  gateway config check --config gate.yaml",
			Args:    cobra.NoArgs, RunE: checkConfig,
		}),
		printing,
		&cobra.Command{
			Use: "schema", Short: "Print the JSON schema of the configuration, for editors",
			Example: "  gateway config schema > lockgate.schema.json",
			Args:    cobra.NoArgs, RunE: printSchema,
		},
	)
	return config
}

func checkConfig(c *cobra.Command, _ []string) error {
	if _, err := loadConfig(c); err != nil {
		return err
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), "the configuration is valid")
	return err
}

func printConfig(c *cobra.Command, format *output.Format) error {
	loaded, err := loadConfig(c)
	if err != nil {
		return err
	}
	values, err := loaded.Values()
	if err != nil {
		return err
	}
	return format.Print(c.OutOrStdout(), values, func() error { return loaded.Print(c.OutOrStdout()) })
}

func printSchema(c *cobra.Command, _ []string) error {
	defaults := app.DefaultConfig()
	schema, err := settings.Schema(&defaults, "Lockgate configuration", app.Help())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), string(schema))
	return err
}
