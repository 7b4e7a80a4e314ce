package doctor

import (
	"fmt"
	"net/netip"
	"strings"
)

// lookReversePath: the filter drops sources that the routing table would reach by
// another interface.
func lookReversePath(s *Snapshot) verdict {
	if s.v6() {
		return unknown
	}
	mode := s.confSysctl("rp_filter")
	if mode == 0 {
		return well
	}
	drops := s.Counters["TcpExt.IPReversePathFilter"]
	settings := fmt.Sprintf("net.ipv4.conf.all.rp_filter = %s, net.ipv4.conf.%s.rp_filter = %s",
		s.Sysctls["ipv4.conf.all.rp_filter"], s.Link.Name, s.Sysctls["ipv4.conf."+s.Link.Name+".rp_filter"])
	if s.lostInIP() > 0 && drops > 0 {
		return found(Cause, fmt.Sprintf("IPReversePathFilter rose by %d", drops), s.arrivedText(), settings, s.routeText()).where(s.routeRemedy()...)
	}
	if !s.Question.Source.IsValid() || s.lacks(FacilityRoutes) || s.delivered() > 0 || s.isOwn(s.Question.Source) {
		return well
	}
	if s.RouteToSource.Found && (mode == 2 || s.RouteToSource.Index == s.Link.Index) {
		return well
	}
	return found(Suspect, settings, s.routeText()).where(s.routeRemedy()...)
}

func (s *Snapshot) routeText() string {
	var sources []string
	for _, a := range s.sources() {
		sources = append(sources, a.String())
	}
	from := strings.Join(sources, ", ")
	if !s.RouteToSource.Found {
		return fmt.Sprintf("there is no route to the source %s", from)
	}
	return fmt.Sprintf("the route to the source %s goes to %s, its packets come in by %s", from, s.link(s.RouteToSource.Index).Name, s.Link.Name)
}

// routeRemedy gives the looser mode: 2 needs any route to the source, 0 none.
func (s *Snapshot) routeRemedy() []string {
	mode := "2"
	if !s.RouteToSource.Found || s.confSysctl("rp_filter") == 2 {
		mode = "0"
	}
	pairs := []string{"{mode}", mode}
	if sources := s.sources(); len(sources) > 0 {
		pairs = append(pairs, "{source}", sources[0].String())
	}
	return pairs
}

// lookLocalSource: packets from outside with one of this host's own addresses.
func lookLocalSource(s *Snapshot) verdict {
	if s.v6() || s.lacks(FacilityWire) {
		return unknown
	}
	if s.confSysctl("accept_local") != 0 {
		return well
	}
	for i := range s.Wire.Streams {
		x := &s.Wire.Streams[i]
		if x.Index == s.Link.Index && !x.Outgoing && x.VLAN == 0 && s.wanted(x) && s.isOwn(x.Source) {
			return found(Cause, fmt.Sprintf("%s came in from %s, which is an address of this host", plural(x.Packets, "packet"), x.Source)).
				where("{source}", x.Source.String())
		}
	}
	return well
}

// lookInvalidSource: sources that are no hosts.
func lookInvalidSource(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.Link.Loopback {
		return unknown
	}
	for _, x := range s.arriving() {
		if a := x.Source; a.IsMulticast() || a.Is4() && a.IsUnspecified() || a.IsLoopback() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return found(Cause, fmt.Sprintf("%s came from %s, which is no address of a host", plural(x.Packets, "packet"), a))
		}
	}
	return well
}

func lookProgram(s *Snapshot) verdict {
	if s.lacks(FacilityPrograms) || s.lacks(FacilityWire) {
		return unknown
	}
	if s.lostInIP() == 0 {
		return well
	}
	for _, p := range s.Programs {
		if p.Hook == "xdp" {
			continue // comes before what is counted as arrived
		}
		return found(Suspect, fmt.Sprintf("%s %q sees the packets of %s before IP does", p.Hook, p.Name, s.Link.Name), s.arrivedText())
	}
	return well
}

// lookLostInIP is the last word on packets that get lost between interface and
// UDP.
func lookLostInIP(s *Snapshot) verdict {
	if s.lacks(FacilityWire) || s.lacks(FacilityDelivery) {
		return unknown
	}
	if s.lostInIP() == 0 {
		return well
	}
	seen := []string{s.arrivedText()}
	if len(s.LegacyTables) > 0 {
		seen = append(seen, "iptables-legacy has tables whose rules were not looked at: "+strings.Join(s.LegacyTables, ", "))
	}
	return found(Suspect, seen...)
}
