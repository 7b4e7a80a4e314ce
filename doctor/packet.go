package doctor

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// packet is what a capture reads out of an IP packet.
type packet struct {
	src, dst netip.Addr
	ttl      uint8
	proto    uint8 // of the payload
	payload  []byte
	// offset and more are of a fragment, id tells which belong together; length is
	// that of the payload, of which payload may hold the beginning only.
	offset, length int
	more           bool
	id             uint32
}

func (p *packet) fragment() bool { return p.more || p.offset > 0 }

// parsePacket reads an IP packet as far as the capture goes. It reports whether
// the headers are whole and make sense.
func parsePacket(b []byte) (p packet, ok bool) {
	if len(b) == 0 {
		return p, false
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return p, false
}

func parseIPv4(b []byte) (p packet, ok bool) {
	if len(b) < 20 {
		return p, false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || len(b) < header || total < header {
		return p, false
	}
	fragment := binary.BigEndian.Uint16(b[6:])
	p = packet{
		src: netip.AddrFrom4([4]byte(b[12:16])), dst: netip.AddrFrom4([4]byte(b[16:20])),
		ttl: b[8], proto: b[9], payload: b[header:min(len(b), total)], length: total - header,
		offset: int(fragment&0x1fff) * 8, more: fragment&0x2000 != 0, id: uint32(binary.BigEndian.Uint16(b[4:])),
	}
	return p, true
}

// maxHeaders bounds how many extension headers are followed.
const maxHeaders = 8

func parseIPv6(b []byte) (p packet, ok bool) {
	const header = 40
	if len(b) < header {
		return p, false
	}
	p = packet{
		src: netip.AddrFrom16([16]byte(b[8:24])), dst: netip.AddrFrom16([16]byte(b[24:40])),
		ttl: b[7], proto: b[6], payload: b[header:], length: int(binary.BigEndian.Uint16(b[4:])),
	}
	if p.length < len(p.payload) {
		p.payload = p.payload[:p.length] // the rest is the frame's padding
	}
	for range maxHeaders {
		size := 8
		switch p.proto {
		case unix.IPPROTO_HOPOPTS, unix.IPPROTO_ROUTING, unix.IPPROTO_DSTOPTS:
			if len(p.payload) < 8 {
				return p, false
			}
			size = 8 + int(p.payload[1])*8
		case unix.IPPROTO_FRAGMENT:
			if len(p.payload) < 8 {
				return p, false
			}
			fragment := binary.BigEndian.Uint16(p.payload[2:])
			p.offset, p.more = int(fragment&^7), fragment&1 != 0
			p.id = binary.BigEndian.Uint32(p.payload[4:])
		default:
			return p, true
		}
		if len(p.payload) < size {
			return p, false
		}
		p.proto, p.payload, p.length = p.payload[0], p.payload[size:], p.length-size
		if p.offset > 0 {
			return p, true // what follows is no header
		}
	}
	return p, false
}

// udpPort is the destination port of a whole datagram or a first fragment.
func (p *packet) udpPort() uint16 {
	if p.proto != unix.IPPROTO_UDP || p.offset > 0 || len(p.payload) < 8 {
		return 0
	}
	return binary.BigEndian.Uint16(p.payload[2:])
}
