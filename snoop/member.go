package snoop

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// group is a group with at least one member, or a static one.
type group struct {
	key     GroupKey
	segment *segment
	members []*member // that hosts reported, by port
	static  bool      // the operator made it known
	fixed   []fixed   // its static subscribers, by port
}

func (g *group) find(p Port) (int, bool) {
	return slices.BinarySearchFunc(g.members, p, func(m *member, p Port) int {
		return cmp.Compare(m.port.id, p)
	})
}

func (g *group) v6() bool { return g.key.Group.Is6() }

// member is one port's membership of a group: the state of RFC 9776 section
// 6.2 plus the hosts that were seen to cause it.
type member struct {
	timer
	group *group
	port  *port
	// The port's other members, a list.
	next, prev *member

	mode    FilterMode
	lowered bool          // the group timer was lowered by a leave
	expires time.Duration // the group timer; runs in exclude mode only
	sources []source      // by address
	joined  time.Duration

	// Until when a host of an older version holds the group in its mode.
	v1Until, v2Until time.Duration

	// Last-member queries that are still to be sent.
	nextQuery    time.Duration
	groupQueries int

	hosts []host // by identity
	// unsureUntil is when hosts is known to be complete again.
	unsureUntil time.Duration

	leave *cause // the message that began to take the member away
}

// source is a source that some host of the port named.
type source struct {
	addr netip.Addr
	// expires is its timer. 0 means not running: in exclude mode the source
	// is not wanted.
	expires time.Duration
	queries int  // last-member queries still to be sent
	lowered bool // a leave lowered the timer
	asked   bool // the record at hand wants it asked about
}

// cause is the message behind a change.
type cause struct {
	host       netip.Addr
	mac        MAC
	receivedAt time.Duration
}

// compat returns the protocol that the port's hosts hold the group in, RFC
// 9776 section 7.3.2.
func (m *member) compat(now time.Duration) Protocol {
	switch v6 := m.group.v6(); {
	case m.v1Until > now:
		return IGMPv1
	case m.v2Until > now && v6:
		return MLDv1
	case m.v2Until > now:
		return IGMPv2
	case v6:
		return MLDv2
	}
	return IGMPv3
}

// deadline returns when the member next needs attention.
func (m *member) deadline() time.Duration {
	at := never
	if m.mode == Exclude {
		at = m.expires
	}
	for i := range m.sources {
		if e := m.sources[i].expires; e != 0 {
			at = min(at, e)
		}
	}
	if m.querying() {
		at = min(at, m.nextQuery)
	}
	return at
}

func (m *member) querying() bool {
	if m.groupQueries > 0 {
		return true
	}
	for i := range m.sources {
		if m.sources[i].queries > 0 {
			return true
		}
	}
	return false
}

// end returns when the member is gone if nobody reports again.
func (m *member) end() time.Duration {
	var at time.Duration
	if m.mode == Exclude {
		at = m.expires
	}
	for i := range m.sources {
		at = max(at, m.sources[i].expires)
	}
	return at
}

// empty reports whether the member wants nothing.
func (m *member) empty() bool { return m.mode == Include && len(m.sources) == 0 }

// wants reports whether traffic from s is for the member.
func (m *member) wants(s netip.Addr) bool {
	i, ok := m.findSource(s)
	if m.mode == Include {
		return ok
	}
	return !ok || m.sources[i].expires != 0
}

// mentions reports whether s decides about forwarding of its own: it is
// included, or excluded.
func (m *member) mentions(s *source) bool { return (m.mode == Include) == (s.expires != 0) }

func (m *member) findSource(s netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(m.sources, s, func(x source, s netip.Addr) int { return x.addr.Compare(s) })
}

func (m *member) key() MemberKey { return MemberKey{m.group.key, m.port.id} }
