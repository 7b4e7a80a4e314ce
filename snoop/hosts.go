package snoop

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// hostID tells hosts of a port apart. A forged leave has to forge both parts.
type hostID struct {
	mac  MAC
	addr netip.Addr
}

func (a hostID) compare(b hostID) int {
	return cmp.Or(bytes.Compare(a.mac[:], b.mac[:]), a.addr.Compare(b.addr))
}

// host is a host that reported a group on a port.
type host struct {
	hostID
	last time.Duration // when it last did
}

func (m *member) findHost(id hostID) (int, bool) {
	return slices.BinarySearchFunc(m.hosts, id, func(h host, id hostID) int { return h.hostID.compare(id) })
}

// sawHost notes that the host reported the group. It returns whether the host
// is new, and hostLimit if there was no room to remember it: the member is
// none the worse for that, but a leave will be slow.
func (t *Table) sawHost(m *member, id hostID, now time.Duration) (isNew bool, _ reason) {
	i, found := m.findHost(id)
	if found {
		m.hosts[i].last = now
		return false, accepted
	}
	p := m.port
	refs, known := p.hosts[id]
	limits := &t.cfg.Limits
	if p.hostGroups >= limits.HostGroupsPerPort || !known && len(p.hosts) >= limits.HostsPerPort {
		m.unsureUntil = max(m.unsureUntil, now+t.timing(m).membership())
		return false, hostLimit
	}
	m.hosts = slices.Insert(m.hosts, i, host{id, now})
	p.hosts[id] = refs + 1
	p.hostGroups++
	t.fill.hosts++
	return true, accepted
}

// forgetHost takes the i-th host off the member.
func (t *Table) forgetHost(m *member, i int) {
	p, id := m.port, m.hosts[i].hostID
	m.hosts = slices.Delete(m.hosts, i, i+1)
	if len(m.hosts) == 0 {
		m.hosts = nil
	}
	p.hostGroups--
	t.fill.hosts--
	if p.hosts[id]--; p.hosts[id] == 0 {
		delete(p.hosts, id)
	}
	if len(p.hosts) == 0 {
		p.hosts = make(map[hostID]int) // maps don't shrink
	}
}

// ageHosts forgets the hosts that were silent for too long.
func (t *Table) ageHosts(m *member, now time.Duration) {
	oldest := now - t.timing(m).membership()
	for i := len(m.hosts) - 1; i >= 0; i-- {
		if m.hosts[i].last <= oldest {
			t.forgetHost(m, i)
		}
	}
}

// leavesAlone reports whether a leave of the host may act at once: nobody else
// on the port can want the group. Hosts of versions 1 and 2 keep quiet when
// another one reports, and hosts that joined before the port was watched are
// known only after a general query: then the port's hosts have to be asked.
func (t *Table) leavesAlone(m *member, id hostID, now time.Duration) bool {
	if !t.cfg.FastLeave {
		return false
	}
	t.ageHosts(m, now)
	if len(m.hosts) != 1 || m.hosts[0].hostID != id {
		return false
	}
	if m.port.info.SingleHost {
		return true
	}
	return m.unsureUntil <= now && m.compat(now).sourceAware() && t.surveyed(m, now)
}

// surveyed reports whether every host of the member's port had to answer a
// general query since the port is watched.
func (t *Table) surveyed(m *member, now time.Duration) bool {
	f := m.group.segment.family(m.group.v6())
	answered := func(at time.Duration) bool {
		return at >= m.port.since && at+f.timing.response <= now
	}
	if f.state == querierSelf && f.since <= m.port.since && answered(m.port.since) {
		return true // the port was asked when it came
	}
	return answered(f.queries[0]) || answered(f.queries[1])
}
