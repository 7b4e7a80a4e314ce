package bpftest

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// Frame describes an Ethernet frame with a multicast IP packet. Lengths and
// checksums are right unless Break makes them wrong.
type Frame struct {
	SrcMAC, DstMAC [6]byte // DstMAC: the group's own, if zero
	Tags           []Tag
	Source, Group  netip.Addr
	TTL            uint8
	Protocol       uint8
	FragmentOffset uint16 // in bytes
	MoreFragments  bool
	Options        []byte      // IPv4, whole words
	Extensions     []Extension // IPv6
	Payload        []byte      // from the transport header on
	Pad            int         // bytes behind the IP packet
	// Break changes the IP packet before it is sent.
	Break func(ip []byte) []byte
}

// Tag is a VLAN tag.
type Tag struct {
	Protocol uint16 // 0x8100 or 0x88a8
	ID       uint16
}

// Extension is an IPv6 extension header.
type Extension struct {
	Type uint8
	Body []byte // all of it but the first byte, which names the next header
}

// SenderMAC is the source address of frames that name no other.
var SenderMAC = [6]byte{2, 0, 0, 0, 0, 0xaa}

// UDP returns a datagram from source to group, port 5000.
func UDP(source, group string, payload string) Frame {
	f := Frame{SrcMAC: SenderMAC, Source: netip.MustParseAddr(source), Group: netip.MustParseAddr(group), TTL: 16, Protocol: 17}
	udp := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(udp[0:], 4999)
	binary.BigEndian.PutUint16(udp[2:], 5000)
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	f.Payload = append(udp, payload...)
	if f.Group.Is6() {
		binary.BigEndian.PutUint16(f.Payload[6:], f.pseudoChecksum())
	}
	return f
}

// IGMP returns a message with its checksum at bytes 2 and 3 set, and the Router
// Alert option.
func IGMP(source, destination string, message []byte) Frame {
	m := bytes.Clone(message)
	if len(m) >= 4 {
		binary.BigEndian.PutUint16(m[2:], ^Sum(m))
	}
	return Frame{
		SrcMAC: SenderMAC, Source: netip.MustParseAddr(source), Group: netip.MustParseAddr(destination),
		TTL: 1, Protocol: 2, Options: []byte{0x94, 4, 0, 0}, Payload: m,
	}
}

// MLD returns an ICMPv6 message with its checksum at bytes 2 and 3 set, and the
// Router Alert option in a hop-by-hop header.
func MLD(source, destination string, message []byte) Frame {
	f := Frame{
		SrcMAC: SenderMAC, Source: netip.MustParseAddr(source), Group: netip.MustParseAddr(destination),
		TTL: 1, Protocol: 58, Payload: bytes.Clone(message),
		Extensions: []Extension{{Type: 0, Body: []byte{0, 5, 2, 0, 0, 1, 0}}},
	}
	if len(f.Payload) >= 4 {
		binary.BigEndian.PutUint16(f.Payload[2:], f.pseudoChecksum())
	}
	return f
}

// Bytes returns the frame, without check sequence.
func (f Frame) Bytes() []byte {
	var b []byte
	dst := f.DstMAC
	if dst == ([6]byte{}) {
		dst = GroupMAC(f.Group)
	}
	b = append(append(b, dst[:]...), f.SrcMAC[:]...)
	for _, t := range f.Tags {
		b = binary.BigEndian.AppendUint16(b, t.Protocol)
		b = binary.BigEndian.AppendUint16(b, t.ID)
	}
	ip, proto := f.ipv4, uint16(0x0800)
	if f.Group.Is6() {
		ip, proto = f.ipv6, 0x86dd
	}
	b = binary.BigEndian.AppendUint16(b, proto)
	packet := ip()
	if f.Break != nil {
		packet = f.Break(packet)
	}
	return append(append(b, packet...), make([]byte, f.Pad)...)
}

func (f Frame) ipv4() []byte {
	h := make([]byte, 20, 20+len(f.Options)+len(f.Payload))
	h[0] = 0x40 | byte(5+len(f.Options)/4)
	binary.BigEndian.PutUint16(h[2:], uint16(20+len(f.Options)+len(f.Payload)))
	offset := f.FragmentOffset / 8
	if f.MoreFragments {
		offset |= 0x2000
	}
	binary.BigEndian.PutUint16(h[6:], offset)
	h[8], h[9] = f.TTL, f.Protocol
	source, group := f.Source.As4(), f.Group.As4()
	copy(h[12:], source[:])
	copy(h[16:], group[:])
	h = append(h, f.Options...)
	binary.BigEndian.PutUint16(h[10:], ^Sum(h))
	return append(h, f.Payload...)
}

func (f Frame) ipv6() []byte {
	chain := f.Extensions
	if f.FragmentOffset > 0 || f.MoreFragments {
		body := make([]byte, 7)
		binary.BigEndian.PutUint16(body[1:], f.FragmentOffset)
		if f.MoreFragments {
			body[2] |= 1
		}
		chain = append(chain[:len(chain):len(chain)], Extension{Type: 44, Body: body})
	}
	next := func(i int) byte {
		if i < len(chain) {
			return chain[i].Type
		}
		return f.Protocol
	}
	var rest []byte
	for i, e := range chain {
		rest = append(append(rest, next(i+1)), e.Body...)
	}
	rest = append(rest, f.Payload...)
	h := make([]byte, 40, 40+len(rest))
	h[0] = 0x60
	binary.BigEndian.PutUint16(h[4:], uint16(len(rest)))
	h[6], h[7] = next(0), f.TTL
	source, group := f.Source.As16(), f.Group.As16()
	copy(h[8:], source[:])
	copy(h[24:], group[:])
	return append(h, rest...)
}

// pseudoChecksum is the checksum of the payload with IPv6's pseudo header.
func (f Frame) pseudoChecksum() uint16 {
	source, group := f.Source.As16(), f.Group.As16()
	b := append(source[:], group[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.Payload)))
	b = binary.BigEndian.AppendUint32(b, uint32(f.Protocol))
	return ^Sum(append(b, f.Payload...))
}

// GroupMAC returns the Ethernet address of a group.
func GroupMAC(group netip.Addr) [6]byte {
	a := group.AsSlice()
	if group.Is4() {
		return [6]byte{0x01, 0, 0x5e, a[1] & 0x7f, a[2], a[3]}
	}
	return [6]byte{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// Sum is the one's complement sum of RFC 1071.
func Sum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return uint16(sum)
}
