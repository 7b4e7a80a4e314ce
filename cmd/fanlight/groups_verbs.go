package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newGroups(e env) *cobra.Command {
	l := &lister{path: "/v1/groups", sorts: groupOrders.names(), table: groupTable}
	list := l.command(e,
		"List the groups with their sources, subscribers, packets, copies and losses",
		`List shows each group that has subscribers or packets, or that is static, as far as
the agent's policy shows it. Counts are exact totals since the datapath was loaded:
datagrams, not frames; copies include those that failed. SEEN is how long ago the
last packet came.

NAME is what the operator's file ('names' in the configuration), IANA's registry or
common use calls the group.`,
		`  fanlight groups list
  fanlight groups list --sort packets --limit 10
  fanlight groups list --group 239.1.1.1 -o json`)
	return noun("groups", "Show the groups of the running agent, and make groups known",
		list, newGroupsShow(e), newGroupsAdd(e), newGroupsDelete(e))
}

func groupTable(w *tabwriter.Writer, raw []byte) error {
	var list []groupSummary
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	fmt.Fprintln(w, "DOMAIN\tVLAN\tGROUP\tSOURCES\tSUBSCRIBERS\tPACKETS\tCOPIES\tDROPPED\tFAILED\tSEEN\tSTATIC\tNAME")
	for _, g := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", orDash(g.Domain), orDash(g.VLAN), orDash(g.Group),
			g.Sources, g.Subscribers, g.Packets, g.Copies, g.Dropped, g.Failed, ago(g.LastSeen), yesOrDash(g.Static), orDash(g.Name))
	}
	return nil
}

func yesOrDash(b bool) string {
	if b {
		return "yes"
	}
	return "-"
}
