package snoop

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// MemberState is what outlives the agent: plain data of a bounded size. Times
// are monotonic, so they hold until the next boot.
type MemberState struct {
	Mode     FilterMode
	Protocol Protocol // the version that hosts hold the group in
	// OlderUntil is until when they do, if that is not the newest version.
	OlderUntil time.Duration
	Joined     time.Duration
	Expires    time.Duration // of the group, in exclude mode
	Sources    []SourceState // as many as the source limit at most
}

// SourceState is a source of a member.
type SourceState struct {
	Address netip.Addr
	Expires time.Duration // 0: in exclude mode the source is not wanted
}

// Snapshot returns a member's state; ok is false if the port is not a member.
func (t *Table) Snapshot(k GroupKey, p Port) (s MemberState, ok bool) {
	m := t.find(k, p)
	if m == nil {
		return s, false
	}
	s = MemberState{
		Mode: m.mode, Protocol: m.compat(t.now), OlderUntil: max(m.v1Until, m.v2Until),
		Joined: m.joined, Expires: m.expires,
	}
	for _, x := range m.sources {
		s.Sources = append(s.Sources, SourceState{x.addr, x.expires})
	}
	return s, true
}

// Restore brings back a member from before a restart. It stays until hosts had
// the time to answer a round of startup queries at least, and until then its
// hosts count as unknown, so that no leave acts at once. A port that is a
// member already stays as it is. It returns an error, and changes nothing, if
// the state makes no sense or there is no room or no such port.
func (t *Table) Restore(k GroupKey, id Port, s MemberState, now time.Duration) error {
	t.Advance(now)
	p := t.ports[id]
	if p == nil {
		return fmt.Errorf("restore a member on port %d: no such port", id)
	}
	if t.find(k, id) != nil {
		return nil
	}
	if why := t.restorable(k, p, &s); why != accepted {
		return fmt.Errorf("restore a member on port %d: %v", id, why)
	}
	seg := t.segments[k.VLAN]
	if seg == nil {
		if len(t.segments) >= t.cfg.Limits.VLANs {
			return fmt.Errorf("restore a member on port %d: %v", id, vlanLimit)
		}
		seg = t.addSegment(k.VLAN)
	}
	m := t.addMember(k, seg, p)
	tm := t.timing(m)
	until := t.now + tm.restored()
	m.mode, m.joined, m.unsureUntil = s.Mode, min(s.Joined, t.now), t.now+tm.membership()
	if m.mode == Exclude {
		m.expires = min(max(s.Expires, until), t.now+max(tm.membership(), tm.restored()))
	}
	m.sources = restoreSources(s, until, t.now+max(tm.membership(), tm.restored()))
	m.note(s.Protocol, 0, min(s.OlderUntil, t.now+tm.olderHost()))
	t.fill.sources += len(m.sources)
	t.changed(m, true, true)
	t.timers.schedule(&m.timer, m.deadline())
	return nil
}

// restorable refuses what a report could not have made.
func (t *Table) restorable(k GroupKey, p *port, s *MemberState) reason {
	if why := checkGroup(k.Group); why != accepted {
		return why
	}
	if !t.allowed(k.Group) {
		return notAllowed
	}
	if s.Mode > Exclude || s.Mode == Include && len(s.Sources) == 0 {
		return notMember
	}
	if s.Mode == Exclude && sourceSpecific(k.Group) {
		return ssmExclude
	}
	for _, x := range s.Sources {
		if x.Address.BitLen() != k.Group.BitLen() || x.Address.IsUnspecified() || x.Address.IsMulticast() {
			return badSource
		}
		if s.Mode == Include && x.Expires == 0 {
			return badSource
		}
	}
	return t.room(k, p, len(s.Sources))
}

func restoreSources(s MemberState, least, most time.Duration) []source {
	var list []source
	for _, x := range s.Sources {
		r := source{addr: x.Address.WithZone("")}
		if x.Expires != 0 {
			r.expires = min(max(x.Expires, least), most)
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b source) int { return a.addr.Compare(b.addr) })
	return slices.CompactFunc(list, func(a, b source) bool { return a.addr == b.addr })
}
