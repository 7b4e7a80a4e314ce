// Package groupplan checks a plan of multicast groups by the rules of the
// standards and by what networks make of them. It asks nobody and changes
// nothing.
package groupplan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/fanlight-io/fanlight/groupname"
)

// Plan is the groups that a network is to carry.
type Plan struct {
	// ASN is the operator's autonomous system, for groups of 233.0.0.0/8; 0: not
	// told.
	ASN    uint32  `yaml:"asn"`
	Groups []Group `yaml:"groups"`
}

// Group is one use of a group: a stream, or several of one kind. What is zero is
// not known, and rules that need it say nothing.
type Group struct {
	Group   netip.Addr   `yaml:"group"`
	Name    string       `yaml:"name"`
	Sources []netip.Addr `yaml:"sources"`
	// Port is the UDP port.
	Port uint16 `yaml:"port"`
	// TTL is what senders set; nil: not known.
	TTL *int `yaml:"ttl"`
	// Segment is the VLAN, in any notation: groups of others don't collide.
	Segment string `yaml:"vlan"`

	// Line is where the plan's file has it; 0: nowhere.
	Line int `yaml:"-"`
	// Observed says that the group was seen and not planned: that no source is
	// listed means nothing.
	Observed bool `yaml:"-"`
}

// Validate checks what no finding is about. Its errors begin with the key.
func (p Plan) Validate() error {
	var errs []error
	for i, g := range p.Groups {
		if !g.Group.IsValid() {
			errs = append(errs, fmt.Errorf("groups[%d]: want 'group', an address such as 239.1.1.1", i))
		}
		if g.TTL != nil && (*g.TTL < 0 || *g.TTL > 255) {
			errs = append(errs, fmt.Errorf("groups[%d].ttl: %d is not between 0 and 255", i, *g.TTL))
		}
	}
	if len(p.Groups) == 0 {
		errs = append(errs, errors.New("groups: none given"))
	}
	return errors.Join(errs...)
}

// Severity is how bad a finding is.
type Severity uint8

// The severities: only an error is sure to break something.
const (
	Note Severity = iota
	Warning
	Error
)

var severityNames = [...]string{Note: "note", Warning: "warning", Error: "error"}

// String returns note, warning or error.
func (s Severity) String() string { return severityNames[s] }

// MarshalJSON writes what String returns.
func (s Severity) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// Finding is what a rule says of a group.
type Finding struct {
	Rule     string       `json:"rule"`
	Severity Severity     `json:"severity"`
	Group    netip.Addr   `json:"group"`
	Others   []netip.Addr `json:"others,omitempty"` // that it collides with
	Segment  string       `json:"segment,omitempty"`
	Line     int          `json:"line,omitempty"`
	Message  string       `json:"message"`
	Source   string       `json:"source"` // the standard behind the rule
	Remedy   string       `json:"remedy"`
}

// Check returns what is wrong with the plan, the worst first, then in the plan's
// order. names tells what ranges are assigned to.
func Check(p Plan, names *groupname.Table) []Finding {
	c := checker{plan: &p, names: names}
	for i := range p.Groups {
		g := &p.Groups[i]
		g.Group = g.Group.Unmap().WithZone("")
		for _, check := range groupChecks {
			check(&c, g)
		}
	}
	for _, check := range planChecks {
		check(&c)
	}
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Segment, b.Segment), a.Group.Compare(b.Group))
	})
	return c.findings
}

type checker struct {
	plan     *Plan
	names    *groupname.Table
	findings []Finding
}

// say adds a finding of the rule, which must be one of Rules.
func (c *checker) say(name string, g *Group, format string, args ...any) *Finding {
	r, ok := RuleNamed(name)
	if !ok {
		panic("no rule " + name)
	}
	c.findings = append(c.findings, Finding{
		Rule: r.Name, Severity: r.Severity, Group: g.Group, Segment: g.Segment, Line: g.Line,
		Message: fmt.Sprintf(format, args...), Source: r.Source, Remedy: r.Remedy,
	})
	return &c.findings[len(c.findings)-1]
}
