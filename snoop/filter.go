package snoop

import (
	"net/netip"
	"time"
)

// outcome says what a record did to a member.
type outcome struct {
	forwarding bool // what is forwarded to the port changed
	state      bool // anything but a timer changed
	askGroup   bool // the group is to be asked about
	askSources bool // the sources that are marked as asked are
}

// timers of a transition.
type span struct {
	now        time.Duration
	membership time.Duration // the group membership interval in force
}

// later returns the group membership interval from now, but never less than
// what a timer already has: a querier that claims a short interval must not
// shorten the life of standing members. A timer that a leave lowered restarts.
func (s span) later(old time.Duration) time.Duration { return max(old, s.now+s.membership) }

// apply does what the tables of RFC 9776 section 6.4 say for a record of the
// given kind that names the sources in list, which is sorted and without
// duplicates. scratch is reused.
func (m *member) apply(kind recordType, list []netip.Addr, sp span, scratch *[]source) outcome {
	out := outcome{askGroup: m.mode == Exclude && kind == toInclude}
	merged := (*scratch)[:0]
	have := m.sources
	for len(have) > 0 || len(list) > 0 {
		var s source
		order := 0
		switch {
		case len(list) == 0:
			order = -1
		case len(have) == 0:
			order = 1
		default:
			order = have[0].addr.Compare(list[0])
		}
		present, named := order <= 0, order >= 0
		if present {
			s, have = have[0], have[1:]
		} else {
			s.addr = list[0]
		}
		if named {
			list = list[1:]
		}
		before := s
		keep := m.transit(kind, &s, present, named, sp)
		out.note(m.mode, before, s, present, keep)
		out.askSources = out.askSources || keep && s.asked
		if keep {
			merged = append(merged, s)
		}
	}
	*scratch = merged
	if kind.excludes() {
		if m.mode == Include {
			m.mode = Exclude
			out.forwarding = true
			out.state = true
		}
		m.expires = sp.later(m.expires)
		m.lowered = false
	}
	m.setSources(merged)
	return out
}

// transit moves one source. present: the member has it; named: the record
// names it. It returns whether the member has it afterwards.
func (m *member) transit(kind recordType, s *source, present, named bool, sp span) bool {
	if m.mode == Include {
		return m.transitInclude(kind, s, present, named, sp)
	}
	return m.transitExclude(kind, s, present, named, sp)
}

func (m *member) transitInclude(kind recordType, s *source, present, named bool, sp span) bool {
	switch kind {
	case isInclude, allow, toInclude:
		if named {
			s.run(sp.later(s.expires)) // (B)=GMI
		} else {
			s.asked = kind == toInclude // Send Q(G,A-B)
		}
	case block:
		s.asked = named // Send Q(G,A*B)
		return present
	case isExclude, toExclude:
		s.asked = kind == toExclude && present // Send Q(G,A*B)
		return named                           // delete (A-B); (B-A)=0
	}
	return true
}

func (m *member) transitExclude(kind recordType, s *source, present, named bool, sp span) bool {
	wanted := s.expires != 0 // in X, else in Y
	switch kind {
	case isInclude, allow, toInclude:
		if named {
			s.run(sp.later(s.expires)) // (A)=GMI
		} else {
			s.asked = kind == toInclude && wanted // Send Q(G,X-A)
		}
	case isExclude:
		if !present {
			s.run(sp.later(0)) // (A-X-Y)=GMI
		}
		return named
	case toExclude:
		if !present {
			s.run(m.expires) // (A-X-Y)=Group Timer
		}
		s.asked = named && s.expires != 0 // Send Q(G,A-Y)
		return named
	case block:
		if !present {
			s.run(m.expires)
		}
		s.asked = named && s.expires != 0
	}
	return true
}

// run starts the source's timer and forgets about its leaving. Queries that
// are still to be sent stay: they go out with the S flag set.
func (s *source) run(until time.Duration) {
	s.expires = until
	s.lowered = false
}

// note finds out what changed for one source. A source that exclude mode has
// with a running timer is forwarded like any other.
func (o *outcome) note(mode FilterMode, before, after source, present, keep bool) {
	if present == keep && (before.expires != 0) == (after.expires != 0) {
		return
	}
	o.state = true
	wasSpecial := present && (mode == Include) == (before.expires != 0)
	isSpecial := keep && (mode == Include) == (after.expires != 0)
	o.forwarding = o.forwarding || wasSpecial != isSpecial
}

// setSources replaces the member's sources by a copy of merged, and gives
// memory back that a longer list left.
func (m *member) setSources(merged []source) {
	if len(merged) == 0 {
		m.sources = nil
		return
	}
	if cap(m.sources) > 4*len(merged)+8 {
		m.sources = nil
	}
	m.sources = append(m.sources[:0], merged...)
}

// lapse describes what ran out.
type lapse struct {
	forwarding, state bool
	lowered           bool // by a leave, not by age
}

// expire lets the timers that are due at now run out, RFC 9776 section 6.2 and 6.3.
func (m *member) expire(now time.Duration) (l lapse) {
	kept := m.sources[:0]
	for _, s := range m.sources {
		if s.expires == 0 || s.expires > now {
			kept = append(kept, s)
			continue
		}
		l.forwarding, l.state = true, true
		l.lowered = l.lowered || s.lowered
		if m.mode == Exclude { // moves from X to Y
			kept = append(kept, source{addr: s.addr})
		}
	}
	clear(m.sources[len(kept):])
	m.sources = kept
	if m.mode == Exclude && m.expires <= now {
		l = lapse{forwarding: true, state: true, lowered: m.lowered}
		m.becomeInclude()
	}
	if len(m.sources) == 0 {
		m.sources = nil
	}
	return l
}

// becomeInclude ends exclude mode: what is still asked for stays, the excluded
// sources go.
func (m *member) becomeInclude() {
	m.mode = Include
	m.expires, m.lowered, m.groupQueries = 0, false, 0
	kept := m.sources[:0]
	for _, s := range m.sources {
		if s.expires != 0 {
			kept = append(kept, s)
		}
	}
	clear(m.sources[len(kept):])
	m.sources = kept
}
