package snoop

import (
	"iter"
	"net/netip"
	"time"
)

// Group is a group and how many ports want it.
type Group struct {
	GroupKey
	Members int
	Static  bool // known by order of the operator, whether a port wants it or not
}

// Member is a port's membership as it is shown to people.
type Member struct {
	VLAN       VLAN
	Group      netip.Addr
	Port       Port
	FilterMode string
	Sources    []MemberSource
	Protocol   string // the version that the port's hosts hold the group in, or "static"
	Hosts      []Host
	Joined     time.Duration
	Expires    time.Duration // when it ends if nobody reports again; 0 if it is static
}

// MemberSource is a source that a member names.
type MemberSource struct {
	Address   netip.Addr
	Excluded  bool
	Remaining time.Duration // until it is no longer asked for; 0 if it is excluded
}

// Host is a host behind a member's port.
type Host struct {
	Address    netip.Addr
	MAC        MAC
	LastReport time.Duration
}

// Groups yields the groups, sorted. The table must not change meanwhile.
func (t *Table) Groups() iter.Seq[Group] {
	return func(yield func(Group) bool) {
		for _, g := range t.sortedGroups() {
			if !yield(Group{g.key, g.ports(), g.static}) {
				return
			}
		}
	}
}

// Members yields the members by group and port; of a port that hosts and the
// operator subscribed, first what the hosts did. The table must not change
// meanwhile; what is yielded belongs to the receiver.
func (t *Table) Members() iter.Seq[Member] {
	return func(yield func(Member) bool) {
		for _, g := range t.sortedGroups() {
			if !t.yieldMembers(g, yield) {
				return
			}
		}
	}
}

// MembersOf is Members of one group.
func (t *Table) MembersOf(k GroupKey) iter.Seq[Member] {
	return func(yield func(Member) bool) {
		if g := t.groups[k]; g != nil {
			t.yieldMembers(g, yield)
		}
	}
}

// yieldMembers reports whether the receiver wants more.
func (t *Table) yieldMembers(g *group, yield func(Member) bool) bool {
	rest := g.fixed
	for _, m := range g.members {
		for ; len(rest) > 0 && rest[0].port.id < m.port.id; rest = rest[1:] {
			if !yield(rest[0].show(g.key)) {
				return false
			}
		}
		if !yield(t.show(m)) {
			return false
		}
	}
	for i := range rest {
		if !yield(rest[i].show(g.key)) {
			return false
		}
	}
	return true
}

func (t *Table) show(m *member) Member {
	s := Member{
		VLAN: m.group.key.VLAN, Group: m.group.key.Group, Port: m.port.id,
		FilterMode: m.mode.String(), Protocol: m.compat(t.now).String(),
		Joined: m.joined, Expires: m.end(),
	}
	for _, x := range m.sources {
		s.Sources = append(s.Sources, MemberSource{
			Address: x.addr, Excluded: x.expires == 0, Remaining: max(x.expires-t.now, 0),
		})
	}
	for _, h := range m.hosts {
		s.Hosts = append(s.Hosts, Host{h.addr, h.mac, h.last})
	}
	return s
}
