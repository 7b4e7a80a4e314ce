// Package frame builds Ethernet frames byte by byte for tests: multicast data
// and IGMP and MLD messages, right by default and wrong on request.
//
// Each layer is a struct whose Wrap method puts its header in front of a
// payload and computes lengths and checksums. Mutate changes the finished
// header before checksums are computed, so that only what it changes is odd;
// Corrupt changes it afterwards, so that checksums may be wrong too.
package frame

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// MAC is an Ethernet address.
type MAC [6]byte

// String returns the address as 01:00:5e:7c:00:01.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// GroupMAC returns the address that a group maps to (RFC 1112 section 6.4, RFC
// 2464 section 7). Several groups share one.
func GroupMAC(group netip.Addr) MAC {
	if group.Is4() {
		a := group.As4()
		return MAC{0x01, 0x00, 0x5e, a[1] & 0x7f, a[2], a[3]}
	}
	a := group.As16()
	return MAC{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// EtherTypes of this package.
const (
	TypeIPv4 = 0x0800
	TypeIPv6 = 0x86dd
	TypeVLAN = 0x8100 // 802.1Q
	TypeQinQ = 0x88a8 // 802.1ad
)

// Protocol numbers of this package.
const (
	ProtocolHopByHop = 0
	ProtocolIGMP     = 2
	ProtocolUDP      = 17
	ProtocolFragment = 44
	ProtocolICMPv6   = 58
)

// Tag is a VLAN tag.
type Tag struct {
	// Type is TypeVLAN or TypeQinQ; 0 means TypeVLAN.
	Type uint16
	// VLAN is the identifier, with priority bits above if wanted.
	VLAN uint16
}

// Ethernet is an Ethernet header.
type Ethernet struct {
	// Dst and Src are the addresses.
	Dst, Src MAC
	// Tags come in this order, outermost first.
	Tags []Tag
	// Type is that of the payload; 0 derives it from the IP version.
	Type uint16
	// Mutate and Corrupt both change the header; it has no checksum.
	Mutate, Corrupt func(header []byte)
}

// Wrap returns a frame with the payload. It adds no padding and no FCS.
func (e Ethernet) Wrap(payload []byte) []byte {
	b := append(append(make([]byte, 0, 14+4*len(e.Tags)+len(payload)), e.Dst[:]...), e.Src[:]...)
	for _, tag := range e.Tags {
		if tag.Type == 0 {
			tag.Type = TypeVLAN
		}
		b = binary.BigEndian.AppendUint16(b, tag.Type)
		b = binary.BigEndian.AppendUint16(b, tag.VLAN)
	}
	if e.Type == 0 {
		e.Type = typeOf(payload)
	}
	b = binary.BigEndian.AppendUint16(b, e.Type)
	apply(e.Mutate, b)
	apply(e.Corrupt, b)
	return append(b, payload...)
}

func typeOf(packet []byte) uint16 {
	if len(packet) > 0 && packet[0]>>4 == 6 {
		return TypeIPv6
	}
	return TypeIPv4
}

// UDP is a UDP header.
type UDP struct {
	// SrcPort and DstPort are the ports.
	SrcPort, DstPort uint16
	// NoChecksum leaves the checksum 0, which IPv4 allows.
	NoChecksum bool
	// Mutate changes the datagram before its checksum is computed, Corrupt after.
	Mutate, Corrupt func(datagram []byte)
}

// Wrap returns a datagram with the payload. The addresses are those of the IP
// header, which the checksum covers.
func (u UDP) Wrap(src, dst netip.Addr, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b, u.SrcPort)
	binary.BigEndian.PutUint16(b[2:], u.DstPort)
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	b = append(b, payload...)
	apply(u.Mutate, b)
	if !u.NoChecksum {
		sum := pseudoChecksum(src, dst, ProtocolUDP, b)
		if sum == 0 { // 0 says "none" (RFC 768)
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(b[6:], sum)
	}
	apply(u.Corrupt, b)
	return b
}

// MulticastUDP returns a plain frame from src to a group, with TTL 16: what most
// tests send, or start from.
func MulticastUDP(srcMAC MAC, src, dst netip.AddrPort, payload []byte) []byte {
	datagram := UDP{SrcPort: src.Port(), DstPort: dst.Port()}.Wrap(src.Addr(), dst.Addr(), payload)
	packet := Packet(src.Addr(), dst.Addr(), ProtocolUDP, datagram)
	return Ethernet{Dst: GroupMAC(dst.Addr()), Src: srcMAC}.Wrap(packet)
}

// Packet returns a plain IPv4 or IPv6 packet with TTL 16.
func Packet(src, dst netip.Addr, protocol uint8, payload []byte) []byte {
	if dst.Is4() {
		return IPv4{Src: src, Dst: dst, TTL: 16, Protocol: protocol}.Wrap(payload)
	}
	return IPv6{Src: src, Dst: dst, HopLimit: 16, Next: protocol}.Wrap(payload)
}

func apply(change func([]byte), b []byte) {
	if change != nil {
		change(b)
	}
}

// Checksum returns the Internet checksum of b (RFC 1071).
func Checksum(b []byte) uint16 { return ^fold(sum(b)) }

func pseudoChecksum(src, dst netip.Addr, protocol uint8, b []byte) uint16 {
	s := sum(src.AsSlice()) + sum(dst.AsSlice()) + uint64(protocol) + uint64(len(b)) + sum(b)
	return ^fold(s)
}

func sum(b []byte) uint64 {
	var s uint64
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
