package snoop

import (
	"slices"
	"time"
)

// room returns accepted if a new member with the given number of sources fits.
func (t *Table) room(key GroupKey, p *port, sources int) reason {
	limits := &t.cfg.Limits
	if sources > limits.SourcesPerGroup {
		return sourceLimit
	}
	if p.groups >= limits.GroupsPerPort {
		return portGroupLimit
	}
	if t.fill.members >= limits.Members {
		return memberLimit
	}
	if sources > 0 && t.fill.sources+sources > limits.TotalSources {
		return totalSourceLimit
	}
	g := t.groups[key]
	switch {
	case g == nil && len(t.groups) >= limits.Groups:
		return groupLimit
	case g != nil && len(g.members)+len(g.fixed) >= limits.PortsPerGroup:
		return portLimit
	}
	return accepted
}

// addMember makes a member that wants nothing yet: every membership starts as
// INCLUDE({}), RFC 9776 section 6.2.1.
func (t *Table) addMember(key GroupKey, s *segment, p *port) *member {
	g := t.groupAt(key, s)
	m := &member{group: g, port: p, joined: t.now}
	m.owner = m
	i, _ := g.find(p.id)
	g.members = slices.Insert(g.members, i, m)
	if m.next = p.members; m.next != nil {
		m.next.prev = m
	}
	p.members = m
	p.groups++
	t.fill.members++
	return m
}

// removeMember takes a member out and says so. by may be nil.
func (t *Table) removeMember(m *member, action, why string, by *cause) {
	if by == nil {
		by = &cause{}
	}
	t.memberEvent(m, action, why, *by)
	t.changed(m, true, true)
	t.timers.cancel(&m.timer)
	t.fill.sources -= len(m.sources)
	for len(m.hosts) > 0 {
		t.forgetHost(m, len(m.hosts)-1)
	}
	g, p := m.group, m.port
	if m.prev != nil {
		m.prev.next = m.next
	} else {
		p.members = m.next
	}
	if m.next != nil {
		m.next.prev = m.prev
	}
	p.groups--
	t.fill.members--
	i, _ := g.find(p.id)
	g.members = slices.Delete(g.members, i, i+1)
	t.dropIfEmpty(g)
}

// groupAt returns the group, and makes it at first.
func (t *Table) groupAt(key GroupKey, s *segment) *group {
	g := t.groups[key]
	if g == nil {
		g = &group{key: key, segment: s}
		t.groups[key] = g
		s.groups++
	}
	return g
}

// dropIfEmpty forgets a group that nobody wants any more.
func (t *Table) dropIfEmpty(g *group) {
	if len(g.members) > 0 || g.static {
		return
	}
	g.segment.groups--
	delete(t.groups, g.key)
	if len(t.groups) == 0 {
		t.groups = make(map[GroupKey]*group) // maps don't shrink
	}
}

// changed notes that the owner has to look at the member again.
func (t *Table) changed(m *member, forwarding, state bool) {
	if forwarding {
		t.out.groups.add(m.group.key)
	}
	if state {
		t.out.members.add(m.key())
	}
}

func (t *Table) span(m *member) span {
	return span{now: t.now, membership: t.timing(m).membership()}
}

// fire acts on the member's timers.
func (m *member) fire(t *Table, now time.Duration) {
	t.ageHosts(m, now)
	if f := m.group.segment.family(m.group.v6()); f.graceUntil > now {
		m.prolong(now, f.graceUntil)
	}
	before := len(m.sources)
	l := m.expire(now)
	t.fill.sources += len(m.sources) - before
	if m.empty() {
		if l.lowered {
			t.removeMember(m, ActionLeft, "last_member_query", m.leave)
		} else {
			t.removeMember(m, ActionExpired, "timeout", nil)
		}
		return
	}
	t.changed(m, l.forwarding, l.state)
	switch {
	case l.forwarding && l.lowered && m.leave != nil:
		t.memberEvent(m, ActionChanged, "last_member_query", *m.leave)
	case l.forwarding:
		t.memberEvent(m, ActionChanged, "timeout", cause{})
	}
	if m.querying() && m.nextQuery <= now {
		t.askMember(m)
	}
	t.timers.schedule(&m.timer, m.deadline())
}

// prolong keeps what age alone would end: the querier was lost, and its
// successor has only just asked.
func (m *member) prolong(now, until time.Duration) {
	if m.mode == Exclude && m.expires <= now && !m.lowered {
		m.expires = until
	}
	for i := range m.sources {
		if s := &m.sources[i]; s.expires != 0 && s.expires <= now && !s.lowered {
			s.expires = until
		}
	}
}
