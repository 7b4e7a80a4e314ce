package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var topBegan = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// topAnswerAt is what an agent answers after so many seconds.
func topAnswerAt(s uint64) topAnswer {
	return topAnswer{Time: topBegan.Add(time.Duration(s) * time.Second), Groups: []topGroup{
		{Domain: "lab", Group: "233.252.0.1", Sources: 2, Subscribers: 3, Packets: 1000 * s, Bytes: 1_400_000 * s, Copies: 3000 * s,
			Losses: []topLoss{{Interface: "p-tv", Reason: "backlog_full", Packets: 30 * s * s}, {Reason: "wrong_source", Packets: 7}}},
		{Domain: "lab", VLAN: "7", Group: "ff15::1:1", Sources: 1, Subscribers: 1, Packets: 20 * s, Bytes: 2000 * s, Copies: 20 * s},
		{Domain: "lab", Group: "233.252.0.20", Subscribers: 40},
		{Domain: "lab", Group: "ff3e:30:2001:db8:85a3:8a2e:370:7334", Sources: 1, Packets: 2_500_000 * s, Bytes: 2_500_000_000 * s, Losses: []topLoss{{Reason: "unregistered", Packets: 2_500_000 * s}}},
	}}
}

func topDetailAt(s uint64) *topDetail {
	at := topBegan.Add(time.Duration(s) * time.Second)
	return &topDetail{
		Time: at,
		Sources: []topSource{
			{Source: "192.0.2.1", Packets: 999 * s, Bytes: 1_398_600 * s, Copies: 2997 * s, LastSeen: at},
			{Packets: s, Bytes: 1400 * s, Copies: 3 * s, LastSeen: at.Add(-3 * time.Second)},
		},
		Subscribers: []subscription{
			{Interface: "p-radio", Protocol: "igmpv2", FilterMode: "exclude", Hosts: []string{"192.0.2.3"}, Copies: 1000 * s, Expires: at.Add(4 * time.Minute)},
			{Interface: "p-tv", Protocol: "igmpv3", FilterMode: "include", Sources: []string{"192.0.2.1"}, Hosts: []string{"192.0.2.4", "192.0.2.5"}, Copies: 2000 * s, Expires: at.Add(time.Minute)},
			{Interface: "p-wall", Protocol: "static", FilterMode: "exclude"},
		},
	}
}

// topPlay is a screen in a test's hand.
type topPlay struct {
	*topModel
	t    *testing.T
	now  uint64
	fail error
}

func newTopPlay(t *testing.T, width, height int) *topPlay {
	p := &topPlay{t: t}
	p.topModel = newTopModel(topOptions{client: client{socket: "/run/fanlight/fanlight.sock"}, interval: 2 * time.Second, viewName: "groups"}, func(of *topKey) topAnswered {
		a := topAnswered{answer: topAnswerAt(p.now), err: p.fail}
		if of != nil {
			a.of, a.detail = *of, topDetailAt(p.now)
		}
		return a
	})
	p.Update(tea.WindowSizeMsg{Width: width, Height: height})
	p.Update(p.Init()())
	p.wait(4)
	return p
}

// wait lets so many intervals pass.
func (p *topPlay) wait(intervals int) {
	for range intervals {
		p.now += 2
		if _, cmd := p.Update(topTick{p.round}); cmd != nil {
			p.Update(cmd())
		}
	}
}

// keys presses one key after the other: names of keys, or text.
func (p *topPlay) keys(keys ...string) {
	named := map[string]rune{
		"enter": tea.KeyEnter, "esc": tea.KeyEscape, "tab": tea.KeyTab, "space": tea.KeySpace, "up": tea.KeyUp, "down": tea.KeyDown,
		"left": tea.KeyLeft, "right": tea.KeyRight, "end": tea.KeyEnd, "home": tea.KeyHome, "backspace": tea.KeyBackspace,
		"pgdown": tea.KeyPgDown, "pgup": tea.KeyPgUp,
	}
	for _, k := range keys {
		msg := tea.KeyPressMsg{Code: named[k]}
		if msg.Code == 0 {
			r, _ := utf8.DecodeRuneInString(k)
			msg = tea.KeyPressMsg{Code: r, Text: k}
		}
		if _, cmd := p.Update(msg); cmd != nil {
			p.Update(cmd())
		}
	}
}

