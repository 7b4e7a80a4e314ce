package bpf

import (
	"encoding/binary"
	"net/netip"
)

// toWire returns the address as the kernel programs keep it: 16 bytes in wire
// order, IPv4 in its ::ffff:0:0/96 form. The zero Addr becomes all zeros.
func toWire(a netip.Addr) wireAddr {
	var w wireAddr
	if !a.IsValid() {
		return w
	}
	b := a.As16()
	for i := range w.Word {
		w.Word[i] = binary.NativeEndian.Uint32(b[4*i:])
	}
	return w
}

// fromWire is the reverse of toWire.
func fromWire(w wireAddr) netip.Addr {
	if w == (wireAddr{}) {
		return netip.Addr{}
	}
	var b [16]byte
	for i := range w.Word {
		binary.NativeEndian.PutUint32(b[4*i:], w.Word[i])
	}
	return netip.AddrFrom16(b).Unmap()
}
