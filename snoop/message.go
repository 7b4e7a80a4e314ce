package snoop

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// message is a checked message. It refers to the packet that it came in.
type message struct {
	kind     messageType
	protocol Protocol
	group    netip.Addr // of a report or leave without records
	records  []byte     // of a source-aware report: whole, well-formed records
	count    int        // how many records
	query    query
	holdtime time.Duration // of a hello or an advertisement; never means for good
}

// query is what a query says.
type query struct {
	protocol    Protocol
	group       netip.Addr    // the zero Addr in a general query
	maxResponse time.Duration // 0 from IGMPv1
	suppress    bool          // the S flag
	robustness  int           // QRV, 0 if it is not said
	interval    time.Duration // QQI, 0 if it is not said
	sources     []byte
}

// record is one group record of a source-aware report.
type record struct {
	kind    recordType
	group   netip.Addr
	sources []byte
}

// parse reads the message in d. The checksum is verified first, so that no
// other error is blamed on a damaged packet.
func parse(d *datagram) (message, reason) {
	switch {
	case d.proto == protoPIM:
		return parsePIM(d)
	case d.proto == protoIGMP && !d.v6:
		return parseIGMP(d)
	case d.proto == protoICMPv6 && d.v6:
		return parseMLD(d)
	}
	return message{}, unknownProtocol
}

// nextRecord splits the first record off b; ok is false if b is too short for it.
func nextRecord(b []byte, addrLen int) (r record, rest []byte, ok bool) {
	header := 4 + addrLen
	if len(b) < header {
		return r, nil, false
	}
	sources := int(binary.BigEndian.Uint16(b[2:])) * addrLen
	end := header + sources + int(b[1])*4 // auxiliary data is in 32-bit words
	if len(b) < end {
		return r, nil, false
	}
	return record{
		kind:    recordType(b[0]),
		group:   addrFrom(b[4:header]),
		sources: b[header : header+sources],
	}, b[end:], true
}

// checkRecords reports whether b holds count whole records.
func checkRecords(b []byte, count, addrLen int) bool {
	for range count {
		_, rest, ok := nextRecord(b, addrLen)
		if !ok {
			return false
		}
		b = rest
	}
	return true
}

// addrFrom returns the address in b, 4 or 16 bytes.
func addrFrom(b []byte) netip.Addr {
	if len(b) == 4 {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrFrom16([16]byte(b))
}
