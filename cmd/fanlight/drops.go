package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newDrops(e env) *cobra.Command {
	l := &lister{path: "/v1/drops", sorts: dropOrders.names(), table: dropTable}
	return noun("drops", "Show what the running agent lost, and why", l.command(e,
		"List packets that were dropped and copies that failed, by group and reason",
		`List shows, for each group, how many packets were not forwarded and how many copies
did not get through their port, by reason, as far as the agent's policy shows it.
Counts are exact totals since the datapath was loaded: datagrams, not frames.

INTERFACE is the port of a copy that failed; - is none, or one that is gone. SEEN is
how long ago the last event about it was; drops of one group and reason make an event
a second by default, so it is about as old as the last drop. 'fanlight explain REASON'
says more about a reason, and what helps.`,
		`  fanlight drops list
  fanlight drops list --group 239.1.1.1
  fanlight drops list -o json | jq '.[] | select(.lost == "copy")'`))
}

func dropTable(w *tabwriter.Writer, raw []byte) error {
	var list []loss
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	fmt.Fprintln(w, "DOMAIN\tVLAN\tGROUP\tINTERFACE\tLOST\tREASON\tPACKETS\tSEEN\tMEANING")
	for _, l := range list {
		meaning, _, _ := strings.Cut(l.Meaning, ". ")
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", orDash(l.Domain), orDash(l.VLAN), orDash(l.Group), orDash(l.Interface),
			l.Lost, l.Reason, l.Packets, since(l.LastSeen), strings.TrimSuffix(meaning, "."))
	}
	return nil
}

// since is how long ago that was; a dash if nobody knows.
func since(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return max(0, time.Since(*at)).Round(time.Second).String()
}
