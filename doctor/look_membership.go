package doctor

import (
	"fmt"
	"net/netip"
	"strings"
)

// lookJoined: nobody on this host wants the group.
func lookJoined(s *Snapshot) verdict {
	if s.lacks(FacilityMembers) || !s.receives() || !s.needsJoin() {
		return unknown
	}
	if len(s.joined()) > 0 {
		return well
	}
	seen := []string{fmt.Sprintf("no interface has joined %s", s.Question.Group)}
	if n := packets(s.arriving()); n > 0 {
		seen = append(seen, fmt.Sprintf("%s of it arrived at %s all the same", plural(n, "packet"), s.Link.Name))
	}
	return found(Cause, seen...)
}

// joined are the names of the interfaces that joined the group.
func (s *Snapshot) joined() (names []string) {
	for _, m := range s.Memberships {
		if m.Group == s.Question.Group {
			names = append(names, s.link(m.Index).Name)
		}
	}
	return names
}

// lookJoinedElsewhere: the join went out of another interface.
func lookJoinedElsewhere(s *Snapshot) verdict {
	if s.lacks(FacilityMembers) || !s.receives() || !s.needsJoin() {
		return unknown
	}
	names := s.joined()
	if len(names) == 0 || s.joinedAt(s.Link.Index) != nil {
		return well
	}
	seen := []string{fmt.Sprintf("%s is joined at %s, not at %s", s.Question.Group, strings.Join(names, " and "), s.Link.Name)}
	if s.RouteToGroup.Found && s.RouteToGroup.Index != s.Link.Index {
		seen = append(seen, fmt.Sprintf("the route to %s goes to %s: a join that names no interface follows it", s.Question.Group, s.link(s.RouteToGroup.Index).Name))
	}
	if n := packets(s.arriving()); n > 0 {
		seen = append(seen, fmt.Sprintf("%s of it arrived at %s", plural(n, "packet"), s.Link.Name))
	}
	return found(Cause, seen...).where(s.routePairs()...)
}

// routePairs are of the command that routes the group. IPv6 looks in the local
// table first, which has all groups on every interface.
func (s *Snapshot) routePairs() []string {
	if s.v6() {
		return []string{"{route}", "multicast " + s.Question.Group.String() + "/128", "{table}", " table local metric 1"}
	}
	return []string{"{route}", s.Question.Group.String(), "{table}", ""}
}

// lookNoRoute: a join that names no interface fails without a route.
func lookNoRoute(s *Snapshot) verdict {
	if s.lacks(FacilityRoutes) || s.lacks(FacilityMembers) || !s.receives() || !s.needsJoin() {
		return unknown
	}
	if s.RouteToGroup.Found || len(s.joined()) > 0 {
		return well
	}
	return found(Cause, fmt.Sprintf("there is no route to %s, and nothing joined it: a join that names no interface fails with ENODEV, a datagram with ENETUNREACH", s.Question.Group)).
		where(s.routePairs()...)
}

// lookMembershipLimit: a socket that joined as many groups as it may.
func lookMembershipLimit(s *Snapshot) verdict {
	limit, known := s.sysctl("ipv4.igmp_max_memberships")
	if s.v6() || s.lacks(FacilityOptions) || s.lacks(FacilityMembers) || !known {
		return unknown
	}
	for _, k := range s.Sockets {
		o := k.Options
		if o == nil || o.Memberships < limit || len(o.JoinedAt) > 0 {
			continue
		}
		return found(Cause, fmt.Sprintf("%s joined %d groups, not this one; net.ipv4.igmp_max_memberships = %d", k.name(), o.Memberships, limit)).
			where("{limit}", fmt.Sprint(2*limit))
	}
	return well
}

// lookSourceFilter: every socket of the interface refuses the source, so that IP
// drops it (net/ipv4/igmp.c, ip_check_mc_rcu; net/ipv6/mcast.c, ipv6_chk_mcast_addr).
func lookSourceFilter(s *Snapshot) verdict {
	m := s.joinedAt(s.Link.Index)
	if s.lacks(FacilityMembers) || m == nil {
		return unknown
	}
	for _, source := range s.sources() {
		if why := s.refuses(m, source); why != "" {
			seen := []string{why}
			if s.lostInIP() > 0 {
				seen = append(seen, s.arrivedText())
			}
			return found(Cause, seen...).where("{source}", source.String())
		}
	}
	return well
}

