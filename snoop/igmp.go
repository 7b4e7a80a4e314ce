package snoop

import (
	"encoding/binary"
	"net/netip"
	"time"
)

var (
	allHosts4   = netip.AddrFrom4([4]byte{224, 0, 0, 1})
	allPIM4     = netip.AddrFrom4([4]byte{224, 0, 0, 13})
	allSnoopers = netip.AddrFrom4([4]byte{224, 0, 0, 106})
)

const (
	igmpQuery         = 0x11
	igmpReportV1      = 0x12
	igmpDVMRP         = 0x13
	igmpPIMv1         = 0x14
	igmpReportV2      = 0x16
	igmpLeave         = 0x17
	igmpTraceResponse = 0x1e
	igmpTrace         = 0x1f
	igmpReportV3      = 0x22
	igmpMRDAdvertise  = 0x30
	igmpMRDSolicit    = 0x31
	igmpMRDTerminate  = 0x32
)

// parseIGMP reads an IGMP message, RFC 9776 section 4.
func parseIGMP(d *datagram) (m message, _ reason) {
	b := d.payload
	if fold(sum(0, b)) != 0 {
		return m, badChecksum
	}
	if d.src.IsMulticast() || d.src.IsLoopback() || d.src == broadcast4 {
		return m, badSource
	}
	if len(b) < 4 || len(b) < 8 && b[0] != igmpMRDSolicit && b[0] != igmpMRDTerminate {
		return m, badLength
	}
	switch b[0] {
	case igmpQuery:
		return parseIGMPQuery(d)
	case igmpReportV1:
		return message{kind: messageReport, protocol: IGMPv1, group: addrFrom(b[4:8])}, accepted
	case igmpReportV2:
		return message{kind: messageReport, protocol: IGMPv2, group: addrFrom(b[4:8])}, accepted
	case igmpLeave:
		return message{kind: messageLeave, protocol: IGMPv2, group: addrFrom(b[4:8])}, accepted
	case igmpReportV3:
		m = message{kind: messageReport, protocol: IGMPv3, records: b[8:], count: int(binary.BigEndian.Uint16(b[6:]))}
		if !checkRecords(m.records, m.count, 4) {
			return m, badLength
		}
		return m, accepted
	case igmpMRDAdvertise:
		return parseMRD(d, allSnoopers)
	case igmpMRDSolicit:
		return message{kind: messageSolicitation, protocol: MRD}, accepted
	case igmpMRDTerminate:
		return message{kind: messageTermination, protocol: MRD}, accepted
	case igmpDVMRP, igmpPIMv1, igmpTrace, igmpTraceResponse:
		return message{kind: messageOther, protocol: ProtocolOther}, accepted
	}
	return m, unknownType
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// parseIGMPQuery tells the version by length and code, RFC 9776 section 7.1.
func parseIGMPQuery(d *datagram) (m message, _ reason) {
	b := d.payload
	q := query{group: addrFrom(b[4:8])}
	switch {
	case len(b) == 8 && b[1] == 0:
		q.protocol = IGMPv1
	case len(b) == 8:
		q.protocol = IGMPv2
		q.maxResponse = time.Duration(b[1]) * 100 * time.Millisecond
	case len(b) >= 12:
		q.protocol = IGMPv3
		q.maxResponse = time.Duration(decodeCode8(b[1])) * 100 * time.Millisecond
		if !q.parseTail(b[8:], 4) {
			return m, badLength
		}
	default:
		return m, badLength
	}
	switch {
	case q.group == netip.IPv4Unspecified():
		if d.dst != allHosts4 {
			return m, badDestination
		}
		q.group = netip.Addr{}
	case !q.group.IsMulticast():
		return m, badGroup
	}
	return message{kind: messageQuery, protocol: q.protocol, query: q}, accepted
}

// parseTail reads what IGMPv3 and MLDv2 queries have after the group.
func (q *query) parseTail(b []byte, addrLen int) bool {
	q.suppress = b[0]&0x08 != 0
	q.robustness = int(b[0] & 0x07)
	q.interval = time.Duration(decodeCode8(b[1])) * time.Second
	length := int(binary.BigEndian.Uint16(b[2:])) * addrLen
	if len(b) < 4+length {
		return false
	}
	q.sources = b[4 : 4+length]
	return true
}
