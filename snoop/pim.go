package snoop

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// defaultHoldtime is that of a PIM hello which names none, RFC 7761 section 4.11.
const defaultHoldtime = 105 * time.Second

// parsePIM reads a PIM message; only hellos matter here, RFC 7761 section 4.9.2.
func parsePIM(d *datagram) (m message, _ reason) {
	b := d.payload
	if len(b) < 4 {
		return m, badLength
	}
	if b[0]>>4 != 2 {
		return message{kind: messageOther, protocol: ProtocolOther}, accepted
	}
	const hello = 0
	if b[0]&0x0f != hello {
		return message{kind: messageOther, protocol: PIMv2}, accepted
	}
	acc := sum(0, b)
	if d.v6 {
		acc = sum(pseudoSum(d.src, d.dst, protoPIM, len(b)), b)
	}
	if fold(acc) != 0 {
		return m, badChecksum
	}
	if d.dst != allPIM4 && d.dst != allPIM6 {
		return m, badDestination
	}
	if d.src.IsUnspecified() || d.src.IsMulticast() {
		return m, badSource
	}
	hold, ok := helloHoldtime(b[4:])
	if !ok {
		return m, badLength
	}
	return message{kind: messageHello, protocol: PIMv2, holdtime: hold}, accepted
}

// helloHoldtime walks the options of a hello for its holdtime.
func helloHoldtime(opts []byte) (hold time.Duration, ok bool) {
	hold = defaultHoldtime
	for len(opts) > 0 {
		if len(opts) < 4 {
			return 0, false
		}
		kind, length := binary.BigEndian.Uint16(opts), int(binary.BigEndian.Uint16(opts[2:]))
		opts = opts[4:]
		if len(opts) < length {
			return 0, false
		}
		if kind == 1 && length == 2 {
			hold = time.Duration(binary.BigEndian.Uint16(opts)) * time.Second
			if hold == 0xffff*time.Second {
				hold = never
			}
		}
		opts = opts[length:]
	}
	return hold, true
}

// parseMRD reads a router's advertisement, RFC 4286 section 3.2: the second
// byte is its interval in seconds.
func parseMRD(d *datagram, dst netip.Addr) (m message, _ reason) {
	if d.dst != dst {
		return m, badDestination
	}
	if len(d.payload) < 8 {
		return m, badLength
	}
	if d.src.IsUnspecified() {
		return m, badSource
	}
	const missable = 3 // advertisements that may be lost before the router counts as gone
	return message{
		kind:     messageAdvertisement,
		protocol: MRD,
		holdtime: missable * max(time.Duration(d.payload[1]), 4) * time.Second,
	}, accepted
}