// screen is the text on it, without styles.
func (p *topPlay) screen() string { return ansi.Strip(strings.Join(p.lines(), "\n")) + "\n" }

func TestTopScreens(t *testing.T) {
	for _, size := range []struct{ width, height int }{{80, 24}, {120, 40}} {
		for _, c := range []struct {
			name string
			do   func(*topPlay)
		}{
			{"groups", func(*topPlay) {}},
			{"drops", func(p *topPlay) { p.keys("d") }},
			{"group", func(p *topPlay) { p.keys("down", "enter"); p.wait(1) }},
			{"help", func(p *topPlay) { p.keys("?") }},
			{"filter", func(p *topPlay) { p.keys("/", "f", "f", "X", "backspace") }},
			{"nothing", func(p *topPlay) { p.keys("/", "n", "o", "enter") }},
			{"gone", func(p *topPlay) {
				p.fail = fmt.Errorf("%w at /run/fanlight/fanlight.sock", errNoAgent)
				p.wait(2)
			}},
			{"paused", func(p *topPlay) { p.keys("space"); p.wait(3) }},
		} {
			p := newTopPlay(t, size.width, size.height)
			c.do(p)
			golden(t, filepath.Join("testdata", "top", fmt.Sprintf("%s-%dx%d.golden", c.name, size.width, size.height)), p.screen())
		}
	}
}

// TestTopFitsEveryScreen: no line is too long, and there is none too many.
func TestTopFitsEveryScreen(t *testing.T) {
	for _, keys := range [][]string{{}, {"d"}, {"enter"}, {"?"}, {"/", "x"}, {"space"}} {
		for width := 1; width < 150; width += 7 {
			for height := 1; height < 50; height += 3 {
				p := newTopPlay(t, width, height)
				p.keys(keys...)
				lines := strings.Split(strings.TrimSuffix(p.screen(), "\n"), "\n")
				if len(lines) > height {
					t.Fatalf("%v at %dx%d: %d lines", keys, width, height, len(lines))
				}
				for _, l := range lines {
					if ansi.StringWidth(l) > width {
						t.Fatalf("%v at %dx%d: %q", keys, width, height, l)
					}
				}
			}
		}
	}
}

// order is the groups on the screen, from above.
func (p *topPlay) order() (names []string) {
	for _, r := range p.rows {
		names = append(names, r.group)
	}
	return names
}

func TestTopSorts(t *testing.T) {
	const one, twenty, six, long = "233.252.0.1", "233.252.0.20", "ff15::1:1", "ff3e:30:2001:db8:85a3:8a2e:370:7334"
	for _, c := range []struct {
		keys []string
		want []string
	}{
		{nil, []string{long, one, six, twenty}},
		{[]string{"r"}, []string{twenty, six, one, long}},
		{[]string{"1"}, []string{one, twenty, six, long}},
		{[]string{"1", "1"}, []string{long, six, twenty, one}},
		{[]string{"3"}, []string{twenty, one, six, long}},                       // subscribers
		{[]string{"left", "left"}, []string{one, six, long, twenty}},            // sources
		{[]string{"right", "right", "right"}, []string{one, six, twenty, long}}, // fan-out
		{[]string{"9"}, []string{long, one, six, twenty}},                       // TREND sorts nothing
		{[]string{"tab"}, []string{long, one, one}},
		{[]string{"tab", "g", "/", "2", "5", "2", "enter"}, []string{one, twenty}},
		{[]string{"/", "2", "5", "2", "enter", "esc"}, []string{long, one, six, twenty}},
	} {
		p := newTopPlay(t, 80, 24)
		p.keys(c.keys...)
		if diff := cmp.Diff(c.want, p.order()); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.keys, diff)
		}
	}
}

// TestTopKeepsTheSelection on its group, wherever that goes.
func TestTopKeepsTheSelection(t *testing.T) {
	p := newTopPlay(t, 80, 6) // one row
	p.keys("down", "down")
	want := "ff15::1:1"
	for _, key := range []string{"r", "1", "r"} {
		p.keys(key)
		if p.selected.group != want || !strings.Contains(p.screen(), want) {
			t.Errorf("after %s: %q is selected, on\n%s", key, p.selected.group, p.screen())
		}
	}
	p.keys("end", "down", "up", "home")
	if p.selectedRow() != 0 {
		t.Errorf("after Home: row %d", p.selectedRow())
	}
}

