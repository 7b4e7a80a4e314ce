package snoop

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// specificQuery is a query that we send; without a group it is a general one.
type specificQuery struct {
	group    netip.Addr
	sources  []netip.Addr
	suppress bool // the S flag
	proxy    bool // from 0.0.0.0, whatever the port's address
	timing   timing
}

const (
	ethernetLen = 14
	igmpIPLen   = 24     // with Router Alert
	mldIPLen    = 40 + 8 // with a hop-by-hop header for Router Alert
	frameMTU    = 1500   // of the smallest Ethernet
	maxRobust   = 7      // what QRV can say
	tosControl  = 0xc0   // internetwork control, RFC 9776 section 4
	typeIPv4    = 0x0800 // Ethernet types
	typeIPv6    = 0x86dd
)

// How many sources a query can name.
const (
	maxQuerySources4 = (frameMTU - igmpIPLen - 12) / 4
	maxQuerySources6 = (frameMTU - mldIPLen - 28) / 16
)

// queryProtocol returns the version of our own queries.
func (t *Table) queryProtocol(v6 bool) Protocol {
	if v6 {
		return MLDv1 + Protocol(t.cfg.MLDVersion-1)
	}
	return IGMPv1 + Protocol(t.cfg.IGMPVersion-1)
}

// queryAddr returns the source address of our queries on the port.
func (t *Table) queryAddr(v6 bool, p *port) netip.Addr {
	if !v6 {
		if p.info.Addr4.Is4() {
			return p.info.Addr4
		}
		return netip.IPv4Unspecified()
	}
	if p.info.Addr6.IsLinkLocalUnicast() && p.info.Addr6.Is6() {
		return p.info.Addr6.WithZone("")
	}
	return linkLocal(p.info.MAC)
}

// linkLocal makes a link-local address of a MAC, RFC 4291 appendix A.
func linkLocal(m MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80,
		8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5],
	})
}

// transmit queues a query for the port.
func (t *Table) transmit(f *family, p *port, q specificQuery) {
	src := t.queryAddr(f.v6, p)
	if q.proxy {
		src = netip.IPv4Unspecified()
	}
	protocol := t.queryProtocol(f.v6)
	var frame []byte
	if f.v6 {
		frame = encodeMLDQuery(protocol, p.info.MAC, src, q)
	} else {
		frame = encodeIGMPQuery(protocol, p.info.MAC, src, q)
	}
	p.counters.sent[protocol]++
	t.out.transmits = append(t.out.transmits, Transmit{Port: p.id, VLAN: f.segment.vlan, Frame: frame})
}

// maxResponse is the time that hosts get to answer.
func (q *specificQuery) maxResponse() time.Duration {
	if q.group.IsValid() {
		return q.timing.lastMember
	}
	return q.timing.response
}

// encodeIGMPQuery returns the frame of a query, RFC 9776 section 4.1.
func encodeIGMPQuery(p Protocol, mac MAC, src netip.Addr, q specificQuery) []byte {
	dst, group := allHosts4, netip.IPv4Unspecified()
	if q.group.IsValid() {
		dst, group = q.group, q.group
	}
	length := 8
	if p == IGMPv3 {
		length = 12 + 4*len(q.sources)
	}
	b := make([]byte, ethernetLen+igmpIPLen+length)
	d := dst.As4()
	putEthernet(b, MAC{0x01, 0x00, 0x5e, d[1] & 0x7f, d[2], d[3]}, mac, typeIPv4)

	ip := b[ethernetLen:]
	ip[0], ip[1] = 0x40|igmpIPLen/4, tosControl
	binary.BigEndian.PutUint16(ip[2:], uint16(igmpIPLen+length))
	binary.BigEndian.PutUint16(ip[6:], 0x4000) // don't fragment
	ip[8], ip[9] = 1, protoIGMP
	s := src.As4()
	copy(ip[12:], s[:])
	copy(ip[16:], d[:])
	copy(ip[20:], []byte{0x94, 4, 0, 0})
	binary.BigEndian.PutUint16(ip[10:], fold(sum(0, ip[:igmpIPLen])))

	m := ip[igmpIPLen:]
	m[0] = igmpQuery
	tenths := uint32(q.maxResponse() / (100 * time.Millisecond))
	switch p {
	case IGMPv2:
		m[1] = uint8(min(max(tenths, 1), 255)) // 0 would make it a version 1 query
	case IGMPv3:
		m[1] = encodeCode8(tenths)
		putTail(m[8:], q)
	}
	g := group.As4()
	copy(m[4:], g[:])
	binary.BigEndian.PutUint16(m[2:], fold(sum(0, m)))
	return b
}

// encodeMLDQuery returns the frame of a query, RFC 9777 section 5.1.
func encodeMLDQuery(p Protocol, mac MAC, src netip.Addr, q specificQuery) []byte {
	dst, group := allNodes6, netip.IPv6Unspecified()
	if q.group.IsValid() {
		dst, group = q.group, q.group
	}
	length := 24
	if p == MLDv2 {
		length = 28 + 16*len(q.sources)
	}
	b := make([]byte, ethernetLen+mldIPLen+length)
	d := dst.As16()
	putEthernet(b, MAC{0x33, 0x33, d[12], d[13], d[14], d[15]}, mac, typeIPv6)

	ip := b[ethernetLen:]
	ip[0] = 0x60 | tosControl>>4
	ip[1] = tosControl << 4 & 0xff
	binary.BigEndian.PutUint16(ip[4:], uint16(mldIPLen-40+length))
	ip[6], ip[7] = protoHopByHop, 1
	s := src.As16()
	copy(ip[8:], s[:])
	copy(ip[24:], d[:])
	copy(ip[40:], []byte{protoICMPv6, 0, 5, 2, 0, 0, 1, 0}) // Router Alert, then padding

	m := ip[mldIPLen:]
	m[0] = mldQuery
	millis := uint32(q.maxResponse() / time.Millisecond)
	if p == MLDv2 {
		binary.BigEndian.PutUint16(m[4:], encodeCode16(millis))
		putTail(m[24:], q)
	} else {
		binary.BigEndian.PutUint16(m[4:], uint16(min(millis, 65535)))
	}
	g := group.As16()
	copy(m[8:], g[:])
	binary.BigEndian.PutUint16(m[2:], fold(sum(pseudoSum(src, dst, protoICMPv6, len(m)), m)))
	return b
}

// putTail writes what IGMPv3 and MLDv2 queries have after the group.
func putTail(b []byte, q specificQuery) {
	if q.timing.robustness <= maxRobust {
		b[0] = byte(q.timing.robustness)
	}
	if q.suppress {
		b[0] |= 0x08
	}
	b[1] = encodeCode8(uint32(q.timing.query / time.Second))
	binary.BigEndian.PutUint16(b[2:], uint16(len(q.sources)))
	for i, s := range q.sources {
		size := s.BitLen() / 8
		copy(b[4+i*size:], s.AsSlice())
	}
}

func putEthernet(b []byte, dst, src MAC, kind uint16) {
	copy(b, dst[:])
	copy(b[6:], src[:])
	binary.BigEndian.PutUint16(b[12:], kind)
}
