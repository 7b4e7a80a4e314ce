package frame

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// RouterAlert4 is the IPv4 option of RFC 2113.
var RouterAlert4 = []byte{0x94, 0x04, 0x00, 0x00}

// RouterAlert6 is the hop-by-hop option of RFC 2711 for MLD, padded so that the
// extension header needs nothing else.
var RouterAlert6 = []byte{0x05, 0x02, 0x00, 0x00, 0x01, 0x00}

// IPv4 is an IPv4 header.
type IPv4 struct {
	// Src and Dst are the addresses.
	Src, Dst netip.Addr
	// TTL and TOS are sent as they are.
	TTL, TOS uint8
	// Protocol is that of the payload.
	Protocol uint8
	// ID identifies the fragments of a packet.
	ID uint16
	// DontFragment and MoreFragments are the flags.
	DontFragment, MoreFragments bool
	// FragmentOffset is in bytes, a multiple of 8.
	FragmentOffset int
	// Options are padded with zeros to a multiple of 4 bytes.
	Options []byte
	// Mutate changes the header before its checksum is computed, Corrupt after.
	Mutate, Corrupt func(header []byte)
}

// Wrap returns a packet with the payload.
func (p IPv4) Wrap(payload []byte) []byte {
	options := slices.Clone(p.Options)
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	h := make([]byte, 20, 20+len(options)+len(payload))
	h = append(h, options...)
	h[0] = 4<<4 | byte(len(h)/4)
	h[1] = p.TOS
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(payload)))
	binary.BigEndian.PutUint16(h[4:], p.ID)
	flags := uint16(p.FragmentOffset / 8)
	if p.DontFragment {
		flags |= 1 << 14
	}
	if p.MoreFragments {
		flags |= 1 << 13
	}
	binary.BigEndian.PutUint16(h[6:], flags)
	h[8], h[9] = p.TTL, p.Protocol
	copy(h[12:16], p.Src.AsSlice())
	copy(h[16:20], p.Dst.AsSlice())
	apply(p.Mutate, h)
	binary.BigEndian.PutUint16(h[10:], 0)
	binary.BigEndian.PutUint16(h[10:], Checksum(h))
	apply(p.Corrupt, h)
	return append(h, payload...)
}

// Fragments returns the packet in fragments whose payloads have at most size
// bytes, a multiple of 8.
func (p IPv4) Fragments(payload []byte, size int) [][]byte {
	var packets [][]byte
	for offset := 0; offset < len(payload); offset += size {
		f, end := p, min(offset+size, len(payload))
		f.FragmentOffset, f.MoreFragments = p.FragmentOffset+offset, p.MoreFragments || end < len(payload)
		packets = append(packets, f.Wrap(payload[offset:end]))
	}
	return packets
}

// Extension is an IPv6 extension header.
type Extension struct {
	// Protocol is the number of this header, such as ProtocolHopByHop.
	Protocol uint8
	// Data follows the next-header and length bytes, padded with PadN to a
	// multiple of 8 bytes; for ProtocolFragment it is the last 6 bytes.
	Data []byte
}

// IPv6 is an IPv6 header with its extension headers.
type IPv6 struct {
	// Src and Dst are the addresses.
	Src, Dst netip.Addr
	// HopLimit and TrafficClass are sent as they are.
	HopLimit, TrafficClass uint8
	// Next is the protocol of the payload, behind all extensions.
	Next uint8
	// Extensions come in this order.
	Extensions []Extension
	// Mutate and Corrupt both change the headers; they have no checksum.
	Mutate, Corrupt func(headers []byte)
}

// Wrap returns a packet with the payload.
func (p IPv6) Wrap(payload []byte) []byte {
	h := make([]byte, 40, 40+len(payload))
	h[0] = 6<<4 | p.TrafficClass>>4
	h[1] = p.TrafficClass << 4
	h[6], h[7] = p.Next, p.HopLimit
	copy(h[8:24], p.Src.AsSlice())
	copy(h[24:40], p.Dst.AsSlice())
	if len(p.Extensions) > 0 {
		h[6] = p.Extensions[0].Protocol
	}
	for i, e := range p.Extensions {
		next := p.Next
		if i+1 < len(p.Extensions) {
			next = p.Extensions[i+1].Protocol
		}
		h = append(h, e.bytes(next)...)
	}
	binary.BigEndian.PutUint16(h[4:], uint16(len(h)-40+len(payload)))
	apply(p.Mutate, h)
	apply(p.Corrupt, h)
	return append(h, payload...)
}

func (e Extension) bytes(next uint8) []byte {
	b := append([]byte{next, 0}, e.Data...)
	if e.Protocol == ProtocolFragment { // its second byte is reserved, its length fixed
		return b
	}
	switch pad := (8 - len(b)%8) % 8; pad {
	case 0:
	case 1:
		b = append(b, 0) // Pad1
	default:
		b = append(b, 1, byte(pad-2)) // PadN
		b = append(b, make([]byte, pad-2)...)
	}
	b[1] = byte(len(b)/8 - 1)
	return b
}

// Fragments returns the packet in fragments whose payloads have at most size
// bytes, a multiple of 8. The extensions of p come before each fragment header.
func (p IPv6) Fragments(payload []byte, size int, id uint32) [][]byte {
	var packets [][]byte
	for offset := 0; offset < len(payload); offset += size {
		end := min(offset+size, len(payload))
		field := uint16(offset)
		if end < len(payload) {
			field |= 1
		}
		data := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(nil, field), id)
		f := p
		f.Extensions = append(slices.Clone(p.Extensions), Extension{Protocol: ProtocolFragment, Data: data})
		packets = append(packets, f.Wrap(payload[offset:end]))
	}
	return packets
}