// TestTopCountsFromTotals: rates are of the time between two answers; a total that
// began again gives none, and a new one began at 0.
func TestTopCountsFromTotals(t *testing.T) {
	at := func(seconds int, groups ...topGroup) topAnswer {
		return topAnswer{Time: topBegan.Add(time.Duration(seconds) * time.Second), Groups: groups}
	}
	g := func(packets uint64, losses ...topLoss) topGroup {
		return topGroup{Group: "233.252.0.1", Packets: packets, Copies: 2 * packets, Losses: losses}
	}
	var table topTable
	for i, c := range []struct {
		answer                     topAnswer
		packets, copies, fan, lost float64
		values                     int // in the trend
	}{
		{at(0, g(500)), 0, 0, 0, 0, 0},
		{at(2, g(700)), 100, 200, 2, 0, 1},
		{at(6, g(700, topLoss{Reason: "ttl", Packets: 8})), 0, 0, 0, 2, 2},
		{at(8, g(10)), 0, 0, 0, 0, 3},
		{at(10), 0, 0, 0, 0, -1},
		{at(11, g(40)), 40, 80, 2, 0, 1},
	} {
		table.update(c.answer)
		r := table.groups[topKey{group: "233.252.0.1"}]
		if (r == nil) != (c.values < 0) {
			t.Fatalf("answer %d: row %v", i, r)
		}
		if r != nil && (r.packets != c.packets || r.copies != c.copies || r.fan != c.fan || r.lost != c.lost || len(r.packetTrend.values) != c.values) {
			t.Errorf("answer %d: %+v, want %+v", i, r, c)
		}
	}
}

// TestTopForgetsLateAnswers: what was asked before the last question changes
// nothing, and a pause asks nothing.
func TestTopForgetsLateAnswers(t *testing.T) {
	p := newTopPlay(t, 80, 24)
	late := p.round
	p.keys("-") // asks at once
	before := p.screen()
	if p.Update(topAnswered{round: late, err: errors.New("late")}); p.screen() != before {
		t.Errorf("a late answer changed the screen to\n%s", p.screen())
	}
	if p.interval != time.Second {
		t.Errorf("interval %v", p.interval)
	}
	p.keys("space")
	if _, cmd := p.Update(topTick{p.round}); cmd != nil {
		t.Error("a pause asked the agent")
	}
	p.keys("space")
	if p.paused || p.err != nil {
		t.Errorf("paused %v, error %v", p.paused, p.err)
	}
}

// TestTopComesBack when the agent does.
func TestTopComesBack(t *testing.T) {
	p := newTopPlay(t, 80, 24)
	p.fail = errNoAgent
	p.wait(1)
	if !strings.Contains(p.screen(), "AGENT GONE, trying again: no agent answers") {
		t.Errorf("agent gone:\n%s", p.screen())
	}
	p.fail = nil
	p.wait(1)
	if strings.Contains(p.screen(), "AGENT GONE") {
		t.Errorf("agent back:\n%s", p.screen())
	}
}

func TestShortFigures(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 2: "2", 0.25: "0.25", 9.994: "9.99", 9.996: "10.0", 12.34: "12.3", 99.96: "100", 999.6: "1000", 99999: "99999",
		99_999.7: "100k", 123_456: "123k", 999_499: "999k", 999_600: "1.00M", 12_340_000: "12.3M", 5e9: "5.00G", 1e18: "1.00E", 1e20: "100E",
	} {
		if got := short(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

func TestTrend(t *testing.T) {
	var tr trend
	if got := tr.spark(3); got != "   " {
		t.Errorf("no value: %q", got)
	}
	for i := range trendLength + 5 {
		tr.add(float64(i))
	}
	if tr.values[0] != 5 || len(tr.values) != trendLength || tr.highest() != trendLength+4 {
		t.Errorf("%v", tr.values)
	}
	tr = trend{}
	for _, v := range []float64{1000, 0, 0.001, 500} {
		tr.add(v)
	}
	if got := tr.spark(6); got != "  █ ▁▅" {
		t.Errorf("%q", got)
	}
}

// TestFieldKeepsControlsOut of the terminal.
func TestFieldKeepsControlsOut(t *testing.T) {
	if got := field("p\x1b[31m\n\u202e", 10, true); got != "p?[31m??  " {
		t.Errorf("%q", got)
	}
	if got := field("abcdef", 4, false); got != "abc…" {
		t.Errorf("%q", got)
	}
}
