package snoop

import (
	"encoding/binary"
	"net/netip"
)

// sum adds b to a running Internet checksum, RFC 1071.
func sum(acc uint32, b []byte) uint32 {
	for len(b) >= 2 {
		acc += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint32(b[0]) << 8
	}
	return acc
}

// fold ends a checksum. It is 0 over data that holds its own right checksum.
func fold(acc uint32) uint16 {
	for acc > 0xffff {
		acc = acc&0xffff + acc>>16
	}
	return ^uint16(acc)
}

// pseudoSum starts the checksum of an upper-layer IPv6 message, RFC 8200
// section 8.1.
func pseudoSum(src, dst netip.Addr, proto uint8, length int) uint32 {
	s, d := src.As16(), dst.As16()
	acc := sum(sum(0, s[:]), d[:])
	return acc + uint32(length)>>16 + uint32(length)&0xffff + uint32(proto)
}
