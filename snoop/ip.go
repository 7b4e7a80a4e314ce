package snoop

import (
	"encoding/binary"
	"net/netip"
)

const (
	protoHopByHop = 0
	protoIGMP     = 2
	protoRouting  = 43
	protoFragment = 44
	protoICMPv6   = 58
	protoDestOpts = 60
	protoPIM      = 103
)

// datagram is a checked IP packet.
type datagram struct {
	v6          bool
	src, dst    netip.Addr
	ttl         uint8
	proto       uint8
	routerAlert bool
	payload     []byte // exactly what the IP header says, without frame padding
}

// parseIP checks the IP header and whatever stands between it and the message.
// cut says that b may lack the packet's end.
func parseIP(b []byte, cut bool) (datagram, reason) {
	if len(b) == 0 {
		return datagram{}, short(cut)
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b, cut)
	case 6:
		return parseIPv6(b, cut)
	}
	return datagram{}, badVersion
}

func short(cut bool) reason {
	if cut {
		return truncated
	}
	return badLength
}

func parseIPv4(b []byte, cut bool) (d datagram, _ reason) {
	if len(b) < 20 {
		return d, short(cut)
	}
	header, total := int(b[0]&0x0f)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || total < header {
		return d, badLength
	}
	if len(b) < header {
		return d, short(cut)
	}
	if fold(sum(0, b[:header])) != 0 {
		return d, badIPChecksum
	}
	if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 { // more fragments, or an offset
		return d, fragment
	}
	if len(b) < total {
		return d, short(cut)
	}
	alert, ok := routerAlert4(b[20:header])
	if !ok {
		return d, badLength
	}
	return datagram{
		src:         netip.AddrFrom4([4]byte(b[12:])),
		dst:         netip.AddrFrom4([4]byte(b[16:])),
		ttl:         b[8],
		proto:       b[9],
		routerAlert: alert,
		payload:     b[header:total],
	}, accepted
}

// routerAlert4 looks for the option of RFC 2113; ok is false if the options
// don't fit their header.
func routerAlert4(opts []byte) (found, ok bool) {
	for len(opts) > 0 {
		switch opts[0] {
		case 0: // end of options
			return found, true
		case 1: // no operation
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
			return found, false
		}
		found = found || opts[0] == 0x94 && opts[1] == 4
		opts = opts[opts[1]:]
	}
	return found, true
}

func parseIPv6(b []byte, cut bool) (d datagram, _ reason) {
	if len(b) < 40 {
		return d, short(cut)
	}
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if len(b) < total {
		return d, short(cut)
	}
	d = datagram{
		v6:      true,
		src:     netip.AddrFrom16([16]byte(b[8:])),
		dst:     netip.AddrFrom16([16]byte(b[24:])),
		ttl:     b[7],
		proto:   b[6],
		payload: b[40:total],
	}
	return d, d.skipExtensions()
}

// skipExtensions moves d from its extension headers to the message.
func (d *datagram) skipExtensions() reason {
	for first := true; ; first = false {
		switch d.proto {
		case protoFragment:
			return fragment
		case protoHopByHop, protoRouting, protoDestOpts:
		default:
			return accepted
		}
		if d.proto == protoHopByHop && !first { // RFC 8200 section 4.1
			return badLength
		}
		if len(d.payload) < 8 {
			return badLength
		}
		length := int(d.payload[1])*8 + 8
		if len(d.payload) < length {
			return badLength
		}
		if d.proto == protoHopByHop {
			alert, ok := routerAlert6(d.payload[2:length])
			if !ok {
				return badLength
			}
			d.routerAlert = alert
		}
		d.proto, d.payload = d.payload[0], d.payload[length:]
	}
}

// routerAlert6 looks for the option of RFC 2711 with the value for MLD.
func routerAlert6(opts []byte) (found, ok bool) {
	for len(opts) > 0 {
		if opts[0] == 0 { // a byte of padding
			opts = opts[1:]
			continue
		}
		if len(opts) < 2 || int(opts[1])+2 > len(opts) {
			return found, false
		}
		if opts[0] == 5 && opts[1] == 2 && opts[2] == 0 && opts[3] == 0 {
			found = true
		}
		opts = opts[opts[1]+2:]
	}
	return found, true
}
