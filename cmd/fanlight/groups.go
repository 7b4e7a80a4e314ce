package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fanlight-io/fanlight/collector"
)

// groupRow is one (S,G) between two views.
type groupRow struct {
	group, source      string
	packets, megabits  float64 // per second
	copies             float64
	subscribers, drops []string
	failures           []string
}

// groupRows compares two views of one agent. Without a source, a group with
// subscribers has a row too; but not the link-local ones, which every IPv6 host
// joins for neighbour discovery.
func groupRows(before, now collector.View) []groupRow {
	seconds := now.Time.Sub(before.Time).Seconds()
	old := map[streamKey]collector.SourceView{}
	for _, g := range before.Groups {
		for _, s := range g.Sources {
			old[keyOf(g, s.Source)] = s
		}
	}
	var rows []groupRow
	for _, g := range now.Groups {
		if len(g.Sources) == 0 && g.Group.IsLinkLocalMulticast() {
			continue
		}
		row := groupRow{group: groupName(g), source: "-"}
		for _, s := range g.Subscribers {
			row.subscribers = append(row.subscribers, fmt.Sprintf("%s %s", s.Interface, s.Protocol))
		}
		for _, d := range g.Drops {
			row.drops = append(row.drops, fmt.Sprintf("%s %d", d.Reason, d.Packets))
		}
		for _, f := range g.Failures {
			row.failures = append(row.failures, fmt.Sprintf("%s %s %d", f.Interface, f.Reason, f.Packets))
		}
		for _, s := range g.Sources {
			row.source = "others"
			if s.Source.IsValid() {
				row.source = s.Source.String()
			}
			then := old[keyOf(g, s.Source)]
			row.packets = perSecond(then.Packets, s.Packets, seconds)
			row.megabits = perSecond(then.Bytes, s.Bytes, seconds) * 8 / 1e6
			row.copies = perSecond(then.Copies, s.Copies, seconds)
			rows = append(rows, row)
			row = groupRow{} // what belongs to the group stands in its first row
		}
		if len(g.Sources) == 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// perSecond is 0 for a total that began again.
func perSecond(then, now uint64, seconds float64) float64 {
	if seconds <= 0 || now < then {
		return 0
	}
	return float64(now-then) / seconds
}

// streamKey identifies an (S,G) across views.
type streamKey struct {
	domain        string
	vlan, inner   uint16
	group, source netip.Addr
}

func keyOf(g collector.GroupView, source netip.Addr) streamKey {
	return streamKey{g.Domain, g.VLAN, g.InnerVLAN, g.Group, source}
}

func groupName(g collector.GroupView) string {
	name := "(no room)"
	if g.Group.IsValid() {
		name = g.Group.String()
	}
	switch {
	case g.InnerVLAN != 0:
		name += fmt.Sprintf(" vlan %d.%d", g.VLAN, g.InnerVLAN)
	case g.VLAN != 0:
		name += fmt.Sprintf(" vlan %d", g.VLAN)
	}
	return name
}

// appendGroups appends the table of rows: one line per (S,G), and one more for
// each further subscriber. Losses stand in lines of their own, by reason.
func appendGroups(out *bytes.Buffer, rows []groupRow) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GROUP\tSOURCE\tPACKETS/S\tMBIT/S\tCOPIES/S\tSUBSCRIBERS")
	for _, r := range rows {
		first := ""
		switch {
		case len(r.subscribers) > 0:
			first = r.subscribers[0]
		case r.group != "":
			first = "none"
		}
		fmt.Fprintf(t, "%s\t%s\t%.0f\t%.2f\t%.0f\t%s\n", r.group, r.source, r.packets, r.megabits, r.copies, first)
		for _, s := range r.subscribers[min(1, len(r.subscribers)):] {
			fmt.Fprintf(t, "\t\t\t\t\t%s\n", s)
		}
	}
	t.Flush()
	fmt.Fprintf(out, "dropped packets:  %s\n", losses(rows, func(r groupRow) []string { return r.drops }))
	fmt.Fprintf(out, "failed copies:    %s\n", losses(rows, func(r groupRow) []string { return r.failures }))
}

func losses(rows []groupRow, of func(groupRow) []string) string {
	var all []string
	for _, r := range rows {
		for _, loss := range of(r) {
			all = append(all, r.group+" "+loss)
		}
	}
	if len(all) == 0 {
		return "none"
	}
	return strings.Join(all, ", ")
}

// elapsed rounds a time for people.
func elapsed(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
