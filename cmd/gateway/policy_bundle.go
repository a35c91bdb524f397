package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/policy/bundle"
)

func newPolicyBundle() *cobra.Command {
	c := &cobra.Command{
		Use: "bundle", Short: "Pack, sign and verify OPA bundles", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newBundleBuild(), newBundleSign(), newBundleVerify())
	return c
}

func newBundleBuild() *cobra.Command {
	var (
		s                policySettings
		output, revision string
	)
	c := &cobra.Command{
		Use: "build --output FILE DIR", Short: "Check a folder and pack it",
		Example: "  gateway policy bundle build --output bundle.tar.gz policies",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			candidate, err := s.load(c.Context(), args[0])
			if err != nil {
				return err
			}
			if revision == "" {
				revision = candidate.Revision()
			}
			text, err := bundle.Build(os.DirFS(args[0]), revision)
			if err != nil {
				return err
			}
			if err := replaceFile(output, text); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %d files, revision %s\n", output, len(candidate.Modules()), revision)
			return err
		},
	}
	s.addFlags(c.Flags(), 50*time.Millisecond)
	c.Flags().StringVar(&output, "output", "", "file to write")
	c.Flags().StringVar(&revision, "revision", "", "what the decision log calls it (default a hash of the content)")
	mustHave(c, "output")
	return c
}

func newBundleSign() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use: "sign --key FILE BUNDLE", Short: "Sign a bundle in place",
		Long:    "The key is a private key in PEM: RSA signs RS256, an elliptic key on P-256 signs ES256.",
		Example: "  gateway policy bundle sign --key private.pem bundle.tar.gz",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			secret, text, err := readPair(key, args[0])
			if err != nil {
				return err
			}
			signed, err := bundle.Sign(text, secret)
			if err != nil {
				return err
			}
			return replaceFile(args[0], signed)
		},
	}
	c.Flags().StringVar(&key, "key", "", "private key in PEM")
	mustHave(c, "key")
	return c
}

func newBundleVerify() *cobra.Command {
	var key string
	c := &cobra.Command{
		Use: "verify --key FILE BUNDLE", Short: "Verify the signature of a bundle",
		Example: "  gateway policy bundle verify --key public.pem bundle.tar.gz",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			public, text, err := readPair(key, args[0])
			if err != nil {
				return err
			}
			info, err := bundle.Verify(text, public)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is signed with this key: %d files, revision %s\n", args[0], len(info.Files), info.Revision)
			return err
		},
	}
	c.Flags().StringVar(&key, "key", "", "public key in PEM")
	mustHave(c, "key")
	return c
}

func readPair(key, file string) (keyText, text []byte, err error) {
	keyText, err = os.ReadFile(key) //nolint:gosec // whoever calls the command names the file
	if err != nil {
		return nil, nil, err
	}
	text, err = os.ReadFile(file) //nolint:gosec // likewise
	return keyText, text, err
}

// mustHave makes a flag one without which a command does not run.
func mustHave(c *cobra.Command, flag string) {
	if err := c.MarkFlagRequired(flag); err != nil {
		c.RunE = func(*cobra.Command, []string) error { return err }
	}
}

// replaceFile puts a file in place whole: who serves it never serves half.
func replaceFile(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
