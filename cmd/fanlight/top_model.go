package main

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"
)

// topModel is all that the screen shows. Update changes it by messages only, so
// that a test can play every key.
type topModel struct {
	// ask gets the next answer, with the detail of a group if there is one to show.
	ask   func(detail *topKey) topAnswered
	agent string // where it is asked

	width, height int
	table         topTable
	view          topView
	orders        []topOrder // by view
	rows          []*topRow  // of the view, in order
	selected      topKey
	chosen        bool // by a key: the selection follows its row; else it is the first one
	first         int  // row on the screen
	filter        string
	typing        bool // the filter
	trend         int  // of topTrends
	detail        *topDetailPane
	help          bool

	interval time.Duration
	paused   bool
	round    int // of asking; what belongs to an older one is late
	err      error
}

// topOrder is which column sorts.
type topOrder struct {
	column     int
	descending bool
}

// topAnswered is what came of asking the agent.
type topAnswered struct {
	round  int
	answer topAnswer
	of     topKey     // what the detail is of
	detail *topDetail // nil: none was asked for
	err    error
}

// topTick says that it is time to ask again.
type topTick struct{ round int }

func newTopModel(o topOptions, ask func(*topKey) topAnswered) *topModel {
	m := &topModel{ask: ask, agent: o.where(), width: 80, height: 24, interval: o.interval, view: o.view(), filter: o.filter}
	for v := range topViews {
		m.orders = append(m.orders, orderBy(topView(v), usualOrder[v]))
	}
	if o.sort != "" {
		m.orders[m.view] = orderBy(m.view, o.sort)
	}
	return m
}

// orderBy is the order by a column: names from a to z, figures from the highest.
func orderBy(v topView, name string) topOrder {
	i := slices.Index(columnNames(v), name)
	return topOrder{i, !columnsOf[v][i].left}
}

// secondAnswer is how soon the second answer is asked for, which has the first rates.
const secondAnswer = 500 * time.Millisecond

// Init implements tea.Model.
func (m *topModel) Init() tea.Cmd { return m.askNow() }

// Update implements tea.Model.
func (m *topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.arrange()
	case topAnswered:
		if msg.round == m.round {
			return m, m.take(msg)
		}
	case topTick:
		if msg.round == m.round && !m.paused {
			return m, m.askNow()
		}
	case tea.KeyPressMsg:
		return m, m.press(msg)
	}
	return m, nil
}

// askNow makes everything late that is under way.
func (m *topModel) askNow() tea.Cmd {
	m.round++
	round, ask := m.round, m.ask
	var of *topKey
	if m.detail != nil {
		k := m.detail.of
		of = &k
	}
	return func() tea.Msg {
		a := ask(of)
		a.round = round
		return a
	}
}

func (m *topModel) take(a topAnswered) tea.Cmd {
	wait := m.interval
	if m.table.last.time.IsZero() || m.detail != nil && m.detail.now == nil {
		wait = min(wait, secondAnswer)
	}
	m.err = a.err
	if a.err == nil {
		m.table.update(a.answer)
		if m.detail != nil && a.detail != nil && m.detail.of == a.of {
			m.detail.update(*a.detail)
		}
		m.arrange()
	}
	round := m.round
	return tea.Tick(wait, func(time.Time) tea.Msg { return topTick{round} })
}

// arrange puts the rows in order and keeps the selected one on the screen.
func (m *topModel) arrange() {
	m.rows = m.table.ordered(m.view, m.filter, m.orders[m.view])
	at := m.selectedRow()
	if len(m.rows) > 0 && (at < 0 || !m.chosen) {
		at, m.selected = 0, m.rows[0].topKey
	}
	fit := m.tableHeight()
	m.first = max(0, min(m.first, len(m.rows)-fit))
	if at >= 0 {
		m.first = max(at-fit+1, min(m.first, at))
	}
}

// ordered returns the rows of a view.
func (t *topTable) ordered(v topView, filter string, o topOrder) []*topRow {
	rows := t.rows(v, filter)
	order := columnsOf[v][o.column].order
	slices.SortFunc(rows, func(a, b *topRow) int {
		c := order(a, b)
		if o.descending {
			c = -c
		}
		if c == 0 {
			c = compareRowNames(a, b)
		}
		return c
	})
	return rows
}

// selectedRow returns its place, or -1.
func (m *topModel) selectedRow() int {
	return slices.IndexFunc(m.rows, func(r *topRow) bool { return r.topKey == m.selected })
}
