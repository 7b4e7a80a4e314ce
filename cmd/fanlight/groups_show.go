package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newGroupsShow(e env) *cobra.Command {
	var c chosen
	var agent client
	var output string
	var interval time.Duration
	cmd := &cobra.Command{
		Use:   "show GROUP",
		Short: "Show everything about one group: sources and rates, subscribers and hosts, losses and why",
		Long: `Show looks at a group twice and shows it with the rates in between: each source, how
often it is copied and to how many ports; each subscriber with the hosts behind it;
the packets that were dropped and the copies that failed, with the reason and what it
means. GROUP is an address, or a name that one group has. A group that is in several
domains or VLANs is shown for each.`,
		Example: `  fanlight groups show 239.1.1.1
  fanlight groups show ff15::1 --domain studio --interval 5s
  fanlight groups show PTP-primary -o json | jq '.[].subscribers'`,
		Args: func(cmd *cobra.Command, args []string) error { return wantGroup(cmd, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			inJSON, err := wantsJSON(output)
			if err != nil {
				return err
			}
			if err := checkInterval(interval); err != nil {
				return err
			}
			path := "/v1/groups/" + url.PathEscape(args[0])
			query := given("domain", c.domain, "vlan", c.vlan)
			var before, now []groupDetail
			look := func(into *[]groupDetail) func() error {
				return func() error { return agent.ask(cmd.Context(), path, query, into) }
			}
			if interval == 0 {
				err = look(&now)()
			} else {
				var seconds float64
				seconds, err = askTwice(cmd.Context(), interval, look(&before), look(&now))
				rateDetails(before, now, seconds)
			}
			if err != nil {
				return err
			}
			if inJSON {
				return json.NewEncoder(e.stdout).Encode(now)
			}
			out := bufio.NewWriter(e.stdout)
			return errors.Join(writeDetails(out, now), out.Flush())
		},
	}
	outputFlag(cmd, &output)
	c.segmentFlags(cmd)
	cmd.Flags().DurationVar(&interval, "interval", time.Second, "look twice, this `time` apart, for the rates; 0: look once, without rates")
	agent.flags(cmd)
	agent.revealFlag(cmd)
	return cmd
}

// wantGroup checks that there is one argument that may be a group.
func wantGroup(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("%w: want one group, such as 239.1.1.1 or ff15::1; see '%s --help'", errUsage, cmd.CommandPath())
	}
	if a, err := netip.ParseAddr(args[0]); err == nil && !a.IsMulticast() {
		return fmt.Errorf("%w: %q is no group, such as 239.1.1.1 or ff15::1", errUsage, args[0])
	}
	return nil
}

func rateDetails(before, now []groupDetail, seconds float64) {
	var old []streamSummary
	for i := range before {
		old = append(old, before[i].Streams...)
	}
	for i := range now {
		rateStreams(old, now[i].Streams, seconds)
	}
}

func writeDetails(to io.Writer, list []groupDetail) error {
	for i := range list {
		if i > 0 {
			fmt.Fprintln(to)
		}
		if err := writeDetail(to, &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeDetail(to io.Writer, d *groupDetail) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%s:\t%s\n", name, text)
		}
	}
	line("group", orDash(d.Group))
	line("name", d.Name)
	line("kind", strings.Join(append([]string{}, strings.ReplaceAll(d.Class, "_", " "), "scope "+strings.ReplaceAll(d.Scope, "_", " ")), ", "))
	line("domain", d.Domain)
	line("vlan", d.VLAN)
	if d.Static {
		line("static", "yes: known by order of the operator")
	}
	line("last packet", lastPacket(d.LastSeen))

	fmt.Fprintf(w, "\nSOURCES (%d)\n", len(d.Streams))
	writeDetailStreams(w, d.Streams)
	fmt.Fprintf(w, "\nSUBSCRIBERS (%d)\n", len(d.Subscribers))
	writeDetailSubscribers(w, d.Subscribers)
	fmt.Fprintf(w, "\nDROPPED PACKETS (%d)\n", totalLost(d.Drops))
	writeLosses(w, d.Drops)
	fmt.Fprintf(w, "\nFAILED COPIES (%d)\n", totalLost(d.Failures))
	writeLosses(w, d.Failures)
	return w.Flush()
}

func lastPacket(at time.Time) string {
	if at.IsZero() {
		return "none yet"
	}
	return ago(at) + " ago"
}

func writeDetailStreams(w *tabwriter.Writer, list []streamSummary) {
	if len(list) == 0 {
		return
	}
	rated := list[0].Rates != nil
	fmt.Fprintln(w, "  SOURCE\tPACKETS\tBYTES\tCOPIES\tFAN-OUT\t"+rateHead(rated)+"SEEN")
	for _, s := range list {
		fmt.Fprintf(w, "  %s\t%d\t%d\t%d\t%d\t%s%s\n", sourceText(s.Source), s.Packets, s.Bytes, s.Copies, s.FanOut, rateCells(rated, s.Rates), ago(s.LastSeen))
	}
}

func writeDetailSubscribers(w *tabwriter.Writer, list []subscription) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(w, "  INTERFACE\tPROTOCOL\tSOURCES\tHOSTS\tCOPIES\tJOINED\tEXPIRES")
	for i := range list {
		s := &list[i]
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%d\t%s\t%s\n", orDash(s.Interface), s.Protocol, sourcesText(s), orDash(strings.Join(s.Hosts, ",")),
			s.Copies, ago(s.Joined), endText(s))
	}
}

func totalLost(list []loss) (n uint64) {
	for _, x := range list {
		n += x.Packets
	}
	return n
}

func writeLosses(w *tabwriter.Writer, list []loss) {
	for _, x := range list {
		at := ""
		if x.Interface != "" {
			at = " at " + x.Interface
		}
		fmt.Fprintf(w, "  %d %s%s\n", x.Packets, x.Reason, at)
		if x.Meaning != "" {
			fmt.Fprintf(w, "    %s\n", x.Meaning)
		}
	}
	if len(list) > 0 {
		fmt.Fprintln(w, "  'fanlight explain REASON' tells what helps.")
	}
}
