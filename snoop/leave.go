package snoop

import (
	"net/netip"
	"slices"
	"time"
)

// leaveNow ends at once what the record gave up: its host was the only one.
func (t *Table) leaveNow(a *arrival, m *member, out outcome) {
	for i := range m.sources {
		if m.sources[i].asked {
			m.sources[i].asked = false
			m.sources[i].expires = t.now
		}
	}
	if out.askGroup {
		m.expires = t.now
	}
	before := len(m.sources)
	l := m.expire(t.now)
	t.fill.sources += len(m.sources) - before
	by := a.cause()
	if m.empty() {
		t.removeMember(m, ActionLeft, "fast_leave", &by)
		return
	}
	forwarding := out.forwarding || l.forwarding
	t.changed(m, forwarding, out.state || l.state)
	if forwarding {
		t.memberEvent(m, ActionChanged, "fast_leave", by)
	}
	t.timers.schedule(&m.timer, m.deadline())
}

// lastMember asks the port who else wants what the record gave up, if we are
// the querier: RFC 9776 section 6.6.3. If another one is, it will ask, and its
// query lowers the timers.
func (t *Table) lastMember(a *arrival, m *member, out outcome) {
	if !out.askGroup && !out.askSources {
		return
	}
	f := m.group.segment.family(m.group.v6())
	until := t.now + f.timing.lastMemberTime()
	version := t.queryProtocol(m.group.v6())
	asks := f.state == querierSelf && version != IGMPv1
	started := false
	for i := range m.sources {
		s := &m.sources[i]
		if s.asked && asks && version.sourceAware() && s.expires > until {
			s.expires, s.lowered, s.queries = until, true, f.timing.robustness
			started = true
		}
		s.asked = false
	}
	if out.askGroup && asks && m.mode == Exclude && m.expires > until {
		m.expires, m.lowered, m.groupQueries = until, true, f.timing.robustness
		started = true
	}
	by := a.cause()
	m.leave = &by
	if started {
		t.askMember(m)
	}
}

// askMember sends the last-member queries that are due and plans the next. It
// gives up if another querier was elected meanwhile.
func (t *Table) askMember(m *member) {
	f := m.group.segment.family(m.group.v6())
	if f.state != querierSelf {
		m.groupQueries = 0
		for i := range m.sources {
			m.sources[i].queries = 0
		}
		return
	}
	lowest := t.now + f.timing.lastMemberTime()
	q := specificQuery{group: m.group.key.Group, timing: f.timing}
	grouped := m.groupQueries > 0
	if grouped {
		m.groupQueries--
		q.suppress = m.expires > lowest
		t.transmit(f, m.port, q)
	}
	var clear, suppressed []netip.Addr
	for i := range m.sources {
		s := &m.sources[i]
		if s.queries == 0 {
			continue
		}
		s.queries--
		if s.expires > lowest {
			suppressed = append(suppressed, s.addr)
		} else {
			clear = append(clear, s.addr)
		}
	}
	t.askSources(f, m.port, q, clear, false)
	if !grouped { // RFC 9776 section 6.6.3.2: it would add nothing
		t.askSources(f, m.port, q, suppressed, true)
	}
	m.nextQuery = t.now + f.timing.lastMember
}

// askSources asks about sources, in as many queries as an Ethernet frame needs.
func (t *Table) askSources(f *family, p *port, q specificQuery, sources []netip.Addr, suppress bool) {
	most := maxQuerySources4
	if f.v6 {
		most = maxQuerySources6
	}
	q.suppress = suppress
	for chunk := range slices.Chunk(sources, most) {
		q.sources = chunk
		t.transmit(f, p, q)
	}
}

// lowerTimers follows a specific query of the elected querier: its hosts
// answer it, or the group leaves. RFC 9776 section 6.6.1. The time that we wait
// is at least our own, so that a forged query without a time can't cut it short.
func (t *Table) lowerTimers(a *arrival, f *family) {
	q := &a.message.query
	g := t.groups[GroupKey{a.segment.vlan, q.group}]
	if g == nil {
		return
	}
	sources, ok := t.readSources(q.sources, q.group.BitLen()/8)
	if !ok {
		return
	}
	if q.maxResponse > maxLastMember {
		return // hosts may answer later than any leave should take
	}
	interval := max(q.maxResponse, t.cfg.LastMemberQueryInterval)
	until := t.now + time.Duration(f.timing.robustness)*interval
	for _, m := range g.members {
		if len(sources) == 0 && m.mode == Exclude && m.expires > until {
			m.expires, m.lowered = until, true
		}
		for i := range m.sources {
			s := &m.sources[i]
			if _, asked := slices.BinarySearchFunc(sources, s.addr, netip.Addr.Compare); asked && s.expires > until {
				s.expires, s.lowered = until, true
			}
		}
		t.timers.schedule(&m.timer, m.deadline())
	}
}
