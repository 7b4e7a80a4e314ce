package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newExplainReason(e env) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "explain [REASON|FINDING]",
		Short: "Explain a drop reason or a finding of the doctor: what it means, and what helps",
		Long: `Explain says what a reason in fanlight_drops_total, fanlight_copy_failures_total or
a drop event means, where the packet or the copy was lost, and what helps; and the
same of what 'fanlight doctor' finds. Without a name it lists all of them, in JSON
the reasons only. It needs no agent.`,
		Example: `  fanlight explain
  fanlight explain backlog_full
  fanlight explain rp_filter`,
		Args:              atMostOne("REASON"),
		ValidArgsFunction: completeReasons,
		RunE: func(_ *cobra.Command, args []string) error {
			inJSON, err := wantsJSON(output)
			if err != nil {
				return err
			}
			chosen := reasons
			if len(args) == 1 {
				if k, ok := findingNamed(args[0]); ok {
					return explainFinding(e, k, inJSON)
				}
				r, err := reasonNamed(args[0])
				if err != nil {
					return err
				}
				chosen = []explainedReason{r}
			}
			switch {
			case inJSON:
				return json.NewEncoder(e.stdout).Encode(chosen)
			case len(args) == 1:
				return writeReason(e, chosen[0])
			}
			return errors.Join(writeReasons(e, chosen), writeFindings(e))
		},
	}
	outputFlag(cmd, &output)
	return cmd
}

func reasonNamed(name string) (explainedReason, error) {
	var known []string
	for _, r := range reasons {
		if r.Reason == name {
			return r, nil
		}
		known = append(known, r.Reason)
	}
	known = append(known, findingIDs()...)
	return explainedReason{}, fmt.Errorf("%w: no reason and no finding %q%s", errUsage, name, suggest(name, known))
}

func writeReason(e env, r explainedReason) error {
	_, err := fmt.Fprintf(e.stdout, "%s: a %s was lost\n\n%s\n\nWhat helps: %s\n", r.Reason, r.Lost, r.Meaning, r.Remedy)
	return err
}

func writeReasons(e env, list []explainedReason) error {
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REASON\tLOST\tMEANING")
	for _, r := range list {
		first, _, _ := strings.Cut(r.Meaning, ". ")
		fmt.Fprintf(w, "%s\t%s\t%s\n", r.Reason, r.Lost, strings.TrimSuffix(first, "."))
	}
	return w.Flush()
}

// atMostOne refuses more than one argument, named what.
func atMostOne(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return fmt.Errorf("%w: want at most one %s, got %d arguments; see '%s --help'", errUsage, what, len(args), c.CommandPath())
		}
		return nil
	}
}
