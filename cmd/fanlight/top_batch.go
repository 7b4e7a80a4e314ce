package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// topFrame is one table as JSON.
type topFrame struct {
	Time time.Time    `json:"time"`
	View string       `json:"view"`
	Rows []topRowJSON `json:"rows"`
}

// topRowJSON is one row. What belongs to the other view is left out.
type topRowJSON struct {
	Domain      string   `json:"domain"`
	VLAN        string   `json:"vlan,omitempty"`
	Group       string   `json:"group"`
	Interface   string   `json:"interface,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	Sources     *int     `json:"sources,omitempty"`
	Subscribers *int     `json:"subscribers,omitempty"`
	Packets     *float64 `json:"packets_per_second,omitempty"`
	Bits        *float64 `json:"bits_per_second,omitempty"`
	Copies      *float64 `json:"copies_per_second,omitempty"`
	FanOut      *float64 `json:"fan_out,omitempty"`
	Lost        float64  `json:"lost_per_second"`
	TotalLost   uint64   `json:"lost"`
}

func writeTopJSON(w io.Writer, t *topTable, v topView, rows []*topRow) error {
	frame := topFrame{Time: t.last.time, View: topViews[v], Rows: []topRowJSON{}}
	for _, r := range rows {
		row := topRowJSON{
			Domain: r.domain, VLAN: r.vlan, Group: r.group, Interface: r.port, Reason: r.reason, Lost: r.lost, TotalLost: r.totalLost,
		}
		if v == viewGroups {
			bits := r.megabits * 1e6
			row.Sources, row.Subscribers, row.Packets, row.Bits, row.Copies, row.FanOut = &r.sources, &r.subscribers, &r.packets, &bits, &r.copies, &r.fan
		}
		frame.Rows = append(frame.Rows, row)
	}
	return json.NewEncoder(w).Encode(frame)
}

// writeTopTable ends in an empty line, which parts one table from the next.
func writeTopTable(to io.Writer, v topView, rows []*topRow) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	var titles []string
	for _, c := range columnsOf[v] {
		titles = append(titles, c.title)
	}
	fmt.Fprintln(w, strings.Join(titles, "\t"))
	for _, r := range rows {
		var cells []string
		for _, c := range columnsOf[v] {
			text := c.text(r, 0)
			cells = append(cells, field(text, len([]rune(text)), true))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	fmt.Fprintln(w)
	return w.Flush()
}
