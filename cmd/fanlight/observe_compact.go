package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// shownEvent is an event as the stream has it, as far as compact lines and
// tables show it.
type shownEvent struct {
	Time       time.Time `json:"time"`
	Kind       string    `json:"kind"`
	Action     string    `json:"action"`
	Reason     string    `json:"reason"`
	VLAN       uint16    `json:"vlan"`
	InnerVLAN  uint16    `json:"inner_vlan"`
	Source     string    `json:"source"`
	Group      string    `json:"group"`
	Interface  string    `json:"interface"`
	Host       string    `json:"host"`
	Querier    string    `json:"querier"`
	Protocol   string    `json:"protocol"`
	FilterMode string    `json:"filter_mode"`
	Sources    []string  `json:"sources"`
	FanOut     uint32    `json:"fan_out"`
	PrevFanOut uint32    `json:"previous_fan_out"`
	Packets    uint64    `json:"packets"`
	Copies     uint64    `json:"copies"`
	Failures   uint64    `json:"failed_copies"`
	Suppressed uint64    `json:"suppressed_events"`
	Lost       uint64    `json:"lost_events"`
}

func (e *shownEvent) parse(line []byte) error {
	*e = shownEvent{}
	if err := json.Unmarshal(line, e); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return nil
}

// compactPrinter writes a line for people per event.
func compactPrinter(w *bufio.Writer, colors bool) func([]byte) error {
	var e shownEvent
	return func(line []byte) error {
		if err := e.parse(line); err != nil {
			return err
		}
		_, err := w.WriteString(e.compact(time.Now(), colors) + "\n")
		return err
	}
}

// compact is: time, kind/action, group, who to whom, why, totals.
func (e *shownEvent) compact(now time.Time, colors bool) string {
	what := pad(e.Kind+"/"+e.Action, 22)
	if colors {
		what = e.color() + what + "\x1b[0m"
	}
	var parts []string
	if e.Kind != "loss" {
		parts = append(parts, pad(orDash(e.groupName()), 15), pad(e.flow(), 27))
	}
	for _, part := range []string{e.Reason, e.detail(), e.totals()} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.TrimRight(clock(e.Time, now)+" "+what+" "+strings.Join(parts, "  "), " ")
}

// clock is the local time, with the date if that is not today's.
func clock(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format("15:04:05.000")
	}
	return at.Format("2006-01-02 15:04:05.000")
}

func (e *shownEvent) color() string {
	switch {
	case e.Kind == "loss":
		return "\x1b[1;31m" // bold red
	case e.Kind == "drop":
		return "\x1b[31m" // red
	case e.Kind == "querier":
		return "\x1b[36m" // cyan
	case e.Action == "joined":
		return "\x1b[32m" // green
	case e.Kind == "membership":
		return "\x1b[33m" // yellow
	}
	return "\x1b[34m" // blue
}

func (e *shownEvent) groupName() string {
	switch {
	case e.InnerVLAN != 0:
		return fmt.Sprintf("%s vlan %d.%d", shortName(e.Group), e.VLAN, e.InnerVLAN)
	case e.VLAN != 0:
		return fmt.Sprintf("%s vlan %d", shortName(e.Group), e.VLAN)
	}
	return shortName(e.Group)
}

// flow is who sends, and who gets it.
func (e *shownEvent) flow() string {
	switch {
	case e.Kind == "membership":
		return "→ " + at(e.Host, e.Interface)
	case e.Kind == "querier":
		return at(e.Querier, e.Interface)
	case e.Action == "copy":
		return shortName(orDash(e.Source)) + " → " + at("", e.Interface)
	case e.Kind == "replication":
		return fmt.Sprintf("%s → %s", at(e.Source, e.Interface), count(uint64(e.FanOut), "port"))
	}
	return at(e.Source, e.Interface)
}

// at is host@port, or the one that is known.
func at(host, port string) string {
	if host == "" || port == "" {
		return orDash(shortName(host + port))
	}
	return shortName(host) + "@" + shortName(port)
}

func (e *shownEvent) detail() string {
	switch {
	case e.Kind == "membership" || e.Kind == "querier":
		return strings.TrimSpace(e.Protocol + " " + strings.TrimSpace(e.FilterMode+" "+shortList(e.Sources)))
	case e.Action == "fanout":
		return fmt.Sprintf("was %d", e.PrevFanOut)
	}
	return ""
}

func (e *shownEvent) totals() string {
	var parts []string
	for _, x := range []struct {
		n    uint64
		noun string
	}{
		{e.Packets, "packet"}, {e.Copies, "cop"}, {e.Failures, "failed cop"}, {e.Suppressed, "event held back"}, {e.Lost, "event lost"},
	} {
		if x.n > 0 {
			parts = append(parts, count(x.n, x.noun))
		}
	}
	return strings.Join(parts, ", ")
}

// count is a number with its noun.
func count(n uint64, noun string) string {
	many := n != 1
	switch head, tail, _ := strings.Cut(noun, " "); {
	case strings.HasSuffix(noun, "cop") && many:
		noun += "ies"
	case strings.HasSuffix(noun, "cop"):
		noun += "y"
	case many && tail != "":
		noun = head + "s " + tail
	case many:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

var pseudonym = regexp.MustCompile(`^([a-z]+)_[0-9a-f]{8}_([0-9a-f]{8})[0-9a-f]+$`)

// shortName makes a pseudonym a glob that fits it.
func shortName(text string) string {
	if strings.Count(text, "_") != 2 { // most are none
		return text
	}
	if m := pseudonym.FindStringSubmatch(text); m != nil {
		return m[1] + "_*_" + m[2] + "*"
	}
	return text
}

func shortList(texts []string) string {
	list := make([]string, len(texts))
	for i, t := range texts {
		list[i] = shortName(t)
	}
	return strings.Join(list, ",")
}

func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}
