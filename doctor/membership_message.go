package doctor

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Types of RFC 9776 section 4 and RFC 9777 section 5, and of their ancestors.
const (
	igmpQuery    = 0x11
	igmpReportV1 = 0x12
	igmpReportV2 = 0x16
	igmpLeave    = 0x17
	igmpReportV3 = 0x22
	mldQuery     = 130
	mldReportV1  = 131
	mldDone      = 132
	mldReportV2  = 143
)

// Record types that take a group away (RFC 9776 section 4.2.12), if they name no
// source.
const (
	recordIsInclude = 1
	recordToInclude = 3
)

// parseQuery returns the version of a query, or 0 if it is none.
func parseQuery(p *packet) int {
	b := p.payload
	switch {
	case p.proto == unix.IPPROTO_IGMP && len(b) >= 8 && b[0] == igmpQuery:
		switch {
		case len(b) >= 12:
			return 3
		case b[1] == 0:
			return 1
		}
		return 2
	case p.proto == unix.IPPROTO_ICMPV6 && len(b) >= 24 && b[0] == mldQuery:
		if len(b) >= 28 {
			return 2
		}
		return 1
	}
	return 0
}

// parseReport tells whether a message reports or leaves the group.
func parseReport(p *packet, group netip.Addr) (about, leave bool) {
	b := p.payload
	if len(b) < 8 {
		return false, false
	}
	switch {
	case p.proto == unix.IPPROTO_IGMP && (b[0] == igmpReportV1 || b[0] == igmpReportV2 || b[0] == igmpLeave):
		return isGroup(b[4:8], group), b[0] == igmpLeave
	case p.proto == unix.IPPROTO_IGMP && b[0] == igmpReportV3:
		return findRecord(b[8:], int(binary.BigEndian.Uint16(b[6:])), 4, group)
	case p.proto == unix.IPPROTO_ICMPV6 && (b[0] == mldReportV1 || b[0] == mldDone) && len(b) >= 24:
		return isGroup(b[8:24], group), b[0] == mldDone
	case p.proto == unix.IPPROTO_ICMPV6 && b[0] == mldReportV2:
		return findRecord(b[8:], int(binary.BigEndian.Uint16(b[6:])), 16, group)
	}
	return false, false
}

func isGroup(b []byte, group netip.Addr) bool {
	a, ok := netip.AddrFromSlice(b)
	return ok && a == group
}

// findRecord looks through group records: type, length of auxiliary data in
// words, number of sources, group, sources, auxiliary data.
func findRecord(b []byte, n, size int, group netip.Addr) (about, leave bool) {
	for range n {
		if len(b) < 4+size {
			return false, false
		}
		sources := int(binary.BigEndian.Uint16(b[2:]))
		if isGroup(b[4:4+size], group) {
			return true, sources == 0 && (b[0] == recordIsInclude || b[0] == recordToInclude)
		}
		length := 4 + size + sources*size + int(b[1])*4
		if len(b) < length {
			return false, false
		}
		b = b[length:]
	}
	return false, false
}
