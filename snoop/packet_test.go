package snoop

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func addrs(s ...string) (list []netip.Addr) {
	for _, a := range s {
		list = append(list, addr(a))
	}
	return list
}

// ipv4 returns a packet as the RFC wants IGMP: TTL 1, Router Alert.
func ipv4(src, dst string, proto uint8, payload []byte) []byte {
	b := make([]byte, 24, 24+len(payload))
	b[0], b[1], b[8], b[9] = 0x46, 0xc0, 1, proto
	binary.BigEndian.PutUint16(b[2:], uint16(24+len(payload)))
	copy(b[12:], addr(src).AsSlice())
	copy(b[16:], addr(dst).AsSlice())
	copy(b[20:], []byte{0x94, 4, 0, 0})
	fixIPv4(b)
	return append(b, payload...)
}

func fixIPv4(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], fold(sum(0, b[:int(b[0]&0xf)*4])))
}

// ipv6 returns a packet as the RFC wants MLD: hop limit 1, Router Alert.
func ipv6(src, dst string, proto uint8, payload []byte) []byte {
	b := make([]byte, 48, 48+len(payload))
	b[0], b[7] = 0x60, 1
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	copy(b[8:], addr(src).AsSlice())
	copy(b[24:], addr(dst).AsSlice())
	copy(b[40:], []byte{proto, 0, 5, 2, 0, 0, 1, 0})
	return append(b, payload...)
}

func igmp(src, dst string, payload []byte) []byte {
	payload = slices.Clone(payload)
	payload[2], payload[3] = 0, 0
	binary.BigEndian.PutUint16(payload[2:], fold(sum(0, payload)))
	return ipv4(src, dst, protoIGMP, payload)
}

func mld(src, dst string, payload []byte) []byte {
	payload = slices.Clone(payload)
	payload[2], payload[3] = 0, 0
	binary.BigEndian.PutUint16(payload[2:], fold(sum(pseudoSum(addr(src), addr(dst), protoICMPv6, len(payload)), payload)))
	return ipv6(src, dst, protoICMPv6, payload)
}

// igmpShort is a message of versions 1 and 2.
func igmpShort(kind, code uint8, group string) []byte {
	return append([]byte{kind, code, 0, 0}, addr(group).AsSlice()...)
}

func v2Report(src, group string) []byte { return igmp(src, group, igmpShort(igmpReportV2, 0, group)) }
func v1Report(src, group string) []byte { return igmp(src, group, igmpShort(igmpReportV1, 0, group)) }
func v2Leave(src, group string) []byte {
	return igmp(src, "224.0.0.2", igmpShort(igmpLeave, 0, group))
}

func mldShort(kind uint8, group string) []byte {
	return append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, addr(group).AsSlice()...)
}

func mldv1Report(src, group string) []byte { return mld(src, group, mldShort(mldReportV1, group)) }
func mldv1Done(src, group string) []byte   { return mld(src, "ff02::2", mldShort(mldDone, group)) }

// rec returns one group record.
func rec(kind recordType, group string, sources ...string) []byte {
	b := []byte{byte(kind), 0, 0, byte(len(sources))}
	binary.BigEndian.PutUint16(b[2:], uint16(len(sources)))
	b = append(b, addr(group).AsSlice()...)
	for _, s := range sources {
		b = append(b, addr(s).AsSlice()...)
	}
	return b
}

func v3Report(src string, records ...[]byte) []byte {
	b := []byte{igmpReportV3, 0, 0, 0, 0, 0, 0, byte(len(records))}
	return igmp(src, "224.0.0.22", append(b, slices.Concat(records...)...))
}

func mldv2Report(src string, records ...[]byte) []byte {
	b := []byte{mldReportV2, 0, 0, 0, 0, 0, 0, byte(len(records))}
	return mld(src, "ff02::16", append(b, slices.Concat(records...)...))
}

// queryPacket returns another router's query, made by our own encoder.
func queryPacket(p Protocol, src string, q specificQuery) []byte {
	if q.timing == (timing{}) {
		cfg := DefaultConfig()
		q.timing = cfg.timing()
	}
	if p >= MLDv1 {
		return encodeMLDQuery(p, MAC{2}, addr(src), q)[ethernetLen:]
	}
	return encodeIGMPQuery(p, MAC{2}, addr(src), q)[ethernetLen:]
}

// testTable is a table with its clock and helpers.
type testTable struct {
	*Table
	t      *testing.T
	copies map[netip.Addr]string // see checkDirty
	now    time.Duration
}

func newTable(t *testing.T, change func(*Config), ports ...Port) *testTable {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Querier = QuerierOn
	if change != nil {
		change(&cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	tt := &testTable{Table: New(cfg, 0), t: t}
	for _, p := range ports {
		tt.AddPort(p, portInfo(p), 0)
	}
	tt.drain()
	return tt
}

func portInfo(p Port) PortInfo {
	return PortInfo{Name: "p", MAC: MAC{2, 0, 0, 0, 0, byte(p)}, Addr4: netip.AddrFrom4([4]byte{192, 0, 2, byte(100 + p)})}
}

// drain throws away what was queued.
func (t *testTable) drain() {
	t.TakeDirty()
	t.TakeChangedMembers()
	t.TakeDirtyVLANs()
	t.TakeDirtyRouters()
	t.TakeTransmit()
	t.TakeEvents()
}

// pass moves the clock, stopping at every deadline.
func (t *testTable) pass(d time.Duration) {
	end := t.now + d
	for {
		at, ok := t.Deadline()
		if !ok || at > end {
			break
		}
		t.now = max(t.now, at)
		t.Advance(t.now)
		if next, ok := t.Deadline(); ok && next <= t.now {
			t.t.Fatalf("at %v the deadline %v is not in the future", t.now, next)
		}
	}
	t.now = end
	t.Advance(end)
}

// hear hands in a packet from a host: its MAC follows from its address.
func (t *testTable) hear(p Port, ip []byte) { t.hearOn(p, 0, ip) }

func (t *testTable) hearOn(p Port, v VLAN, ip []byte) {
	mac := MAC{2, 0xff}
	if ip[0]>>4 == 4 {
		copy(mac[2:], ip[12:16])
	} else {
		copy(mac[2:], ip[20:24])
	}
	t.Receive(Packet{Port: p, VLAN: v, At: t.now, SrcMAC: mac, IP: ip}, t.now)
}

// actions returns the actions of the events since the last call, with reasons.
func (t *testTable) actions() (list []string) {
	for _, e := range t.TakeEvents() {
		s := e.Action
		if e.Reason != "" {
			s += ":" + e.Reason
		}
		list = append(list, s)
	}
	return list
}

// queries parses the queries that were sent since the last call.
func (t *testTable) queries() (list []query) {
	t.t.Helper()
	for _, x := range t.TakeTransmit() {
		d, why := parseIP(x.Frame[ethernetLen:], false)
		if why != accepted {
			t.t.Fatalf("our own query: %v", why)
		}
		m, why := parse(&d)
		if why != accepted || m.kind != messageQuery || d.ttl != 1 || !d.routerAlert {
			t.t.Fatalf("our own query: %v, %+v, ttl %d", why, m, d.ttl)
		}
		m.query.sources = slices.Clone(m.query.sources)
		list = append(list, m.query)
	}
	return list
}

func sourcesOf(q query) (list []netip.Addr) {
	n := q.group.BitLen() / 8
	for b := q.sources; len(b) > 0; b = b[n:] {
		list = append(list, addrFrom(b[:n]))
	}
	return list
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func sameAddr(a, b netip.Addr) bool { return a == b }
