package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/collector"
)

// errUnhealthy: something in the status needs somebody's attention.
var errUnhealthy = errors.New("not everything is well")

func newStatus(e env) *cobra.Command {
	var c client
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show how the running agent does: domains, tables, and where events went",
		Long: `Status asks the running agent, and shows each domain, each table that is in
use, and each exporter with its loss equation:

  produced + recovered = delivered + filtered + lost + waiting

produced are all events that were made, in the kernel and in the agent; recovered
those that an earlier agent left in the exporter's spool; filtered those that its
configuration holds back; lost those that are gone, with stage and reason; waiting
those in memory or in the spool. LAG is the age of the oldest that waits.

Exit status 0 means that all is well, 1 that an exporter fails, that events were
lost, that a table is full, or that no agent answers.`,
		Example: `  fanlight status
  fanlight status -o json | jq '.sinks[] | {name, delivered, waiting}'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			inJSON, err := wantsJSON(output)
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := c.ask(cmd.Context(), "/v1/status", nil, &raw); err != nil {
				return err
			}
			var s agentStatus
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("read the agent's answer: %w", err)
			}
			if inJSON {
				_, err = fmt.Fprintln(e.stdout, string(raw))
			} else {
				err = writeStatus(e.stdout, s)
			}
			return errors.Join(err, s.trouble())
		},
	}
	outputFlag(cmd, &output)
	c.flags(cmd)
	return cmd
}

func writeStatus(to io.Writer, s agentStatus) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "fanlight %s forwards by %s\n", s.Version, s.Hook)
	for _, n := range s.Notes {
		fmt.Fprintln(w, "note:", n)
	}
	fmt.Fprintln(w, "\nDOMAIN\tPORTS\tGROUPS")
	for _, d := range s.Domains {
		fmt.Fprintf(w, "%s\t%d\t%d\n", d.Name, d.Ports, d.Groups)
	}
	w.Flush()
	fmt.Fprintln(w, "\nTABLE\tENTRIES\tCAPACITY\tREFUSED")
	for _, t := range s.Tables {
		if t.Entries > 0 || t.Refused > 0 {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", t.Name, t.Entries, t.Capacity, t.Refused)
		}
	}
	w.Flush()
	fmt.Fprintln(to)
	return writeSinks(to, s.Sinks)
}

// writeSinks shows each exporter's loss equation.
func writeSinks(to io.Writer, sinks []collector.SinkStatus) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "EXPORTER\tPRODUCED\tRECOVERED\tDELIVERED\tFILTERED\tLOST\tWAITING\tLAG\tSPOOL\tSTATE")
	for i := range sinks {
		x := &sinks[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%d\t%v\t%s\t%s\n", x.Name, x.Produced, x.Recovered, x.Delivered, x.Filtered,
			lostText(x), x.Waiting, lag(x), spoolText(x), state(x))
	}
	return w.Flush()
}

func lag(x *collector.SinkStatus) time.Duration {
	return time.Duration(x.LagSeconds * float64(time.Second)).Round(time.Millisecond)
}

func state(x *collector.SinkStatus) string {
	if x.Failing {
		return "failing"
	}
	return "ok"
}

func spoolText(x *collector.SinkStatus) string {
	if x.SpoolMax == 0 {
		return "-"
	}
	return fmt.Sprintf("%d%%", 100*x.SpoolBytes/x.SpoolMax)
}

// lostText is the sum and where it was lost.
func lostText(x *collector.SinkStatus) string {
	if len(x.Lost) == 0 {
		return "0"
	}
	var parts []string
	for _, at := range x.LossPoints() {
		text, _ := at.MarshalText() // never fails
		parts = append(parts, fmt.Sprintf("%s %d", text, x.Lost[at]))
	}
	return fmt.Sprintf("%d (%s)", x.TotalLost(), strings.Join(parts, ", "))
}

// trouble names what needs attention.
func (s *agentStatus) trouble() error {
	var wrong []string
	for _, t := range s.Tables {
		if t.Capacity > 0 && t.Entries >= t.Capacity {
			wrong = append(wrong, "table "+t.Name+" is full")
		}
	}
	for i := range s.Sinks {
		x := &s.Sinks[i]
		if x.Failing {
			wrong = append(wrong, "exporter "+x.Name+" fails")
		}
		if n := x.TotalLost(); n > 0 {
			wrong = append(wrong, fmt.Sprintf("exporter %s lost %d events", x.Name, n))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errUnhealthy, strings.Join(wrong, "; "))
}
