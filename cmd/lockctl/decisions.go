package main

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"
)

// decisionEntry is what a table shows of an entry of the decision log.
type decisionEntry struct {
	ID        string          `json:"decision_id"`
	Time      time.Time       `json:"timestamp"`
	Requested string          `json:"requested_by"`
	Error     json.RawMessage `json:"error"`
	Input     struct {
		Action string `json:"action"`
		Owner  struct {
			ID string `json:"id"`
		} `json:"owner"`
		Resource struct {
			Key string `json:"key"`
		} `json:"resource"`
	} `json:"input"`
	Result struct {
		Allow bool `json:"allow"`
		Deny  []struct {
			Msg string `json:"msg"`
		} `json:"deny"`
	} `json:"result"`
}

func (c *cli) decisionsCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "decisions [ID]",
		Short:   "Show what policy decided, and why",
		Long:    "Lists the newest decisions, or shows one. -o json prints the whole entries, with the\nfield names of OPA's decision log.",
		Example: exampleOf("lockctl decisions --limit 5", "lockctl decisions 01JDB3V1M4N8R2T6W0X5Y7Z9AB -o yaml"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return c.oneDecision(cmd, args[0])
			}
			if limit < 1 {
				return usagef("--limit must be at least 1")
			}
			gateway, err := c.quick()
			if err != nil {
				return err
			}
			entries := []json.RawMessage{}
			for entry, err := range gateway.Decisions(cmd.Context()) {
				if err != nil {
					return err
				}
				if entries = append(entries, entry); len(entries) == limit {
					break
				}
			}
			return c.printDecisions(entries, entries)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 20, "how many to list")
	return cmd
}

func (c *cli) oneDecision(cmd *cobra.Command, id string) error {
	gateway, err := c.quick()
	if err != nil {
		return err
	}
	entry, err := gateway.Decision(cmd.Context(), id)
	if err != nil {
		return err
	}
	return c.printDecisions(entry, []json.RawMessage{entry})
}

// printDecisions prints entries as rows, or what is whole of them.
func (c *cli) printDecisions(whole any, entries []json.RawMessage) error {
	read := make([]decisionEntry, len(entries))
	for i, entry := range entries {
		if err := json.Unmarshal(entry, &read[i]); err != nil {
			return err
		}
	}
	return c.print(whole, func() *table {
		t := newTable("ID", "TIME", "ANSWER", "ACTION", "SUBJECT", "OWNER", "KEY", "WHY NOT")
		for i := range read {
			e := &read[i]
			t.add(e.ID, e.Time.Local().Format(time.DateTime), e.answer(), orDash(e.Input.Action), orDash(e.Requested),
				orDash(e.Input.Owner.ID), orDash(e.Input.Resource.Key), orDash(e.why()))
		}
		return t
	})
}

func (e *decisionEntry) answer() string {
	switch {
	case len(e.Error) > 0 && string(e.Error) != "null":
		return "error"
	case e.Result.Allow:
		return "allowed"
	}
	return "denied"
}

func (e *decisionEntry) why() string {
	if len(e.Result.Deny) == 0 {
		return ""
	}
	return e.Result.Deny[0].Msg
}
