package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// topDetailPane is all of one group.
type topDetailPane struct {
	of        topKey
	then, now *topDetail // the last two answers; nil: none yet
	first     int        // line on the screen
}

func (d *topDetailPane) update(now topDetail) { d.then, d.now = d.now, &now }

func (d *topDetailPane) press(key string, m *topModel) {
	page := m.height - linesBelow - 2
	switch key {
	case "esc", "enter", "backspace", "left":
		m.detail = nil
		m.arrange()
		return
	case "up", "k":
		d.first--
	case "down", "j":
		d.first++
	case "pgup":
		d.first -= page
	case "pgdown":
		d.first += page
	case "home":
		d.first = 0
	case "end":
		d.first = len(d.all(m))
	}
	d.first = max(0, min(d.first, len(d.all(m))-page))
}

func (d *topDetailPane) lines(m *topModel) []string {
	all := d.all(m)
	return all[min(d.first, len(all)):]
}

func (d *topDetailPane) all(m *topModel) []string {
	lines := []string{"", titleStyle.Render(field(d.of.name()+"  domain "+orDash(d.of.domain), m.width, true))}
	row := m.table.groups[d.of]
	if row == nil {
		return append(lines, "", "  it is gone: nobody joins it, and nobody sends to it")
	}
	lines = append(lines, trendLine("packets/s", &row.packetTrend, row.packets, m.width),
		trendLine("fan-out", &row.fanTrend, row.fan, m.width), trendLine("lost/s", &row.lostTrend, row.lost, m.width))
	if d.now == nil {
		return append(lines, "", "  no answer yet")
	}
	lines = append(lines, d.sources(m.width)...)
	lines = append(lines, d.subscribers(m.width)...)
	return append(lines, d.losses(m)...)
}

func trendLine(name string, t *trend, now float64, width int) string {
	bars := min(trendLength, width-40)
	return fmt.Sprintf("%-10s %s %8s  highest %s", name, t.spark(bars), short(now), short(t.highest()))
}

// seconds between the last two answers; 0 before the second one.
func (d *topDetailPane) seconds() float64 {
	if d.then == nil {
		return 0
	}
	return d.now.Time.Sub(d.then.Time).Seconds()
}

func (d *topDetailPane) sources(width int) []string {
	head := headStyle.Render(field("SOURCE", width-37, true) + "   PKT/S   MBIT/S   COPY/S  LAST SEEN")
	lines := []string{"", head}
	old := map[string]topSource{}
	if d.then != nil {
		for _, s := range d.then.Sources {
			old[s.Source] = s
		}
	}
	for _, s := range d.now.Sources {
		name, then := s.Source, old[s.Source]
		if name == "" {
			name = "others"
		}
		lines = append(lines, fmt.Sprintf("%s%8s %8s %8s %10s", field(name, width-37, true), short(perSecond(then.Packets, s.Packets, d.seconds())),
			short(perSecond(then.Bytes, s.Bytes, d.seconds())*8/1e6), short(perSecond(then.Copies, s.Copies, d.seconds())),
			max(0, d.now.Time.Sub(s.LastSeen)).Round(time.Second)))
	}
	if len(d.now.Sources) == 0 {
		lines = append(lines, "  nobody sends to it")
	}
	return lines
}

func (d *topDetailPane) subscribers(width int) []string {
	head := headStyle.Render(field("PORT", 16, true) + " " + field("PROTOCOL", 8, true) + " " + field("SOURCES AND HOSTS", width-44, true) + "   COPY/S  EXPIRES")
	lines := []string{"", head}
	old := map[string]uint64{}
	if d.then != nil {
		for _, s := range d.then.Subscribers {
			old[s.Interface] = s.Copies
		}
	}
	for _, s := range d.now.Subscribers {
		who := strings.TrimSpace(s.FilterMode + " " + strings.Join(s.Sources, ","))
		if len(s.Hosts) > 0 {
			who += " for " + strings.Join(s.Hosts, ",")
		}
		expires := "-"
		if !s.Expires.IsZero() {
			expires = max(0, s.Expires.Sub(d.now.Time)).Round(time.Second).String()
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %8s %8s", field(orDash(s.Interface), 16, true), field(s.Protocol, 8, true),
			field(who, width-44, true), short(perSecond(old[s.Interface], s.Copies, d.seconds())), expires))
	}
	if len(d.now.Subscribers) == 0 {
		lines = append(lines, "  nobody subscribes to it")
	}
	return lines
}

// losses are of the group, the worst one first, each with what helps.
func (d *topDetailPane) losses(m *topModel) []string {
	var rows []*topRow
	for k, r := range m.table.losses {
		if k.ofGroup() == d.of {
			rows = append(rows, r)
		}
	}
	if len(rows) == 0 {
		return []string{"", "nothing was lost"}
	}
	slices.SortFunc(rows, func(a, b *topRow) int {
		if a.totalLost != b.totalLost {
			return int(min(1, max(-1, int64(b.totalLost)-int64(a.totalLost))))
		}
		return compareRowNames(a, b)
	})
	lines := []string{"", headStyle.Render(field("LOST", m.width, true))}
	for _, r := range rows {
		lines = append(lines, lossLines(r, m.width)...)
	}
	return lines
}

func lossLines(r *topRow, width int) []string {
	what := r.reason
	if r.port != "" {
		what += " at port " + r.port
	}
	text := fmt.Sprintf("%s: %s a second, %d in all", what, short(r.lost), r.totalLost)
	lines := []string{lossStyle.Render(field(text, width, true))}
	why, err := reasonNamed(r.reason)
	if err != nil {
		return lines // a reason that a newer agent has
	}
	for _, s := range []string{why.Meaning, "What helps: " + why.Remedy} {
		lines = append(lines, wrap(s, width)...)
	}
	return lines
}

// wrap breaks a text into lines that are set in by two.
func wrap(text string, width int) (lines []string) {
	for line := range strings.Lines(ansi.Wrap(text, width-2, "")) {
		lines = append(lines, "  "+strings.TrimSuffix(line, "\n"))
	}
	return lines
}
