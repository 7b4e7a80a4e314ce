package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// lister is a noun whose list comes from the running agent.
type lister struct {
	client
	path   string // of the API
	group  string
	output string
	// table writes the answer for people.
	table func(w *tabwriter.Writer, raw []byte) error
}

func (l *lister) command(e env, short, long, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: short, Long: long, Example: example, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd, e) },
	}
	outputFlag(cmd, &l.output)
	cmd.Flags().StringVar(&l.group, "group", "", "only this `group`")
	l.flags(cmd)
	l.revealFlag(cmd)
	return cmd
}

func (l *lister) run(cmd *cobra.Command, e env) error {
	inJSON, err := wantsJSON(l.output)
	if err != nil {
		return err
	}
	query := url.Values{}
	if l.group != "" {
		if a, err := netip.ParseAddr(l.group); err != nil || !a.IsMulticast() {
			return fmt.Errorf("%w: --group: %q is no group, such as 239.1.1.1 or ff15::1", errUsage, l.group)
		}
		query.Set("group", l.group)
	}
	var raw json.RawMessage
	if err := l.ask(cmd.Context(), l.path, query, &raw); err != nil {
		return err
	}
	if inJSON {
		_, err := fmt.Fprintln(e.stdout, string(raw))
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	if err := l.table(w, raw); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return w.Flush()
}

// noun is a command that only holds others.
func noun(name, short string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: noArguments, Example: sub[0].Example, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(sub...)
	return cmd
}

func newGroups(e env) *cobra.Command {
	l := &lister{path: "/v1/groups", table: groupTable}
	return noun("groups", "Show the groups of the running agent", l.command(e,
		"List the groups with their sources, subscribers, packets, copies and losses",
		`List shows each group that has subscribers or packets, as far as the agent's policy
shows it. Counts are exact totals since the datapath was loaded: datagrams, not
frames; copies include those that failed.`,
		`  fanlight groups list
  fanlight groups list --group 239.1.1.1 -o json`))
}

func groupTable(w *tabwriter.Writer, raw []byte) error {
	var list []groupSummary
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	fmt.Fprintln(w, "DOMAIN\tVLAN\tGROUP\tSOURCES\tSUBSCRIBERS\tPACKETS\tCOPIES\tDROPPED\tFAILED")
	for _, g := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\n", orDash(g.Domain), orDash(g.VLAN), orDash(g.Group),
			g.Sources, g.Subscribers, g.Packets, g.Copies, g.Dropped, g.Failed)
	}
	return nil
}

func newSubscribers(e env) *cobra.Command {
	l := &lister{path: "/v1/subscribers", table: subscriberTable}
	return noun("subscribers", "Show who subscribes to groups at the running agent", l.command(e,
		"List the ports that subscribe to groups, with their hosts and copies",
		`List shows each port that subscribes to a group, by which protocol, which hosts
asked for it, and for how long it lasts unless they ask again, as far as the
agent's policy shows it.`,
		`  fanlight subscribers list
  fanlight subscribers list --group 239.1.1.1`))
}

func subscriberTable(w *tabwriter.Writer, raw []byte) error {
	var list []subscription
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	fmt.Fprintln(w, "DOMAIN\tVLAN\tGROUP\tINTERFACE\tPROTOCOL\tSOURCES\tHOSTS\tCOPIES\tEXPIRES")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", orDash(s.Domain), orDash(s.VLAN), orDash(s.Group), orDash(s.Interface),
			s.Protocol, orDash(strings.TrimSpace(s.FilterMode+" "+strings.Join(s.Sources, ","))), orDash(strings.Join(s.Hosts, ",")), s.Copies, remaining(s.Expires))
	}
	return nil
}

// remaining is the time until then, in whole seconds; a dash if there is no end.
func remaining(until time.Time) string {
	if until.IsZero() {
		return "-"
	}
	return max(0, time.Until(until)).Round(time.Second).String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
