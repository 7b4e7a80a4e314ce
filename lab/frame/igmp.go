package frame

import (
	"encoding/binary"
	"net/netip"
)

// Types of IGMP messages.
const (
	IGMPQuery    = 0x11
	IGMPv1Report = 0x12
	IGMPv2Report = 0x16
	IGMPv2Leave  = 0x17
	IGMPv3Report = 0x22
)

// RecordType is the type of a group record in an IGMPv3 or MLDv2 report (RFC
// 9776 section 4.2.13).
type RecordType uint8

// The six record types.
const (
	ModeIsInclude   RecordType = 1
	ModeIsExclude   RecordType = 2
	ChangeToInclude RecordType = 3
	ChangeToExclude RecordType = 4
	AllowNewSources RecordType = 5
	BlockOldSources RecordType = 6
)

// Record is a group record of an IGMPv3 or MLDv2 report.
type Record struct {
	// Type says what the sources mean.
	Type RecordType
	// Group and Sources are all of one family.
	Group   netip.Addr
	Sources []netip.Addr
	// Aux is auxiliary data, a multiple of 4 bytes.
	Aux []byte
}

func (r Record) append(b []byte) []byte {
	b = append(b, byte(r.Type), byte(len(r.Aux)/4))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Sources)))
	b = append(b, r.Group.AsSlice()...)
	return append(appendAddrs(b, r.Sources), r.Aux...)
}

func appendAddrs(b []byte, addrs []netip.Addr) []byte {
	for _, a := range addrs {
		b = append(b, a.AsSlice()...)
	}
	return b
}

// Message is the body of an IGMP or MLD message.
type Message struct {
	bytes []byte
	dst   netip.Addr // where the RFC sends it

	// Mutate changes the message before its checksum is computed, Corrupt after.
	Mutate, Corrupt func(message []byte)
}

// Destination returns the address that the RFC sends such a message to.
func (m Message) Destination() netip.Addr { return m.dst }

var (
	allHosts4     = netip.AddrFrom4([4]byte{224, 0, 0, 1})
	allRouters4   = netip.AddrFrom4([4]byte{224, 0, 0, 2})
	igmpv3Routers = netip.AddrFrom4([4]byte{224, 0, 0, 22})
)

// IGMPv1Or2 returns a message of the short form: a report of version 1 or 2, a
// leave, or a query of version 1 (maxResp 0) or 2. maxResp is in tenths of a
// second. The zero group makes a general query.
func IGMPv1Or2(typ, maxResp uint8, group netip.Addr) Message {
	if !group.IsValid() {
		group = netip.IPv4Unspecified()
	}
	m := Message{bytes: append([]byte{typ, maxResp, 0, 0}, group.AsSlice()...), dst: group}
	switch {
	case typ == IGMPv2Leave:
		m.dst = allRouters4
	case group.IsUnspecified():
		m.dst = allHosts4
	}
	return m
}

// IGMPv3 returns a version 3 report with these records.
func IGMPv3(records ...Record) Message {
	b := []byte{IGMPv3Report, 0, 0, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(len(records)))
	for _, r := range records {
		b = r.append(b)
	}
	return Message{bytes: b, dst: igmpv3Routers}
}

// Query is what an IGMPv3 or MLDv2 query says.
type Query struct {
	// Group is zero in a general query.
	Group netip.Addr
	// Sources makes a group-and-source-specific query.
	Sources []netip.Addr
	// MaxResp is the code for the longest time to answer: tenths of a second in
	// IGMP, milliseconds in MLD, as long as it is below 128 or 32768.
	MaxResp uint16
	// Suppress is the S flag, QRV the robustness variable, QQIC the code for the
	// query interval.
	Suppress  bool
	QRV, QQIC uint8
}

func (q Query) appendTail(b []byte) []byte {
	flags := q.QRV & 7
	if q.Suppress {
		flags |= 1 << 3
	}
	b = append(b, flags, q.QQIC)
	b = binary.BigEndian.AppendUint16(b, uint16(len(q.Sources)))
	return appendAddrs(b, q.Sources)
}

// IGMPv3Query returns a version 3 query.
func IGMPv3Query(q Query) Message {
	m := IGMPv1Or2(IGMPQuery, uint8(q.MaxResp), q.Group)
	m.bytes = q.appendTail(m.bytes)
	return m
}

// IGMP is the packet around an IGMP message. The zero values make what RFC 9776
// section 4 asks for: TTL 1, TOS 0xc0, Router Alert.
type IGMP struct {
	// SrcMAC and Src are the sender; the zero Src means 0.0.0.0.
	SrcMAC MAC
	Src    netip.Addr
	// Dst overrides the destination of the message.
	Dst netip.Addr
	// TTL overrides 1.
	TTL uint8
	// NoRouterAlert leaves the option out.
	NoRouterAlert bool
	// Tags are VLAN tags.
	Tags []Tag
	// Mutate and Corrupt change the IP header before and after its checksum.
	Mutate, Corrupt func(header []byte)
}

// Wrap returns the frame that carries the message.
func (g IGMP) Wrap(m Message) []byte {
	if !g.Dst.IsValid() {
		g.Dst = m.dst
	}
	if !g.Src.IsValid() {
		g.Src = netip.IPv4Unspecified()
	}
	body := append([]byte(nil), m.bytes...)
	apply(m.Mutate, body)
	binary.BigEndian.PutUint16(body[2:], 0)
	binary.BigEndian.PutUint16(body[2:], Checksum(body))
	apply(m.Corrupt, body)

	p := IPv4{Src: g.Src, Dst: g.Dst, TTL: max(g.TTL, 1), TOS: 0xc0, Protocol: ProtocolIGMP, Options: RouterAlert4,
		Mutate: g.Mutate, Corrupt: g.Corrupt}
	if g.NoRouterAlert {
		p.Options = nil
	}
	return Ethernet{Dst: GroupMAC(g.Dst), Src: g.SrcMAC, Tags: g.Tags}.Wrap(p.Wrap(body))
}
