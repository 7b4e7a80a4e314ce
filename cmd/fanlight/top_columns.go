package main

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// topView is what the table shows.
type topView int

const (
	viewGroups topView = iota
	viewDrops
)

var topViews = []string{viewGroups: "groups", viewDrops: "drops"}

// topColumn is a column of a table, and an order.
type topColumn struct {
	title string
	name  string // for --sort and the help
	width int    // 0: as much as is left
	wide  bool   // only where there is room
	left  bool   // names; figures stand at the right
	text  func(r *topRow, width int) string
	// order is ascending.
	order func(a, b *topRow) int
}

// wideScreen is from how many columns on a screen shows the wide ones.
const wideScreen = 100

func figure(title, name string, width int, of func(*topRow) float64) topColumn {
	return topColumn{
		title: title, name: name, width: width,
		text:  func(r *topRow, _ int) string { return short(of(r)) },
		order: func(a, b *topRow) int { return cmp.Compare(of(a), of(b)) },
	}
}

func label(title, name string, width int, of func(*topRow) string) topColumn {
	return topColumn{
		title: title, name: name, width: width, left: true,
		text:  func(r *topRow, _ int) string { return orDash(of(r)) },
		order: func(a, b *topRow) int { return cmp.Compare(of(a), of(b)) },
	}
}

func onWide(c topColumn) topColumn {
	c.wide = true
	return c
}

var (
	groupColumn = topColumn{
		title: "GROUP", name: "group", left: true, order: compareRowNames,
		text: func(r *topRow, _ int) string { return r.name() },
	}
	domainColumn = onWide(label("DOMAIN", "domain", 10, func(r *topRow) string { return r.domain }))
	lostColumn   = figure("LOST/S", "lost", 6, func(r *topRow) float64 { return r.lost })
	totalColumn  = onWide(figure("LOST", "total", 6, func(r *topRow) float64 { return float64(r.totalLost) }))
	// trendColumn takes its width from the screen: see columns.
	trendColumn = topColumn{title: "TREND", name: "trend", width: 10, left: true}
)

// columnsOf are all columns of a view; which of them a screen has room for is
// columns' to say.
var columnsOf = [][]topColumn{
	viewGroups: {
		groupColumn, domainColumn,
		figure("SRC", "sources", 4, func(r *topRow) float64 { return float64(r.sources) }),
		figure("SUBS", "subscribers", 4, func(r *topRow) float64 { return float64(r.subscribers) }),
		figure("PKT/S", "packets", 6, func(r *topRow) float64 { return r.packets }),
		figure("MBIT/S", "megabits", 6, func(r *topRow) float64 { return r.megabits }),
		figure("COPY/S", "copies", 6, func(r *topRow) float64 { return r.copies }),
		figure("FAN", "fan-out", 5, func(r *topRow) float64 { return r.fan }),
		lostColumn, totalColumn,
	},
	viewDrops: {
		groupColumn, domainColumn,
		label("PORT", "port", 12, func(r *topRow) string { return r.port }),
		label("REASON", "reason", 16, func(r *topRow) string { return r.reason }),
		lostColumn,
		figure("LOST", "total", 6, func(r *topRow) float64 { return float64(r.totalLost) }),
	},
}

// usualOrder is the column that sorts a view at first.
var usualOrder = []string{viewGroups: "packets", viewDrops: "lost"}

func columnNames(v topView) (names []string) {
	for _, c := range columnsOf[v] {
		names = append(names, c.name)
	}
	return names
}

// short is a figure in at most five characters, such as 0.25, 12.5, 56078, 123k
// and 1.20M.
func short(v float64) string {
	switch {
	case v == math.Trunc(v) && v < 100_000, v >= 99.95 && v < 99_999.5:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	units := []string{"k", "M", "G", "T", "P", "E"}
	unit := -1
	for v >= 999.5 && unit < len(units)-1 {
		v /= 1000
		unit++
	}
	digits := 2
	switch {
	case v >= 99.95:
		digits = 0
	case v >= 9.995:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + units[unit]
}

// field brings a text to a width. What a name may hold besides letters does not
// reach the terminal.
func field(text string, width int, left bool) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	n := utf8.RuneCountInString(text)
	if n > width {
		return string([]rune(text)[:max(0, width-1)]) + "…"
	}
	if left {
		return text + strings.Repeat(" ", width-n)
	}
	return fmt.Sprintf("%*s", width, text)
}
