package snoop

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// ErrRefused: a static group breaks a rule or a limit. The error's text ends in
// one of [Reasons].
var ErrRefused = errors.New("refused")

// ProtocolStatic is the protocol of members that no host has to report.
const ProtocolStatic = "static"

// StaticPort is a port that wants a group by order of the operator.
type StaticPort struct {
	Port    Port
	Sources []netip.Addr // the only ones that it wants; none means all
}

// fixed is a static subscription of a port. It has no timer, and what hosts on
// the port report stands apart from it: see member.
type fixed struct {
	port    *port
	sources []netip.Addr // sorted; none means all
	joined  time.Duration
}

func (f *fixed) wants(s netip.Addr) bool {
	return len(f.sources) == 0 || slices.Contains(f.sources, s)
}

// SetStatic makes the group known for good and these ports its static
// subscribers, in place of those that it had. A group without any is forwarded
// to the ports of its members and to routers, and never flooded. Ports that
// are not of the table are left out. why is the reason in events.
//
// Returns an error that wraps ErrRefused, and changes nothing, if the group or
// a source can't be subscribed to or there is no room.
func (t *Table) SetStatic(k GroupKey, ports []StaticPort, why string, now time.Duration) error {
	t.Advance(now)
	wanted := t.fixedPorts(ports)
	if reason := t.checkStatic(k, wanted); reason != accepted {
		return fmt.Errorf("%w: %v", ErrRefused, reason)
	}
	seg := t.segments[k.VLAN]
	if seg == nil {
		seg = t.addSegment(k.VLAN)
	}
	g := t.groupAt(k, seg)
	if !g.static {
		g.static = true
		t.out.groups.add(k)
	}
	t.replaceFixed(g, wanted, why)
	return nil
}

// ClearStatic takes back what SetStatic did. Members that hosts reported stay.
func (t *Table) ClearStatic(k GroupKey, why string, now time.Duration) {
	t.Advance(now)
	g := t.groups[k]
	if g == nil || !g.static {
		return
	}
	t.replaceFixed(g, nil, why)
	g.static = false
	t.out.groups.add(k)
	t.dropIfEmpty(g)
}

// StaticGroups returns the groups that SetStatic made known, sorted.
func (t *Table) StaticGroups() (keys []GroupKey) {
	for _, g := range t.sortedGroups() {
		if g.static {
			keys = append(keys, g.key)
		}
	}
	return keys
}

// fixedPorts returns the subscriptions in the order of ports, each once.
func (t *Table) fixedPorts(ports []StaticPort) (list []fixed) {
	for _, s := range ports {
		if p := t.ports[s.Port]; p != nil {
			sources := slices.Clone(s.Sources)
			slices.SortFunc(sources, netip.Addr.Compare)
			list = append(list, fixed{port: p, sources: slices.Compact(sources), joined: t.now})
		}
	}
	slices.SortFunc(list, compareFixed)
	return slices.CompactFunc(list, func(a, b fixed) bool { return a.port == b.port })
}

func compareFixed(a, b fixed) int { return cmp.Compare(a.port.id, b.port.id) }

// checkStatic returns accepted if the group may have these static subscribers
// and there is room for them. One port may have any number of static groups:
// the limit per port protects from hosts, not from the operator.
func (t *Table) checkStatic(k GroupKey, wanted []fixed) reason {
	if why := checkGroup(k.Group); why != accepted {
		return why
	}
	if !t.allowed(k.Group) {
		return notAllowed
	}
	limits, sources := &t.cfg.Limits, 0
	for i := range wanted {
		if why := checkStaticSources(k.Group, wanted[i].sources); why != accepted {
			return why
		}
		if len(wanted[i].sources) > limits.SourcesPerGroup {
			return sourceLimit
		}
		sources += len(wanted[i].sources)
	}
	had, hadSources, learnt := 0, 0, 0
	g := t.groups[k]
	if g != nil {
		had, hadSources, learnt = len(g.fixed), g.fixedSources(), len(g.members)
	}
	switch {
	case t.segments[k.VLAN] == nil && len(t.segments) >= limits.VLANs:
		return vlanLimit
	case g == nil && len(t.groups) >= limits.Groups:
		return groupLimit
	case len(wanted) > had && learnt+len(wanted) > limits.PortsPerGroup:
		return portLimit
	case len(wanted) > had && t.fill.members-had+len(wanted) > limits.Members:
		return memberLimit
	case sources > hadSources && t.fill.sources-hadSources+sources > limits.TotalSources:
		return totalSourceLimit
	}
	return accepted
}

