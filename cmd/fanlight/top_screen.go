package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
)

// The styles of the screen. On a terminal without colour they are bold, reversed
// or nothing.
var (
	titleStyle    = lipgloss.NewStyle().Bold(true)
	headStyle     = lipgloss.NewStyle().Bold(true).Underline(true)
	selectedStyle = lipgloss.NewStyle().Reverse(true)
	lossStyle     = lipgloss.NewStyle().Foreground(lipgloss.Red)
	errorStyle    = lipgloss.NewStyle().Foreground(lipgloss.Red).Bold(true)
	faintStyle    = lipgloss.NewStyle().Faint(true)
)

// View implements tea.Model.
func (m *topModel) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen = true
	return v
}

// Lines of the screen around the table.
const (
	linesAbove = 4 // title, state, what is shown, head of the table
	linesBelow = 1 // keys
)

// smallest is the size below which nothing can be shown.
const (
	smallestWidth  = 60
	smallestHeight = linesAbove + linesBelow + 1
)

func (m *topModel) tableHeight() int { return max(1, m.height-linesAbove-linesBelow) }

// lines is the screen: m.height lines of at most m.width columns.
func (m *topModel) lines() []string {
	if m.width < smallestWidth || m.height < smallestHeight {
		return []string{cut(fmt.Sprintf("fanlight top needs %d columns and %d lines", smallestWidth, smallestHeight), m.width)}
	}
	lines := []string{titleStyle.Render(field(m.title(), m.width, true)), m.state()}
	var body []string
	switch {
	case m.help:
		body = m.helpLines()
	case m.detail != nil:
		body = m.detail.lines(m)
	default:
		body = append([]string{m.shown()}, m.tableLines()...)
	}
	body = body[:min(len(body), m.height-len(lines)-linesBelow)]
	lines = append(lines, body...)
	for len(lines) < m.height-linesBelow {
		lines = append(lines, "")
	}
	return append(lines, faintStyle.Render(cut(m.footer(), m.width)))
}

func (m *topModel) title() string {
	s := m.table.sum()
	at := "--:--:--"
	if !m.table.last.time.IsZero() {
		at = m.table.last.time.Format("15:04:05")
	}
	return fmt.Sprintf("fanlight top %s  %d groups  %s pkt/s  %s Mbit/s  %s copy/s  %s lost/s", at,
		len(m.table.groups), short(s.packets), short(s.megabits), short(s.copies), short(s.lost))
}

// state says what is out of the ordinary.
func (m *topModel) state() string {
	switch {
	case m.err != nil:
		return errorStyle.Render(field("AGENT GONE, trying again: "+m.err.Error(), m.width, true))
	case m.paused:
		return titleStyle.Render(field("PAUSED: Space goes on", m.width, true))
	}
	return field(fmt.Sprintf("every %v from %s", m.interval, m.agent), m.width, true)
}

// shown says which view this is, how it is sorted and what it leaves out.
func (m *topModel) shown() string {
	var parts []string
	for v, name := range topViews {
		if topView(v) == m.view {
			name = "[" + name + "]"
		}
		parts = append(parts, name)
	}
	text := strings.Join(parts, " ") + "   by " + columnsOf[m.view][m.orders[m.view].column].name
	if !m.orders[m.view].descending {
		text += ", lowest first"
	}
	text += "   trend of " + m.trendName()
	switch {
	case m.typing:
		text += "   filter: " + m.filter + "_"
	case m.filter != "":
		text += "   filter: " + m.filter
	}
	return field(text, m.width, true)
}

// trendName is what TREND shows: of a loss there is nothing else to show.
func (m *topModel) trendName() string {
	if m.view == viewDrops {
		return "lost"
	}
	return topTrends[m.trend].name
}

func (m *topModel) trendOf(r *topRow) *trend {
	if m.view == viewDrops {
		return &r.lostTrend
	}
	return topTrends[m.trend].of(r)
}

// columns are those that the screen has room for; the one without a width gets
// what the others leave.
func (m *topModel) columns() []topColumn {
	c := trendColumn
	if m.width >= wideScreen {
		c.width = 20
	}
	c.text = func(r *topRow, width int) string { return m.trendOf(r).spark(width) }
	left := m.width
	var shown []topColumn
	for _, c := range append(slices.Clone(columnsOf[m.view]), c) {
		if c.wide && m.width < wideScreen && !(c.name == domainColumn.name && m.table.severalDomains()) {
			continue
		}
		left -= c.width + 1
		shown = append(shown, c)
	}
	for i := range shown {
		if shown[i].width == 0 {
			shown[i].width = left + 1 // no space after the last one
		}
	}
	return shown
}

func (m *topModel) tableLines() []string {
	columns := m.columns()
	sorted := columnsOf[m.view][m.orders[m.view].column].name
	var head []string
	for _, c := range columns {
		title := c.title
		if c.name == sorted && len(title) < c.width {
			title = m.arrow() + title
		}
		head = append(head, field(title, c.width, c.left))
	}
	lines := []string{headStyle.Render(strings.Join(head, " "))}
	if len(m.rows) == 0 {
		return append(lines, "", m.nothing())
	}
	for _, r := range m.rows[m.first:min(len(m.rows), m.first+m.tableHeight())] {
		text := line(columns, r)
		switch {
		case r.topKey == m.selected:
			text = selectedStyle.Render(text)
		case r.lost > 0:
			text = lossStyle.Render(text)
		}
		lines = append(lines, text)
	}
	return lines
}

func (m *topModel) arrow() string {
	if m.orders[m.view].descending {
		return "▼"
	}
	return "▲"
}

func line(columns []topColumn, r *topRow) string {
	var cells []string
	for _, c := range columns {
		cells = append(cells, field(c.text(r, c.width), c.width, c.left))
	}
	return strings.Join(cells, " ")
}

// nothing says why there is no row.
func (m *topModel) nothing() string {
	switch {
	case m.table.last.time.IsZero():
		return "  no answer yet"
	case m.filter != "":
		return "  nothing contains " + field(m.filter, min(40, utf8.RuneCountInString(m.filter)), true) + ": Esc clears the filter"
	case m.view == viewDrops:
		return "  nothing was lost"
	}
	return "  nobody joined a group, and nobody sent to one"
}

func (m *topModel) helpLines() []string {
	lines := []string{"", titleStyle.Render("Keys")}
	for _, k := range topHelp {
		lines = append(lines, cut("  "+field(k.keys, 9, true)+" "+k.does, m.width))
	}
	var names []string
	for i, c := range m.columns() {
		if c.order != nil {
			names = append(names, fmt.Sprintf("%d %s", i+1, c.name))
		}
	}
	lines = append(lines, "", titleStyle.Render("Columns of "+topViews[m.view]))
	lines = append(lines, wrap(strings.Join(names, ", "), m.width)...)
	return append(lines, "", cut("FAN is copies per packet. LOST counts packets and copies.", m.width))
}

func (m *topModel) footer() string {
	switch {
	case m.typing:
		return "Enter keeps the filter, Esc clears it"
	case m.help:
		return "any key goes back"
	case m.detail != nil:
		return "Esc back  ↑↓ scroll  Space pause  + - interval  ? help  q quit"
	}
	return "g groups  d drops  Enter group  / filter  1-9 sort  r reverse  ? help  q quit"
}
