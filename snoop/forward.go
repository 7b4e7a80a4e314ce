package snoop

import (
	"net/netip"
	"slices"
)

// Forwarding says which ports of a group get what. Router ports are not in it.
type Forwarding struct {
	// Any holds the ports that want every source without an entry in Sources.
	Any []Port
	// Sources holds an entry for each source that a port includes or excludes.
	Sources []SourcePorts
}

// SourcePorts holds all the ports that want a source, perhaps none.
type SourcePorts struct {
	Source netip.Addr
	Ports  []Port
}

type forwardingScratch struct {
	addrs   []netip.Addr
	any     []Port
	sources []SourcePorts
	ports   []Port
}

// Forwarding returns who gets a group's packets: the union of what the ports'
// hosts want, RFC 9776 section 6.3 and RFC 4541 section 2.1.2. Everything in it
// is sorted. ok is false if the group has no members and is not static.
func (t *Table) Forwarding(k GroupKey) (f Forwarding, ok bool) {
	g := t.groups[k]
	if g == nil {
		return f, false
	}
	s := &t.out.forwarding
	s.addrs, s.any, s.sources, s.ports = s.addrs[:0], s.any[:0], s.sources[:0], s.ports[:0]
	for _, m := range g.members {
		if m.mode == Exclude {
			s.any = append(s.any, m.port.id)
		}
		for i := range m.sources {
			if m.mentions(&m.sources[i]) {
				s.addrs = append(s.addrs, m.sources[i].addr)
			}
		}
	}
	for i := range g.fixed {
		if f := &g.fixed[i]; len(f.sources) == 0 {
			s.any = append(s.any, f.port.id)
		} else {
			s.addrs = append(s.addrs, f.sources...)
		}
	}
	if len(g.fixed) > 0 {
		slices.Sort(s.any)
		s.any = slices.Compact(s.any)
	}
	slices.SortFunc(s.addrs, netip.Addr.Compare)
	s.addrs = slices.Compact(s.addrs)
	for _, a := range s.addrs {
		first := len(s.ports)
		for _, m := range g.members {
			if m.wants(a) {
				s.ports = append(s.ports, m.port.id)
			}
		}
		s.ports = g.appendFixed(s.ports, first, a)
		s.sources = append(s.sources, SourcePorts{a, s.ports[first:len(s.ports):len(s.ports)]})
	}
	return Forwarding{Any: s.any, Sources: s.sources}, true
}

// appendFixed adds the ports that want the source by order of the operator to
// those of the list from first on, and keeps that sorted.
func (g *group) appendFixed(ports []Port, first int, source netip.Addr) []Port {
	learnt := len(ports)
	for i := range g.fixed {
		if g.fixed[i].wants(source) {
			ports = append(ports, g.fixed[i].port.id)
		}
	}
	if len(ports) == learnt {
		return ports
	}
	slices.Sort(ports[first:])
	return ports[:first+len(slices.Compact(ports[first:]))]
}
