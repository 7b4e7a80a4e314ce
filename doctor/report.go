package doctor

import (
	"cmp"
	"slices"
	"strings"
)

// Grade tells how sure a finding is.
type Grade string

// The grades, the surest first.
const (
	// Cause keeps the group from being received, as the evidence shows.
	Cause Grade = "cause"
	// Suspect would explain it, and nothing seen speaks against it.
	Suspect Grade = "suspect"
	// Risk does no harm yet.
	Risk Grade = "risk"
)

var gradeOrder = []Grade{Cause, Suspect, Risk}

// Finding is something wrong.
type Finding struct {
	ID       string   `json:"id"`
	Grade    Grade    `json:"grade"`
	Title    string   `json:"title"`
	Meaning  string   `json:"meaning"`
	Evidence []string `json:"evidence"`
	// Remedy says in words what to do; Commands do it, where commands can.
	Remedy   string   `json:"remedy"`
	Commands []string `json:"commands"`
	Source   string   `json:"source"`
}

// Check is something that was looked at and found well.
type Check struct {
	ID   string `json:"id"`
	Well string `json:"well"`
}

// Gap is something that could not be looked at.
type Gap struct {
	Subject string `json:"subject"`
	Why     string `json:"why"`
}

// Counts are the packets of the group at each step of their way in the window.
type Counts struct {
	// Arrived at the interface, as the question has it; Sent out by it; Delivered
	// through IP to UDP. Either is 0 if it could not be counted: see Report.Unchecked.
	Arrived   uint64 `json:"arrived"`
	Sent      uint64 `json:"sent"`
	Delivered uint64 `json:"delivered"`
	// Sockets that should get them, and what these had no room for.
	Sockets int    `json:"sockets"`
	Dropped uint64 `json:"socket_drops"`
}

// Report is the answer. Findings begin with the likeliest.
type Report struct {
	Group     string    `json:"group"`
	Source    string    `json:"source,omitempty"`
	Interface string    `json:"interface"`
	Port      uint16    `json:"port,omitempty"`
	WindowMS  int64     `json:"window_ms"`
	Counts    Counts    `json:"packets"`
	Findings  []Finding `json:"findings"`
	Well      []Check   `json:"well"`
	Unchecked []Gap     `json:"unchecked"`
}

// Diagnose looks at the snapshot from each angle. It has no side effects.
func Diagnose(s *Snapshot) Report {
	r := Report{
		Group: s.Question.Group.String(), Interface: s.Link.Name, Port: s.Question.Port,
		WindowMS: s.Wire.Window.Milliseconds(), Counts: s.counts(),
		Findings: []Finding{}, Well: []Check{}, Unchecked: s.gaps(),
	}
	if s.Question.Source.IsValid() {
		r.Source = s.Question.Source.String()
	}
	for stage := range stages {
		if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Grade != Risk }) {
			break // explained
		}
		for i := range kinds {
			if k := &kinds[i]; k.stage == stage {
				r.add(k, k.look(s), s)
			}
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Compare(slices.Index(gradeOrder, a.Grade), slices.Index(gradeOrder, b.Grade))
	})
	return r
}

// add adds what became of one look.
func (r *Report) add(k *kind, v verdict, s *Snapshot) {
	switch {
	case v.unknown:
	case v.grade == "":
		r.Well = append(r.Well, Check{k.ID, s.fill(k.well, v)})
	default:
		f := Finding{
			ID: k.ID, Grade: v.grade, Title: s.fill(k.Title, v), Meaning: k.Meaning, Evidence: v.seen,
			Remedy: s.fill(k.Remedy, v), Commands: []string{}, Source: k.Source,
		}
		for _, c := range k.Commands {
			command := s.fill(c, v)
			if !strings.Contains(command, "{") { // one for a value that is not known
				f.Commands = append(f.Commands, s.prefixed(command))
			}
		}
		r.Findings = append(r.Findings, f)
	}
}

// ofTheHost are settings that exist once, outside of network namespaces.
var ofTheHost = []string{"net.core.rmem_max", "net.core.netdev_max_backlog", "net.ipv4.udp_mem"}

// prefixed makes a command run in the question's namespace, if that matters.
func (s *Snapshot) prefixed(command string) string {
	if strings.HasPrefix(command, "fanlight ") {
		return command // asks by a unix socket, which any namespace reaches
	}
	for _, name := range ofTheHost {
		if strings.Contains(command, name) {
			return command
		}
	}
	return s.Prefix + command
}

// fill replaces placeholders such as {interface}.
func (s *Snapshot) fill(text string, v verdict) string {
	pairs := slices.Clone(v.with) // first: they may override
	pairs = append(pairs, "{group}", s.Question.Group.String(), "{interface}", s.Link.Name,
		"{conf}", strings.ReplaceAll(s.Link.Name, ".", "/")) // as sysctl(8) writes eth0.100
	if s.Question.Source.IsValid() {
		pairs = append(pairs, "{source}", s.Question.Source.String())
	}
	if s.Question.Port != 0 {
		pairs = append(pairs, "{port}", portText(s.Question.Port))
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// gaps lists what could not be looked at, in a fixed order.
func (s *Snapshot) gaps() []Gap {
	gaps := []Gap{}
	for facility, why := range s.Unchecked {
		gaps = append(gaps, Gap{string(facility), why})
	}
	slices.SortFunc(gaps, func(a, b Gap) int { return cmp.Compare(a.Subject, b.Subject) })
	return gaps
}
