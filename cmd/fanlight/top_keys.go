package main

import (
	"slices"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// topHelp is what the keys do, for the help screen and the manual.
var topHelp = []struct{ keys, does string }{
	{"g d Tab", "show groups, show drops, show the next of them"},
	{"↑ ↓ j k", "select a row; PgUp, PgDn, Home and End, too"},
	{"Enter", "show all of the selected group: sources, subscribers, why it lost"},
	{"Esc", "go back; clear the filter"},
	{"/", "show only rows that contain a text"},
	{"1 to 9", "sort by that column; ← and → choose its neighbour"},
	{"r", "sort the other way round"},
	{"t", "let TREND show packets, fan-out or losses"},
	{"Space", "pause, go on"},
	{"+ -", "ask the agent less often, more often"},
	{"?", "show this"},
	{"q Ctrl-C", "quit"},
}

// topIntervals are the steps of + and -.
var topIntervals = []time.Duration{
	500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// topTrends are what TREND can show.
var topTrends = []struct {
	name string
	of   func(*topRow) *trend
}{
	{"packets", func(r *topRow) *trend { return &r.packetTrend }},
	{"fan-out", func(r *topRow) *trend { return &r.fanTrend }},
	{"lost", func(r *topRow) *trend { return &r.lostTrend }},
}

func (m *topModel) press(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case key == "ctrl+z":
		return tea.Suspend
	case m.typing:
		m.typeFilter(key, msg.Text)
		return nil
	case m.help:
		m.help = false // by whatever key
		return nil
	}
	switch key {
	case "q":
		return tea.Quit
	case "?":
		m.help = true
	case "space":
		return m.pause()
	case "+", "=":
		return m.changeInterval(1)
	case "-":
		return m.changeInterval(-1)
	default:
		if m.detail != nil {
			m.detail.press(key, m)
			return nil
		}
		return m.pressInTable(key)
	}
	return nil
}

func (m *topModel) pressInTable(key string) tea.Cmd {
	switch key {
	case "g":
		m.show(viewGroups)
	case "d":
		m.show(viewDrops)
	case "tab", "shift+tab":
		m.show((m.view + 1) % topView(len(topViews)))
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.tableHeight())
	case "pgdown":
		m.move(m.tableHeight())
	case "home":
		m.move(-len(m.rows))
	case "end":
		m.move(len(m.rows))
	case "enter":
		return m.open()
	case "/":
		m.typing = true
	case "esc":
		m.filter = ""
		m.arrange()
	case "left":
		m.sortByNeighbour(-1)
	case "right":
		m.sortByNeighbour(1)
	case "r":
		o := &m.orders[m.view]
		o.descending = !o.descending
		m.arrange()
	case "t":
		m.trend = (m.trend + 1) % len(topTrends)
	default:
		if len(key) == 1 && key[0] >= '1' && key[0] <= '9' {
			m.sortBy(int(key[0] - '1'))
		}
	}
	return nil
}

// typeFilter takes a key of the filter; rows follow at once.
func (m *topModel) typeFilter(key, text string) {
	switch key {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, ""
	case "backspace":
		_, size := utf8.DecodeLastRuneInString(m.filter)
		m.filter = m.filter[:len(m.filter)-size]
	default:
		m.filter += text
	}
	m.arrange()
}

func (m *topModel) show(v topView) {
	m.view, m.first, m.chosen = v, 0, false
	m.arrange()
}

func (m *topModel) move(by int) {
	if len(m.rows) == 0 {
		return
	}
	at := min(max(m.selectedRow()+by, 0), len(m.rows)-1)
	m.selected, m.chosen = m.rows[at].topKey, at > 0
	m.arrange()
}

// sortBy takes the n-th column on the screen; again, it turns the order round.
func (m *topModel) sortBy(n int) {
	shown := m.columns()
	if n >= len(shown) || shown[n].order == nil {
		return
	}
	next := orderBy(m.view, shown[n].name)
	o := &m.orders[m.view]
	if o.column == next.column {
		next.descending = !o.descending
	}
	*o = next
	m.arrange()
}

func (m *topModel) sortByNeighbour(by int) {
	shown := m.columns()
	name := columnsOf[m.view][m.orders[m.view].column].name
	at := slices.IndexFunc(shown, func(c topColumn) bool { return c.name == name }) + by
	if at >= 0 {
		m.sortBy(at)
	}
}

// open shows the group of the selected row.
func (m *topModel) open() tea.Cmd {
	at := m.selectedRow()
	if at < 0 {
		return nil
	}
	m.detail = &topDetailPane{of: m.rows[at].ofGroup()}
	return m.askNow() // in a pause, too: there is nothing to show otherwise
}

func (m *topModel) pause() tea.Cmd {
	m.paused = !m.paused
	if m.paused {
		return nil
	}
	return m.askNow()
}

func (m *topModel) changeInterval(by int) tea.Cmd {
	at, found := slices.BinarySearch(topIntervals, m.interval)
	if !found && by > 0 {
		at-- // the next one is above
	}
	m.interval = topIntervals[min(max(at+by, 0), len(topIntervals)-1)]
	if m.paused {
		return nil
	}
	return m.askNow()
}
