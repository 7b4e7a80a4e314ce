package doctor

import (
	"fmt"
	"net"
	"slices"
)

// lookElsewhere finds the group at an interface where nobody asked for it.
func lookElsewhere(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || !s.receives() {
		return unknown
	}
	if packets(s.arriving()) > 0 {
		return well
	}
	for i := range s.Wire.Streams {
		x := &s.Wire.Streams[i]
		if x.Index == s.Link.Index || x.Outgoing || x.VLAN != 0 || !s.wanted(x) || s.isBelow(x.Index) {
			continue
		}
		name := s.link(x.Index).Name
		return found(Cause, fmt.Sprintf("%s of %s from %s arrived at %s in %v, none at %s",
			plural(x.Packets, "packet"), s.Question.Group, x.Source, name, s.Wire.Window, s.Link.Name)).where("{other}", name)
	}
	return well
}

// isBelow reports whether the interface lies on another one, where the same
// packets pass.
func (s *Snapshot) isBelow(index int) bool {
	return index == s.Link.Parent || s.link(index).Master == s.Link.Index
}

// lookVLAN finds the group inside a VLAN that no interface takes out.
func lookVLAN(s *Snapshot) verdict {
	if s.lacks(FacilityWire) {
		return unknown
	}
	for i := range s.Wire.Streams {
		x := &s.Wire.Streams[i]
		if x.Outgoing || x.VLAN == 0 || !s.wanted(x) || x.Index != s.Link.Index && x.Index != s.Link.Parent {
			continue
		}
		if s.Link.VLAN == x.VLAN && s.Link.Parent == x.Index {
			continue // ours
		}
		vlan := portText(x.VLAN)
		seen := fmt.Sprintf("%s of %s arrived at %s with the tag of VLAN %s", plural(x.Packets, "packet"), s.Question.Group, s.link(x.Index).Name, vlan)
		at := slices.IndexFunc(s.Links, func(l Link) bool { return l.Parent == x.Index && l.VLAN == x.VLAN })
		where := []string{"{vlan}", vlan, "{parent}", s.link(x.Index).Name}
		if at >= 0 {
			return found(Cause, seen, fmt.Sprintf("%s takes that VLAN out; the group is wanted at %s", s.Links[at].Name, s.Link.Name)).
				where(append(where, "{subinterface}", s.Links[at].Name)...)
		}
		return found(Cause, seen, "no interface takes that VLAN out").where(append(where, "{subinterface}", s.link(x.Index).Name+"."+vlan)...)
	}
	return well
}

// lookOtherSource: the group arrives, from somebody else.
func lookOtherSource(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || !s.Question.Source.IsValid() {
		return unknown
	}
	if packets(s.arriving()) > 0 {
		return well
	}
	for i := range s.Wire.Streams {
		x := &s.Wire.Streams[i]
		if x.Index == s.Link.Index && !x.Outgoing && !s.ofSource(x.Source) {
			return found(Cause, fmt.Sprintf("%s of %s came from %s, none from %s",
				plural(x.Packets, "packet"), s.Question.Group, x.Source, s.Question.Source)).where("{other}", x.Source.String())
		}
	}
	return well
}

// lookOtherPort: the group arrives, for another port.
func lookOtherPort(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.Question.Port == 0 {
		return unknown
	}
	if packets(s.arriving()) > 0 {
		return well
	}
	for i := range s.Wire.Streams {
		x := &s.Wire.Streams[i]
		if x.Index == s.Link.Index && !x.Outgoing && s.ofSource(x.Source) && x.Port != 0 && x.Port != s.Question.Port {
			return found(Cause, fmt.Sprintf("%s of %s went to port %d, none to port %d",
				plural(x.Packets, "packet"), s.Question.Group, x.Port, s.Question.Port)).where("{other}", portText(x.Port))
		}
	}
	return well
}

// lookMAC: frames whose link-layer address does not fit their group.
func lookMAC(s *Snapshot) verdict {
	if s.lacks(FacilityWire) {
		return unknown
	}
	for _, x := range s.arriving() {
		want := groupMAC(s.Question.Group).String()
		switch got := net.HardwareAddr(x.MAC[:]).String(); {
		case x.Foreign > 0:
			return found(Cause, fmt.Sprintf("%s of %s came in frames to the station %s, not to %s",
				plural(x.Foreign, "packet"), s.Question.Group, got, want)).where("{sender}", x.Source.String())
		case x.Misaddressed > 0 && x.MAC[0]&1 != 0:
			return found(Suspect, fmt.Sprintf("%s of %s came in frames to %s, not to %s",
				plural(x.Misaddressed, "packet"), s.Question.Group, got, want)).where("{sender}", x.Source.String())
		}
	}
	return well
}

