package snoop

import "maps"

// portCounters counts what came in on a port.
type portCounters struct {
	messages [numProtocols][numMessageTypes]uint64
	errors   [numReasons]uint64
	records  [numReasons]uint64
	flagged  [numReasons]uint64
	sent     [numProtocols]uint64
}

// fill is how full the table is.
type fill struct{ members, sources, hosts int }

// MessageKind is a type of message and its version.
type MessageKind struct {
	Type    string // query, report, leave, hello, advertisement, solicitation, termination, other
	Version string // "igmpv1" to "mldv2", "pimv2", "mrd", "other"
}

// PortStats counts what came in on a port. Each packet is in Messages or in
// Errors, once. Zero counters are left out.
type PortStats struct {
	Name     string
	Messages map[MessageKind]uint64
	Errors   map[string]uint64 // messages that were refused, by reason
	// Records counts the group records that changed nothing, by reason, those
	// of good messages too: refused by a limit, link-local groups, and more.
	Records map[string]uint64
	// Flagged counts the messages that failed a check and were accepted.
	Flagged map[string]uint64
	Sent    map[string]uint64 // our own queries, by version
	Groups  int               // groups of which the port is a member, over all VLANs
	Hosts   int               // distinct hosts that are tracked
}

// Stats is a copy of all counters.
type Stats struct {
	Ports   map[Port]PortStats
	Foreign uint64 // packets from ports that the table does not have

	Groups, Members, Sources, Hosts, VLANs int
}

// Received returns the number of packets that the port had.
func (s PortStats) Received() (n uint64) {
	for c := range maps.Values(s.Messages) {
		n += c
	}
	for c := range maps.Values(s.Errors) {
		n += c
	}
	return n
}

// Stats returns what was counted. The counters of a port end with the port.
func (t *Table) Stats() Stats {
	s := Stats{
		Ports:   make(map[Port]PortStats, len(t.ports)),
		Foreign: t.foreign,
		Groups:  len(t.groups),
		Members: t.fill.members,
		Sources: t.fill.sources,
		Hosts:   t.fill.hosts,
		VLANs:   len(t.segments),
	}
	for id, p := range t.ports {
		s.Ports[id] = p.stats()
	}
	return s
}

func (p *port) stats() PortStats {
	s := PortStats{
		Name:     p.info.Name,
		Messages: make(map[MessageKind]uint64),
		Errors:   byReason(&p.counters.errors),
		Records:  byReason(&p.counters.records),
		Flagged:  byReason(&p.counters.flagged),
		Sent:     make(map[string]uint64),
		Groups:   p.groups,
		Hosts:    len(p.hosts),
	}
	for protocol, counts := range p.counters.messages {
		for kind, n := range counts {
			if n != 0 {
				s.Messages[MessageKind{messageNames[kind], protocolNames[protocol]}] = n
			}
		}
	}
	for protocol, n := range p.counters.sent {
		if n != 0 {
			s.Sent[protocolNames[protocol]] = n
		}
	}
	return s
}

func byReason(counts *[numReasons]uint64) map[string]uint64 {
	named := make(map[string]uint64)
	for why, n := range counts {
		if n != 0 {
			named[reasonNames[why]] = n
		}
	}
	return named
}
