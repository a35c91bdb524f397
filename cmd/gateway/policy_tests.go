package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lockgate/lockgate/cmd/internal/output"
	"github.com/lockgate/lockgate/policy"
	"github.com/lockgate/lockgate/policy/author"
)

// tested is what test found.
type tested struct {
	Passed   int                 `json:"passed"`
	Skipped  int                 `json:"skipped"`
	Failed   []author.TestResult `json:"failed"`
	Coverage []author.Coverage   `json:"coverage,omitempty"`
	Mutants  int                 `json:"mutants,omitempty"`
	Alive    []author.Mutant     `json:"alive,omitempty"`

	dir string
}

func newPolicyTest() *cobra.Command {
	var (
		out             output.Format
		covered, mutate bool
	)
	c := &cobra.Command{
		Use: "test DIR", Short: "Run the tests of policies",
		Long: "Runs the rules that begin with test_ in packages lockgate.test.<name>. --coverage tells which\n" +
			"lines no test reaches. --mutate deletes each rule in turn and runs the tests again: a rule that\n" +
			"nobody misses is not tested, whatever the coverage says. It takes about 0.1 s a rule.",
		Example: "  gateway policy test policies\n  gateway policy test --coverage --mutate policies",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := parseFolder(args[0])
			if err != nil {
				return err
			}
			found := &tested{dir: args[0], Failed: []author.TestResult{}}
			if err := found.run(c, p, covered); err != nil {
				return err
			}
			if mutate && len(found.Failed) == 0 {
				if found.Alive, found.Mutants, err = author.Mutate(c.Context(), p); err != nil {
					return err
				}
			}
			if err := out.Print(c.OutOrStdout(), found, func() error { return found.tell(c.OutOrStdout()) }); err != nil {
				return err
			}
			return found.verdict()
		},
	}
	out.Flag(c)
	c.Flags().BoolVar(&covered, "coverage", false, "tell which lines no test reaches")
	c.Flags().BoolVar(&mutate, "mutate", false, "tell which rules no test misses")
	return c
}

func (k *tested) run(c *cobra.Command, p *policy.Parsed, covered bool) error { //nolint:revive // flag-parameter: it is a flag of the command
	var (
		results []author.TestResult
		err     error
	)
	if covered {
		results, k.Coverage, err = author.Cover(c.Context(), p)
	} else {
		results, err = author.Test(c.Context(), p)
	}
	if err != nil {
		return err
	}
	for _, r := range results {
		switch {
		case r.Skipped:
			k.Skipped++
		case r.Pass:
			k.Passed++
		default:
			k.Failed = append(k.Failed, r)
		}
	}
	return nil
}

func (k *tested) verdict() error {
	switch {
	case len(k.Failed) > 0:
		return fmt.Errorf("%d of %d tests fail", len(k.Failed), k.Passed+len(k.Failed))
	case k.Passed == 0:
		return fmt.Errorf("%s has no tests: write test_… rules in a package lockgate.test.<name>", k.dir)
	case len(k.Alive) > 0:
		return fmt.Errorf("no test misses %d of %d rules", len(k.Alive), k.Mutants)
	}
	return nil
}

func (k *tested) tell(w io.Writer) error {
	var b strings.Builder
	for i := range k.Failed {
		r := &k.Failed[i]
		fmt.Fprintf(&b, "%s/%s:%d: %s fails", k.dir, r.File, r.Row, r.Name)
		if r.Fault != "" {
			b.WriteString(": " + r.Fault)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "%d tests pass", k.Passed)
	if k.Skipped > 0 {
		fmt.Fprintf(&b, ", %d are skipped", k.Skipped)
	}
	b.WriteString("\n")
	for i := range k.Coverage {
		c := &k.Coverage[i]
		fmt.Fprintf(&b, "%6.1f %%  %s", c.Percent, c.File)
		for j, l := range c.Missed {
			if j == 0 {
				b.WriteString(", not reached:")
			}
			fmt.Fprintf(&b, " %d", l.From)
			if l.To > l.From {
				fmt.Fprintf(&b, "-%d", l.To)
			}
		}
		b.WriteString("\n")
	}
	for i := range k.Alive {
		m := &k.Alive[i]
		fmt.Fprintf(&b, "%s/%s:%d: the tests pass without %s\n", k.dir, m.File, m.Row, m.Rule)
	}
	if k.Mutants > 0 {
		fmt.Fprintf(&b, "%d of %d deleted rules are noticed\n", k.Mutants-len(k.Alive), k.Mutants)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
