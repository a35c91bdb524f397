package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lockgate/lockgate/policy"
)

func newPolicy() *cobra.Command {
	c := &cobra.Command{
		Use: "policy", Short: "Write, check, test and explain policies", Args: cobra.NoArgs,
		Long: "Tools for those who write policies. None of them needs a running gateway, except explain\n" +
			"and replay without --log. docs/policy.md is the guide.",
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(
		newPolicyNew(), newPolicyCheck(), newPolicyTest(), newPolicyFmt(), newPolicyEval(), newPolicyExplain(),
		newPolicyReplay(), newPolicyDiff(), newPolicyBundle(), newPolicySchema(),
	)
	return c
}

// policySettings are the operator's settings that decide with the policies.
type policySettings struct {
	enforcement map[string]string
	mayGrant    []string
	budget      time.Duration
}

func (s *policySettings) addFlags(f *pflag.FlagSet, budget time.Duration) {
	f.StringToStringVar(&s.enforcement, "enforcement", nil, "deny, warn or shadow by policy, such as freeze=warn")
	f.StringSliceVar(&s.mayGrant, "may-grant", nil, "organisations whose own policies may grant")
	f.DurationVar(&s.budget, "budget", budget, "time for one evaluation")
}

// load answers the policies of a folder as a gateway would have them.
func (s *policySettings) load(ctx context.Context, dir string) (*policy.Candidate, error) {
	cfg := policy.DefaultConfig()
	cfg.Budget, cfg.MayGrant = s.budget, s.mayGrant
	cfg.Enforcement = map[string]policy.Mode{}
	for name, mode := range s.enforcement {
		cfg.Enforcement[name] = policy.Mode(mode)
	}
	folder, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	c, err := policy.NewCandidate(ctx, folder, cfg)
	return c, located(dir, err)
}

func openFolder(dir string) (fs.FS, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder", dir)
	}
	return os.DirFS(dir), nil
}

func parseFolder(dir string) (*policy.Parsed, error) {
	folder, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	p, err := policy.ParseFolder(folder)
	return p, located(dir, err)
}

// located puts the folder in front of the files of an error, so that an editor
// finds them.
func located(dir string, err error) error {
	load, ok := errors.AsType[*policy.LoadError](err)
	if !ok {
		return err
	}
	faults := make([]policy.Fault, len(load.Faults))
	for i, f := range load.Faults {
		if f.File != "" {
			f.File = filepath.Join(dir, f.File)
		}
		faults[i] = f
	}
	return &policy.LoadError{Faults: faults}
}

// readAll reads a file, or standard input for "-".
func readAll(c *cobra.Command, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(c.InOrStdin())
	}
	return os.ReadFile(file) //nolint:gosec // whoever calls the command names the file
}
