package frame

import (
	"encoding/binary"
	"net/netip"
)

// Types of MLD messages, which are ICMPv6 messages.
const (
	MLDQuery    = 130
	MLDv1Report = 131
	MLDv1Done   = 132
	MLDv2Report = 143
)

var (
	allNodes6    = netip.MustParseAddr("ff02::1")
	allRouters6  = netip.MustParseAddr("ff02::2")
	mldv2Routers = netip.MustParseAddr("ff02::16")
)

// MLDv1 returns a message of the short form: a report, a done, or a query.
// maxResp is in milliseconds. The zero group makes a general query.
func MLDv1(typ uint8, maxResp uint16, group netip.Addr) Message {
	if !group.IsValid() {
		group = netip.IPv6Unspecified()
	}
	b := []byte{typ, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, maxResp)
	b = append(append(b, 0, 0), group.AsSlice()...)
	m := Message{bytes: b, dst: group}
	switch {
	case typ == MLDv1Done:
		m.dst = allRouters6
	case group.IsUnspecified():
		m.dst = allNodes6
	}
	return m
}

// MLDv2 returns a version 2 report with these records.
func MLDv2(records ...Record) Message {
	b := []byte{MLDv2Report, 0, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(records)))
	for _, r := range records {
		b = r.append(b)
	}
	return Message{bytes: b, dst: mldv2Routers}
}

// MLDv2Query returns a version 2 query.
func MLDv2Query(q Query) Message {
	m := MLDv1(MLDQuery, q.MaxResp, q.Group)
	m.bytes = q.appendTail(m.bytes)
	return m
}

// MLD is the packet around an MLD message. The zero values make what RFC 9777
// section 5 asks for: hop limit 1, Router Alert in a hop-by-hop header.
type MLD struct {
	// SrcMAC and Src are the sender; Src must be link-local to be valid. The
	// zero Src means the unspecified address.
	SrcMAC MAC
	Src    netip.Addr
	// Dst overrides the destination of the message.
	Dst netip.Addr
	// HopLimit overrides 1.
	HopLimit uint8
	// NoRouterAlert leaves the hop-by-hop header out.
	NoRouterAlert bool
	// Tags are VLAN tags.
	Tags []Tag
	// Mutate and Corrupt change the IP headers; they have no checksum.
	Mutate, Corrupt func(headers []byte)
}

// Wrap returns the frame that carries the message.
func (g MLD) Wrap(m Message) []byte {
	if !g.Dst.IsValid() {
		g.Dst = m.dst
	}
	if !g.Src.IsValid() {
		g.Src = netip.IPv6Unspecified()
	}
	body := append([]byte(nil), m.bytes...)
	apply(m.Mutate, body)
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], pseudoChecksum(g.Src, g.Dst, ProtocolICMPv6, body))
	apply(m.Corrupt, body)

	p := IPv6{Src: g.Src, Dst: g.Dst, HopLimit: max(g.HopLimit, 1), Next: ProtocolICMPv6, Mutate: g.Mutate, Corrupt: g.Corrupt}
	if !g.NoRouterAlert {
		p.Extensions = []Extension{{Protocol: ProtocolHopByHop, Data: RouterAlert6}}
	}
	return Ethernet{Dst: GroupMAC(g.Dst), Src: g.SrcMAC, Tags: g.Tags}.Wrap(p.Wrap(body))
}