// refuses says why the interface refuses a source; empty if it does not, or if
// that can't be known.
func (s *Snapshot) refuses(m *Membership, source netip.Addr) string {
	includers := 0
	var wanted []netip.Addr
	for _, f := range s.Filters {
		if f.Index != m.Index || f.Group != m.Group {
			continue
		}
		if f.Source == source {
			if f.Includes == 0 && f.Exclude == m.Users {
				return fmt.Sprintf("every socket at %s excludes %s", s.Link.Name, source)
			}
			if f.Includes > 0 {
				return ""
			}
		}
		if f.Includes > 0 {
			wanted = append(wanted, f.Source)
		}
		includers = max(includers, f.Includes)
	}
	if len(wanted) == 0 || includers < m.Users && !s.allInclude(m) {
		return ""
	}
	return fmt.Sprintf("%s takes %s from %s only, and the source is %s", s.Link.Name, m.Group, addrTexts(wanted), source)
}

// allInclude reports whether all sockets that joined are known, and all of them
// name their sources.
func (s *Snapshot) allInclude(m *Membership) bool {
	n := 0
	for _, k := range s.Sockets {
		if k.Options == nil || !k.Options.Joined {
			continue
		}
		if !k.Options.Include {
			return false
		}
		n++
	}
	return n == m.Users
}

// lookSourceLimit: a socket can name no more sources.
func lookSourceLimit(s *Snapshot) verdict {
	name := "ipv4.igmp_max_msf"
	if s.v6() {
		name = "ipv6.mld_max_msf"
	}
	limit, known := s.sysctl(name)
	if s.lacks(FacilityOptions) || !known || !s.Question.Source.IsValid() {
		return unknown
	}
	for _, k := range s.Sockets {
		o := k.Options
		if o == nil || !o.Joined || !o.Include || len(o.Sources) < limit || hasAddr(o.Sources, s.Question.Source) {
			continue
		}
		return found(Cause, fmt.Sprintf("%s names %d sources, not %s; net.%s = %d", k.name(), len(o.Sources), s.Question.Source, name, limit)).
			where("{limit}", "net."+name+"="+fmt.Sprint(2*limit))
	}
	return well
}

// needsSSM reports whether the group can be asked for from a source only.
func (s *Snapshot) needsSSM() bool {
	g := s.Question.Group
	return s.Question.Source.IsValid() || netip.MustParsePrefix("232.0.0.0/8").Contains(g) || isSSM6(g)
}

// isSSM6 reports whether a group is in ff3x::/32 (RFC 4607).
func isSSM6(g netip.Addr) bool {
	a := g.As16()
	return g.Is6() && a[0] == 0xff && a[1]>>4 == 3 && a[2] == 0 && a[3] == 0
}

// lookVersionForced: a version that has no sources in its reports.
func lookVersionForced(s *Snapshot) verdict {
	names, last := []string{"ipv4.conf.all.force_igmp_version", "ipv4.conf." + s.Link.Name + ".force_igmp_version"}, 2
	if s.v6() {
		names, last = []string{"ipv6.conf.all.force_mld_version", "ipv6.conf." + s.Link.Name + ".force_mld_version"}, 1
	}
	if !s.needsSSM() {
		return unknown
	}
	for _, name := range names {
		if v, _ := s.sysctl(name); v > 0 && v <= last {
			grade := Suspect
			if packets(s.arriving()) > 0 {
				grade = Risk // it comes all the same
			}
			return found(grade, fmt.Sprintf("net.%s = %d: reports name no sources", name, v)).where("{sysctl}", "net."+name)
		}
	}
	return well
}

// lookOldQuerier: the kernel speaks an older version, because a querier does.
func lookOldQuerier(s *Snapshot) verdict {
	if s.v6() || s.lacks(FacilityMembers) || !s.needsSSM() {
		return unknown
	}
	if forced := s.confSysctl("force_igmp_version"); forced == 1 || forced == 2 {
		return unknown // that is the finding
	}
	for _, m := range s.Memberships {
		if m.Index != s.Link.Index || m.Version == 0 || m.Version > 2 {
			continue
		}
		grade := Suspect
		if packets(s.arriving()) > 0 {
			grade = Risk
		}
		seen := []string{fmt.Sprintf("%s speaks IGMPv%d, because it heard a query of that version", s.Link.Name, m.Version)}
		for _, q := range s.Wire.Queries {
			if q.Index == s.Link.Index && q.Version <= 2 {
				seen = append(seen, fmt.Sprintf("a query of IGMPv%d came from %s", q.Version, q.From))
				break
			}
		}
		return found(grade, seen...)
	}
	return well
}

func hasAddr(list []netip.Addr, a netip.Addr) bool {
	for _, x := range list {
		if x == a {
			return true
		}
	}
	return false
}
