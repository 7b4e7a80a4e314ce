package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func newSubscribers(e env) *cobra.Command {
	l := &lister{path: "/v1/subscribers", sorts: subscriberOrders.names(), table: subscriberTable}
	list := l.command(e,
		"List the ports that subscribe to groups, with their hosts and copies",
		`List shows each port that subscribes to a group, by which protocol, which hosts
asked for it, and for how long it lasts unless they ask again, as far as the
agent's policy shows it.

A port of protocol 'static' was subscribed by the operator: it never expires, and no
leave of a host ends it. 'waiting' is one that is not there yet. If hosts asked for
the group too, the port is listed twice; its copies are the same ones.`,
		`  fanlight subscribers list
  fanlight subscribers list --group 239.1.1.1
  fanlight subscribers list --sort expires --limit 5`)
	return noun("subscribers", "Show who subscribes to groups at the running agent, and subscribe ports",
		list, newSubscribersAdd(e), newSubscribersDelete(e))
}

func subscriberTable(w *tabwriter.Writer, raw []byte) error {
	var list []subscription
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	fmt.Fprintln(w, "DOMAIN\tVLAN\tGROUP\tINTERFACE\tPROTOCOL\tSOURCES\tHOSTS\tCOPIES\tEXPIRES\tNAME")
	for i := range list {
		s := &list[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", orDash(s.Domain), orDash(s.VLAN), orDash(s.Group), orDash(s.Interface),
			s.Protocol, sourcesText(s), orDash(strings.Join(s.Hosts, ",")), s.Copies, endText(s), orDash(s.Name))
	}
	return nil
}

func sourcesText(s *subscription) string {
	return orDash(strings.TrimSpace(s.FilterMode + " " + strings.Join(s.Sources, ",")))
}

func endText(s *subscription) string {
	switch {
	case s.Waiting:
		return "waiting"
	case s.Expires.IsZero():
		return "never"
	}
	return remaining(s.Expires)
}