// checkStaticSources refuses sources that can't send to the group, and a source-
// specific group without one.
func checkStaticSources(group netip.Addr, sources []netip.Addr) reason {
	if len(sources) == 0 && sourceSpecific(group) {
		return ssmExclude
	}
	for _, s := range sources {
		if s.BitLen() != group.BitLen() || s.IsUnspecified() || s.IsMulticast() || s.Zone() != "" {
			return badSource
		}
	}
	return accepted
}

// replaceFixed gives the group other static subscribers and says what changed.
func (t *Table) replaceFixed(g *group, wanted []fixed, why string) {
	old := g.fixed
	t.fill.members += len(wanted) - len(old)
	t.fill.sources -= g.fixedSources()
	g.fixed = wanted
	t.fill.sources += g.fixedSources()
	for i := range old {
		if _, stays := slices.BinarySearchFunc(wanted, old[i], compareFixed); !stays {
			t.fixedEvent(g, &old[i], ActionLeft, why)
		}
	}
	for i := range wanted {
		f := &wanted[i]
		was, had := slices.BinarySearchFunc(old, *f, compareFixed)
		switch {
		case !had:
			t.fixedEvent(g, f, ActionJoined, why)
		case !slices.Equal(old[was].sources, f.sources):
			f.joined = old[was].joined
			t.fixedEvent(g, f, ActionChanged, why)
		default:
			f.joined = old[was].joined
		}
	}
}

// fixedEvent tells of a change, which forwarding has to follow.
func (t *Table) fixedEvent(g *group, f *fixed, action, why string) {
	t.out.groups.add(g.key)
	t.emit(Event{
		Port: f.port.id, VLAN: g.key.VLAN, Kind: KindMembership, Action: action, Reason: why, Group: g.key.Group,
		Protocol: ProtocolStatic, FilterMode: f.mode().String(), Sources: slices.Clone(f.sources),
	})
}

// forgetFixed ends the static subscriptions of a port that is going away. Their
// groups stay known.
func (t *Table) forgetFixed(p *port) {
	for _, g := range t.sortedGroups() {
		isOfPort := func(f fixed) bool { return f.port == p }
		if slices.ContainsFunc(g.fixed, isOfPort) {
			t.replaceFixed(g, slices.DeleteFunc(slices.Clone(g.fixed), isOfPort), "port_gone")
		}
	}
}

func (g *group) fixedSources() (n int) {
	for i := range g.fixed {
		n += len(g.fixed[i].sources)
	}
	return n
}

// ports returns how many ports want the group, for whatever reason.
func (g *group) ports() int {
	n := len(g.members)
	for i := range g.fixed {
		if _, both := g.find(g.fixed[i].port.id); !both {
			n++
		}
	}
	return n
}

func (f *fixed) mode() FilterMode {
	if len(f.sources) > 0 {
		return Include
	}
	return Exclude
}

func (f *fixed) show(k GroupKey) Member {
	m := Member{
		VLAN: k.VLAN, Group: k.Group, Port: f.port.id,
		FilterMode: f.mode().String(), Protocol: ProtocolStatic, Joined: f.joined,
	}
	for _, s := range f.sources {
		m.Sources = append(m.Sources, MemberSource{Address: s})
	}
	return m
}
