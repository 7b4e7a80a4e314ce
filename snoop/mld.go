package snoop

import (
	"encoding/binary"
	"net/netip"
	"time"
)

var (
	allNodes6    = netip.MustParseAddr("ff02::1")
	allPIM6      = netip.MustParseAddr("ff02::d")
	allSnoopers6 = netip.MustParseAddr("ff02::6a")
)

const (
	mldQuery        = 130
	mldReportV1     = 131
	mldDone         = 132
	mldReportV2     = 143
	mldMRDAdvertise = 151
	mldMRDSolicit   = 152
	mldMRDTerminate = 153
)

// parseMLD reads an MLD message, RFC 9777 section 5.
func parseMLD(d *datagram) (m message, _ reason) {
	b := d.payload
	if fold(sum(pseudoSum(d.src, d.dst, protoICMPv6, len(b)), b)) != 0 {
		return m, badChecksum
	}
	if len(b) < 4 {
		return m, badLength
	}
	if !isMLD(b[0]) {
		return m, unknownType
	}
	// A host reports from :: until it has an address; nobody else may.
	if !d.src.IsLinkLocalUnicast() && (!d.src.IsUnspecified() || b[0] == mldQuery) {
		return m, badSource
	}
	switch b[0] {
	case mldQuery:
		return parseMLDQuery(d)
	case mldReportV1, mldDone:
		if len(b) < 24 {
			return m, badLength
		}
		m = message{kind: messageReport, protocol: MLDv1, group: addrFrom(b[8:24])}
		if b[0] == mldDone {
			m.kind = messageLeave
		}
		return m, accepted
	case mldReportV2:
		if len(b) < 8 {
			return m, badLength
		}
		m = message{kind: messageReport, protocol: MLDv2, records: b[8:], count: int(binary.BigEndian.Uint16(b[6:]))}
		if !checkRecords(m.records, m.count, 16) {
			return m, badLength
		}
		return m, accepted
	case mldMRDAdvertise:
		return parseMRD(d, allSnoopers6)
	case mldMRDSolicit:
		return message{kind: messageSolicitation, protocol: MRD}, accepted
	default:
		return message{kind: messageTermination, protocol: MRD}, accepted
	}
}

func isMLD(kind uint8) bool {
	switch kind {
	case mldQuery, mldReportV1, mldDone, mldReportV2, mldMRDAdvertise, mldMRDSolicit, mldMRDTerminate:
		return true
	}
	return false
}

func parseMLDQuery(d *datagram) (m message, _ reason) {
	b := d.payload
	var q query
	switch {
	case len(b) == 24:
		q.protocol = MLDv1
		q.maxResponse = time.Duration(binary.BigEndian.Uint16(b[4:])) * time.Millisecond
	case len(b) >= 28:
		q.protocol = MLDv2
		q.maxResponse = time.Duration(decodeCode16(binary.BigEndian.Uint16(b[4:]))) * time.Millisecond
		if !q.parseTail(b[24:], 16) {
			return m, badLength
		}
	default:
		return m, badLength
	}
	q.group = addrFrom(b[8:24])
	switch {
	case q.group.IsUnspecified():
		if d.dst != allNodes6 {
			return m, badDestination
		}
		q.group = netip.Addr{}
	case !q.group.IsMulticast():
		return m, badGroup
	}
	return message{kind: messageQuery, protocol: q.protocol, query: q}, accepted
}