// lookTTL: what is sent, or arrives, with nothing left to pass a router.
func lookTTL(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.Question.Group.IsLinkLocalMulticast() {
		return unknown
	}
	for _, x := range s.sentHere() {
		if x.MinTTL <= 1 {
			return found(Suspect, fmt.Sprintf("%s sends %s with TTL %d: %s in %v", x.Source, s.Question.Group, x.MinTTL,
				plural(x.Packets, "packet"), s.Wire.Window)).where("{sender}", x.Source.String())
		}
	}
	for _, x := range s.arriving() {
		if x.MinTTL > 1 {
			continue
		}
		return found(Risk, fmt.Sprintf("%s arrives from %s with TTL %d", s.Question.Group, x.Source, x.MinTTL)).where("{sender}", x.Source.String())
	}
	return well
}

// lookLoopback: a sender on this host that keeps its packets from it.
func lookLoopback(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.lacks(FacilityDelivery) || !s.receives() {
		return unknown
	}
	for _, x := range s.sent() {
		if s.isOwn(x.Source) && s.joinedAt(s.Link.Index) != nil && s.delivered() == 0 {
			return found(Suspect, fmt.Sprintf("%s sends it on this host: %s went out by %s, none came back to its members",
				x.Source, plural(x.Packets, "packet"), s.Link.Name)).where("{sender}", x.Source.String())
		}
	}
	return well
}

// lookSentElsewhere: a sender on this host uses another interface.
func lookSentElsewhere(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || !s.sendsOnly() {
		return unknown
	}
	if len(s.sent()) > 0 {
		return well
	}
	x := s.sentHere()[0]
	other := s.link(x.Index).Name
	seen := []string{fmt.Sprintf("%s sends %s by %s: %s in %v, none by %s", x.Source, s.Question.Group, other, plural(x.Packets, "packet"), s.Wire.Window, s.Link.Name)}
	if s.RouteToGroup.Found && s.RouteToGroup.Index == x.Index {
		seen = append(seen, fmt.Sprintf("the route to %s goes to %s: a sender that names no interface follows it", s.Question.Group, other))
	}
	return found(Suspect, seen...).where(append(s.routePairs(), "{other}", other)...)
}

// lookFragments: datagrams of which a part never came.
func lookFragments(s *Snapshot) verdict {
	if s.lacks(FacilityWire) {
		return unknown
	}
	if s.Wire.Incomplete == 0 {
		return well
	}
	seen := []string{fmt.Sprintf("%d of %d fragmented datagrams of %s lack a part", s.Wire.Incomplete, s.Wire.Fragmented, s.Question.Group)}
	if name, n := s.counter("Ip.ReasmFails", "Ip6ReasmFails"); n > 0 {
		seen = append(seen, fmt.Sprintf("%s rose by %d", name, n))
	}
	setting := "net.ipv4.ipfrag_high_thresh"
	if s.v6() {
		setting = "net.ipv6.ip6frag_high_thresh"
	}
	return found(Cause, seen...).where("{fragments}", setting)
}

// lookQuerier: without queries, switches that snoop forget the members.
func lookQuerier(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.lacks(FacilityQuerier) || s.Link.Loopback {
		return unknown
	}
	for _, q := range s.Wire.Queries {
		if q.Index == s.Link.Index {
			return well
		}
	}
	return found(Risk, fmt.Sprintf("no query came to %s in %v", s.Link.Name, s.Wire.Window))
}

// lookNotArriving is for when nothing else was found.
func lookNotArriving(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || !s.receives() {
		return unknown
	}
	if packets(s.arriving()) > 0 || s.delivered() > 0 { // delivered, but not arrived: sent by this host
		return well
	}
	seen := []string{fmt.Sprintf("0 packets of %s reached %s in %v, which received %s in all",
		s.streamText(), s.Link.Name, s.Wire.Window, plural(s.Link.Received, "frame"))}
	answered := slices.ContainsFunc(s.Wire.Reports, func(r MembershipReport) bool { return r.Outgoing && !r.Leave && r.Index == s.Link.Index })
	switch queried := slices.ContainsFunc(s.Wire.Queries, func(q Query) bool { return q.Index == s.Link.Index }); {
	case answered:
		seen = append(seen, "this host answered a query with a report for the group")
	case queried:
		seen = append(seen, "a query came; this host's report was not due in the window")
	default:
		seen = append(seen, "no query came in the window")
	}
	return found(Suspect, seen...)
}
