package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/cmd/internal/output"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/author"
)

// checked is what check found.
type checked struct {
	OK       bool           `json:"ok"`
	Revision string         `json:"revision,omitempty"`
	Files    int            `json:"files"`
	Faults   []policy.Fault `json:"faults"`
	Warnings []policy.Fault `json:"warnings"`
	Reads    []policy.Read  `json:"reads,omitempty"`
}

func newPolicyCheck() *cobra.Command {
	var (
		s       policySettings
		out     output.Format
		verbose bool
	)
	c := &cobra.Command{
		Use: "check DIR", Short: "Say what a gateway would refuse, with file, line and column",
		Long: "Does everything that a gateway does when it loads a folder. With -v it lists the fields of\n" +
			"the input that decisions depend on: a decision is remembered by exactly these.",
		Example: "  gateway policy check policies\n  gateway policy check -v --may-grant acme policies",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			candidate, err := s.load(c.Context(), args[0])
			load, refused := errors.AsType[*policy.LoadError](err)
			if err != nil && !refused {
				return err
			}
			found := &checked{OK: !refused, Faults: []policy.Fault{}, Warnings: []policy.Fault{}}
			if refused {
				found.Faults = load.Faults
			} else {
				found.Revision, found.Files = candidate.Revision(), len(candidate.Modules())
				for _, f := range candidate.Warnings() {
					if f.File != "" {
						f.File = filepath.Join(args[0], f.File)
					}
					found.Warnings = append(found.Warnings, f)
				}
				if verbose {
					found.Reads = candidate.Reads()
				}
			}
			if err := out.Print(c.OutOrStdout(), found, func() error { return found.tell(c.OutOrStdout()) }); err != nil {
				return err
			}
			if refused {
				return fmt.Errorf("%s would be refused", args[0])
			}
			return nil
		},
	}
	s.addFlags(c.Flags(), 50*time.Millisecond)
	out.Flag(c)
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "list what decisions depend on")
	return c
}

func (k *checked) tell(w io.Writer) error {
	var b strings.Builder
	for i := range k.Faults {
		fmt.Fprintln(&b, &k.Faults[i])
	}
	for i := range k.Warnings {
		fmt.Fprintf(&b, "%s (warning)\n", &k.Warnings[i])
	}
	if k.OK {
		fmt.Fprintf(&b, "%d files are well, revision %s\n", k.Files, k.Revision)
	}
	if len(k.Reads) > 0 {
		b.WriteString("\ndecisions depend on, and are remembered by:\n")
	}
	for _, r := range k.Reads {
		b.WriteString("  " + r.Path)
		if len(r.Organisations) > 0 {
			b.WriteString(" (" + strings.Join(r.Organisations, ", ") + ")")
		}
		if strings.HasPrefix(r.Path, "input.queue") || strings.HasPrefix(r.Path, "input.lock") {
			b.WriteString(": costs a read of the lock table")
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newPolicyFmt() *cobra.Command {
	var write bool
	c := &cobra.Command{
		Use: "fmt DIR", Short: "Format rego as opa fmt does",
		Long:    "Lists the files that are not formatted and exits with 1 if there are any; --write formats them.",
		Example: "  gateway policy fmt policies\n  gateway policy fmt --write policies",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			folder, err := openFolder(args[0])
			if err != nil {
				return err
			}
			list, err := author.Format(folder)
			if err != nil {
				return err
			}
			for _, f := range list {
				name := filepath.Join(args[0], f.File)
				if write {
					if err := rewrite(name, f.Text); err != nil {
						return err
					}
				}
				if _, err := fmt.Fprintln(c.OutOrStdout(), name); err != nil {
					return err
				}
			}
			if len(list) > 0 && !write {
				return errors.New("these files are not formatted: --write formats them")
			}
			return nil
		},
	}
	c.Flags().BoolVar(&write, "write", false, "format the files")
	return c
}

// rewrite gives an existing file another content.
func rewrite(name string, text []byte) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, text, info.Mode().Perm())
}

func newPolicyNew() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use: "new NAME", Short: "Write a policy to start from, and its test",
		Example: "  gateway policy new drafts --dir policies",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := author.Start(args[0])
			if err != nil {
				return err
			}
			for _, f := range []struct{ name, text string }{{s.Policy, s.PolicyText}, {s.Test, s.TestText}} {
				name := filepath.Join(dir, f.name)
				if err := writeNew(name, f.text); err != nil {
					return err
				}
				if _, err := fmt.Fprintln(c.OutOrStdout(), name); err != nil {
					return err
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&dir, "dir", ".", "folder to write to")
	return c
}

// writeNew writes a file that is not there yet.
func writeNew(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // sources, as an editor would write them
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func newPolicySchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON schema of the input, for editors and opa check --schema",
		Example: "  gateway policy schema > input.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(policy.InputSchema())
		},
	}
}

func newPolicyDiff() *cobra.Command {
	var out output.Format
	c := &cobra.Command{
		Use: "diff OLD NEW", Short: "Tell which rules and facts two folders do not have in common",
		Long:    "Layout, comments, formatting and tests make no difference. What the difference does to\ndecisions is replay's to tell.",
		Example: "  gateway policy diff policies candidate",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			older, err := parseFolder(args[0])
			if err != nil {
				return err
			}
			newer, err := parseFolder(args[1])
			if err != nil {
				return err
			}
			changes := author.Difference(older, newer)
			return out.Print(c.OutOrStdout(), changes, func() error { return tellChanges(c.OutOrStdout(), changes) })
		},
	}
	out.Flag(c)
	return c
}

func tellChanges(w io.Writer, changes []author.Change) error {
	if len(changes) == 0 {
		_, err := fmt.Fprintln(w, "no difference")
		return err
	}
	var b strings.Builder
	for i := range changes {
		ch := &changes[i]
		fmt.Fprintf(&b, "%-8s %s  %s\n", ch.Kind, ch.Name, ch.Where)
		for _, side := range []struct{ sign, text string }{{"-", ch.From}, {"+", ch.To}} {
			if side.text == "" {
				continue
			}
			for line := range strings.SplitSeq(side.text, "\n") {
				fmt.Fprintf(&b, "  %s %s\n", side.sign, line)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
