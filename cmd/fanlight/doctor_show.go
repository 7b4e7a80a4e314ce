package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/doctor"
)

// paint wraps text in terminal colours, or leaves it as it is.
type paint bool

// newPaint colours on a terminal, unless NO_COLOR says not to.
func newPaint(w io.Writer) paint {
	return paint(isTerminal(w) && os.Getenv("NO_COLOR") == "")
}

func isTerminal(w io.Writer) bool { return newScreen(w).live() }

func (p paint) wrap(code, text string) string {
	if !p {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// grade is red for what harms, yellow for what may.
func (p paint) grade(g doctor.Grade) string {
	if g == doctor.Cause {
		return p.wrap("31", string(g))
	}
	return p.wrap("33", string(g))
}

func (p paint) bold(text string) string { return p.wrap("1", text) }

// writeDiagnosis writes a report for people.
func writeDiagnosis(to io.Writer, r doctor.Report, verbose bool) error {
	var w bytes.Buffer
	p := newPaint(to)
	fmt.Fprintln(&w, summaryLine(r))
	for i, f := range r.Findings {
		writeFinding(&w, p, i+1, f)
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(&w, "\nNothing wrong was found.")
	}
	if verbose {
		fmt.Fprintln(&w, "\nFound well:")
		for _, c := range r.Well {
			fmt.Fprintf(&w, "  %-22s %s\n", c.ID, c.Well)
		}
	}
	if len(r.Unchecked) > 0 {
		fmt.Fprintln(&w, "\nNot looked at:")
		for _, g := range r.Unchecked {
			fmt.Fprintf(&w, "  %s: %s\n", g.Subject, g.Why)
		}
	}
	_, err := to.Write(w.Bytes())
	return err
}

// summaryLine says how far the packets came.
func summaryLine(r doctor.Report) string {
	what := r.Group
	if r.Source != "" {
		what += " from " + r.Source
	}
	if r.Port != 0 {
		what += fmt.Sprintf(" port %d", r.Port)
	}
	c := r.Counts
	steps := []string{count(c.Arrived, "packet") + " arrived"}
	if unseen(r, doctor.FacilityWire) {
		steps[0] = "what arrived could not be counted"
	}
	if !unseen(r, doctor.FacilityDelivery) {
		steps = append(steps, fmt.Sprintf("%d got through IP", c.Delivered))
	}
	if c.Sent > 0 {
		steps = append(steps, fmt.Sprintf("%d left by it", c.Sent))
	}
	if c.Sockets > 0 {
		steps = append(steps, fmt.Sprintf("%s should get them and lost %d", count(uint64(c.Sockets), "socket"), c.Dropped))
	} else {
		steps = append(steps, "no socket gets them")
	}
	return fmt.Sprintf("%s at %s in %v: %s", what, r.Interface, time.Duration(r.WindowMS)*time.Millisecond, strings.Join(steps, ", "))
}

func unseen(r doctor.Report, f doctor.Facility) bool {
	return slices.ContainsFunc(r.Unchecked, func(g doctor.Gap) bool { return g.Subject == string(f) })
}

func writeFinding(w io.Writer, p paint, number int, f doctor.Finding) {
	fmt.Fprintf(w, "\n%d. %s: %s  (%s)\n", number, p.grade(f.Grade), p.bold(f.Title), f.ID)
	for _, seen := range f.Evidence {
		fmt.Fprintf(w, "   - %s\n", seen)
	}
	fmt.Fprintf(w, "   What helps: %s\n", strings.TrimSuffix(f.Remedy, "."))
	for _, c := range f.Commands {
		fmt.Fprintf(w, "     %s\n", c)
	}
}
