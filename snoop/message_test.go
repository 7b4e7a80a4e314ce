package snoop

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCodes(t *testing.T) {
	for code, want := range map[uint8]uint32{0: 0, 1: 1, 100: 100, 127: 127, 0x80: 128, 0x81: 136, 0x8f: 248, 0x90: 256, 0xff: 31744} {
		if got := decodeCode8(code); got != want {
			t.Errorf("decodeCode8(%#x) = %d, want %d", code, got, want)
		}
	}
	for code := range 256 {
		if got := encodeCode8(decodeCode8(uint8(code))); got != uint8(code) {
			t.Errorf("8-bit code %#x came back as %#x", code, got)
		}
	}
	for code := range 65536 {
		if got := encodeCode16(decodeCode16(uint16(code))); got != uint16(code) {
			t.Fatalf("16-bit code %#x came back as %#x", code, got)
		}
	}
	for code, want := range map[uint16]uint32{0: 0, 10000: 10000, 0x7fff: 32767, 0x8000: 32768, 0xffff: 8387584} {
		if got := decodeCode16(code); got != want {
			t.Errorf("decodeCode16(%#x) = %d, want %d", code, got, want)
		}
	}
	for v, want := range map[uint32]uint32{129: 128, 135: 128, 1000: 992, 1 << 30: maxCode8} {
		if got := decodeCode8(encodeCode8(v)); got != want {
			t.Errorf("8-bit code of %d means %d, want %d", v, got, want)
		}
	}
	if got := decodeCode16(encodeCode16(1 << 30)); got != maxCode16 {
		t.Errorf("16-bit code of too much means %d, want %d", got, maxCode16)
	}
}

func TestChecksum(t *testing.T) {
	// The example of RFC 1071 section 3: the sum is 0xddf2.
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := fold(sum(0, b)); got != 0x220d {
		t.Errorf("checksum = %#x, want 0x220d", got)
	}
	if a, b := fold(sum(0, []byte{1, 2, 3})), fold(sum(0, []byte{1, 2, 3, 0})); a != b {
		t.Errorf("odd length: %#x, padded %#x", a, b)
	}
}

// The layouts of RFC 9776 section 4 and RFC 9777 section 5, byte by byte.
func TestQueryLayout(t *testing.T) {
	cfg := DefaultConfig()
	q := specificQuery{group: addr("233.252.0.1"), sources: addrs("192.0.2.7"), suppress: true, timing: cfg.timing()}
	got := hex.EncodeToString(encodeIGMPQuery(IGMPv3, MAC{2, 0, 0, 0, 0, 9}, addr("192.0.2.1"), q))
	want := "01005e7c0001" + "020000000009" + "0800" + // the group's own MAC
		"46c0002800004000" + "0102" + "06e7" + "c0000201" + "e9fc0001" + "94040000" +
		"110a" + "f25e" + "e9fc0001" + "0a7d" + "0001" + "c0000207"
	want = fixHex(want, 14+10, got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("IGMPv3 query (-want +got):\n%s", diff)
	}
	q = specificQuery{group: addr("ff3e::1"), sources: addrs("2001:db8::7"), timing: cfg.timing()}
	got = hex.EncodeToString(encodeMLDQuery(MLDv2, MAC{2, 0, 0, 0, 0, 9}, addr("fe80::9"), q))
	want = "333300000001" + "020000000009" + "86dd" +
		"6c000000" + "0034" + "0001" + "fe800000000000000000000000000009" + "ff3e0000000000000000000000000001" +
		"3a00050200000100" +
		"8200" + "0000" + "03e8" + "0000" + "ff3e0000000000000000000000000001" + "027d" + "0001" + "20010db8000000000000000000000007"
	want = fixHex(want, 14+48+2, got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("MLDv2 query (-want +got):\n%s", diff)
	}
}

// fixHex takes the checksum at an offset over from got; parsing checks it.
func fixHex(want string, offset int, got string) string {
	if len(got) != len(want) {
		return want
	}
	b := []byte(want)
	copy(b[2*offset:], got[2*offset:2*offset+4])
	if offset == 24 { // and that of the IGMP message
		copy(b[2*(14+24+2):], got[2*(14+24+2):2*(14+24+4)])
	}
	return string(b)
}

func TestOwnQueriesParse(t *testing.T) {
	cfg := DefaultConfig()
	for _, row := range []struct {
		protocol Protocol
		q        specificQuery
		want     query
	}{
		{IGMPv1, specificQuery{}, query{protocol: IGMPv1}},
		{IGMPv2, specificQuery{}, query{protocol: IGMPv2, maxResponse: 10 * time.Second}},
		{IGMPv3, specificQuery{}, query{protocol: IGMPv3, maxResponse: 10 * time.Second, robustness: 2, interval: 125 * time.Second}},
		{IGMPv3, specificQuery{group: addr("239.1.1.1"), suppress: true}, query{protocol: IGMPv3, group: addr("239.1.1.1"), maxResponse: time.Second, robustness: 2, interval: 125 * time.Second, suppress: true}},
		{MLDv1, specificQuery{}, query{protocol: MLDv1, maxResponse: 10 * time.Second}},
		{MLDv2, specificQuery{}, query{protocol: MLDv2, maxResponse: 10 * time.Second, robustness: 2, interval: 125 * time.Second}},
	} {
		row.q.timing = cfg.timing()
		var frame []byte
		if row.protocol >= MLDv1 {
			frame = encodeMLDQuery(row.protocol, MAC{}, addr("fe80::1"), row.q)
		} else {
			frame = encodeIGMPQuery(row.protocol, MAC{}, addr("192.0.2.1"), row.q)
		}
		d, why := parseIP(frame[ethernetLen:], false)
		if why != accepted {
			t.Errorf("%v: %v", row.protocol, why)
			continue
		}
		m, why := parse(&d)
		m.query.sources = nil
		opts := cmp.AllowUnexported(query{})
		if diff := cmp.Diff(row.want, m.query, opts, cmp.Comparer(sameAddr)); why != accepted || diff != "" {
			t.Errorf("%v: %v, (-want +got):\n%s", row.protocol, why, diff)
		}
	}
}

// Each damaged packet is refused with its own reason, and counted under it.
func TestRefusedPackets(t *testing.T) {
	report := v3Report("192.0.2.1", rec(isExclude, "233.252.0.1"))
	change := func(b []byte, f func(b []byte)) []byte {
		b = slices.Clone(b)
		f(b)
		return b
	}
	header := func(f func(b []byte)) []byte { return change(report, func(b []byte) { f(b); fixIPv4(b) }) }
	raw := func(payload ...byte) []byte { return igmp("192.0.2.1", "224.0.0.1", payload) }
	mldReport := mldv2Report("fe80::1", rec(isExclude, "ff3e:1::1"))
	icmp := func(src, dst string, payload []byte) []byte { return mld(src, dst, payload) }
	for _, row := range []struct {
		name string
		ip   []byte
		cut  bool
		want reason
	}{
		{"empty", nil, false, badLength},
		{"version 5", []byte{0x50}, false, badVersion},
		{"cut IPv4 header", report[:19], true, truncated},
		{"short IPv4 header", report[:19], false, badLength},
		{"header length below 5", header(func(b []byte) { b[0] = 0x44 }), false, badLength},
		{"total length below header", header(func(b []byte) { binary.BigEndian.PutUint16(b[2:], 20) }), false, badLength},
		{"total length beyond packet", header(func(b []byte) { binary.BigEndian.PutUint16(b[2:], 2000) }), false, badLength},
		{"total length beyond capture", header(func(b []byte) { binary.BigEndian.PutUint16(b[2:], 2000) }), true, truncated},
		{"header checksum", change(report, func(b []byte) { b[10] ^= 1 }), false, badIPChecksum},
		{"more fragments", header(func(b []byte) { b[6] = 0x20 }), false, fragment},
		{"later fragment", header(func(b []byte) { b[7] = 1 }), false, fragment},
		{"broken option", header(func(b []byte) { b[21] = 9 }), false, badLength},
		{"IGMP checksum", change(report, func(b []byte) { b[26] ^= 1 }), false, badChecksum},
		{"udp", ipv4("192.0.2.1", "233.252.0.1", 17, make([]byte, 8)), false, unknownProtocol},
		{"icmpv6 in IPv4", ipv4("192.0.2.1", "233.252.0.1", protoICMPv6, make([]byte, 8)), false, unknownProtocol},
		{"unknown type", raw(0x55, 0, 0, 0, 0, 0, 0, 0), false, unknownType},
		{"short message", raw(igmpReportV2, 0, 0, 0), false, badLength},
		{"query of 9 bytes", raw(igmpQuery, 1, 0, 0, 0, 0, 0, 0, 0), false, badLength},
		{"query with too many sources", raw(igmpQuery, 1, 0, 0, 0, 0, 0, 0, 2, 125, 0, 1), false, badLength},
		{"general query to a group", igmp("192.0.2.1", "239.1.1.1", igmpShort(igmpQuery, 10, "0.0.0.0")), false, badDestination},
		{"query for a unicast address", igmp("192.0.2.1", "224.0.0.1", igmpShort(igmpQuery, 10, "10.0.0.1")), false, badGroup},
		{"report for a unicast address", v2Report("192.0.2.1", "10.0.0.1"), false, badGroup},
		{"record beyond packet", raw(igmpReportV3, 0, 0, 0, 0, 0, 0, 2, 4, 0, 0, 0, 239, 1, 1, 1), false, badLength},
		{"sources beyond packet", raw(igmpReportV3, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 1, 239, 1, 1, 1), false, badLength},
		{"auxiliary data beyond packet", raw(igmpReportV3, 0, 0, 0, 0, 0, 0, 1, 4, 1, 0, 0, 239, 1, 1, 1), false, badLength},
		{"unknown record", v3Report("192.0.2.1", rec(7, "239.1.1.1")), false, unknownRecord},
		{"record for a unicast address", v3Report("192.0.2.1", rec(isExclude, "10.1.1.1")), false, badGroup},
		{"multicast source in a record", v3Report("192.0.2.1", rec(allow, "239.1.1.1", "239.2.2.2")), false, badSource},
		{"from a multicast address", v2Report("239.1.1.1", "239.1.1.1"), false, badSource},
		{"from loopback", v2Report("127.0.0.1", "239.1.1.1"), false, badSource},
		{"version 2 in the SSM range", v2Report("192.0.2.1", "232.1.1.1"), false, ssmVersion},
		{"exclude in the SSM range", v3Report("192.0.2.1", rec(toExclude, "232.1.1.1")), false, ssmExclude},
		{"MLDv1 in the SSM range", mldv1Report("fe80::1", "ff3e::1"), false, ssmVersion},

		{"short IPv6 header", mldReport[:39], false, badLength},
		{"cut IPv6 packet", mldReport[:60], true, truncated},
		{"payload beyond packet", mldReport[:60], false, badLength},
		{"extension header beyond packet", change(mldReport, func(b []byte) { b[41] = 200 }), false, badLength},
		{"extension option beyond header", change(mldReport, func(b []byte) { b[43] = 200 }), false, badLength},
		{"IPv6 fragment", change(mldReport, func(b []byte) { b[40] = protoFragment }), false, fragment},
		{"second hop-by-hop", change(mldReport, func(b []byte) { b[40] = protoHopByHop }), false, badLength},
		{"MLD checksum", change(mldReport, func(b []byte) { b[51] ^= 1 }), false, badChecksum},
		{"neighbour solicitation", icmp("fe80::1", "ff02::1", []byte{135, 0, 0, 0, 0, 0, 0, 0}), false, unknownType},
		{"short MLD report", icmp("fe80::1", "ff02::16", []byte{mldReportV1, 0, 0, 0, 0, 0, 0, 0}), false, badLength},
		{"short MLDv2 report", icmp("fe80::1", "ff02::16", []byte{mldReportV2, 0, 0, 0}), false, badLength},
		{"MLD query of 25 bytes", icmp("fe80::1", "ff02::1", append(mldShort(mldQuery, "::"), 0)), false, badLength},
		{"MLD query from ::", icmp("::", "ff02::1", mldShort(mldQuery, "::")), false, badSource},
		{"MLD query from a global address", icmp("2001:db8::1", "ff02::1", mldShort(mldQuery, "::")), false, badSource},
		{"MLD report from a global address", mldv1Report("2001:db8::1", "ff15::1"), false, badSource},
		{"general MLD query to a group", icmp("fe80::1", "ff15::1", mldShort(mldQuery, "::")), false, badDestination},
		{"MLD query for a unicast address", icmp("fe80::1", "ff02::1", mldShort(mldQuery, "fe80::2")), false, badGroup},

		{"short PIM", ipv4("192.0.2.1", "224.0.0.13", protoPIM, []byte{0x20}), false, badLength},
		{"PIM checksum", ipv4("192.0.2.1", "224.0.0.13", protoPIM, []byte{0x20, 0, 1, 1}), false, badChecksum},
		{"PIM hello elsewhere", pimHello("192.0.2.1", "224.0.0.14", 105), false, badDestination},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, nil, 1)
			tt.Receive(Packet{Port: 1, IP: row.ip, Truncated: row.cut}, 0)
			s := tt.Stats().Ports[1]
			if diff := cmp.Diff(map[string]uint64{row.want.String(): 1}, s.Errors); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if len(s.Messages) != 0 || len(tt.TakeDirty()) != 0 || len(tt.groups) != 0 {
				t.Errorf("it had an effect: messages %v, %d groups", s.Messages, len(tt.groups))
			}
		})
	}
}

func pimHello(src, dst string, hold uint16) []byte {
	b := []byte{0x20, 0, 0, 0, 0, 1, 0, 2, byte(hold >> 8), byte(hold)}
	if addr(src).Is6() {
		binary.BigEndian.PutUint16(b[2:], fold(sum(pseudoSum(addr(src), addr(dst), protoPIM, len(b)), b)))
		return ipv6(src, dst, protoPIM, b)
	}
	binary.BigEndian.PutUint16(b[2:], fold(sum(0, b)))
	return ipv4(src, dst, protoPIM, b)
}

// Good messages are counted by type and version, whatever surrounds them.
func TestAcceptedPackets(t *testing.T) {
	g4, g6 := "233.252.0.1", "ff15::1"
	aux := slices.Concat([]byte{byte(toExclude), 2, 0, 0, 233, 252, 0, 9}, make([]byte, 8), rec(toExclude, "233.252.0.10"))
	for _, row := range []struct {
		name    string
		ip      []byte
		typ     string
		version string
		groups  int
	}{
		{"version 1", v1Report("192.0.2.1", g4), "report", "igmpv1", 1},
		{"version 2", v2Report("192.0.2.1", g4), "report", "igmpv2", 1},
		{"leave", v2Leave("192.0.2.1", g4), "leave", "igmpv2", 0},
		{"version 3", v3Report("192.0.2.1", rec(isExclude, g4)), "report", "igmpv3", 1},
		{"no records", v3Report("192.0.2.1"), "report", "igmpv3", 0},
		{"several records", v3Report("192.0.2.1", rec(isExclude, g4), rec(allow, "232.1.1.1", "192.0.2.9")), "report", "igmpv3", 2},
		{"auxiliary data", igmp("192.0.2.1", "224.0.0.22", append([]byte{igmpReportV3, 0, 0, 0, 0, 0, 0, 2}, aux...)), "report", "igmpv3", 2},
		{"from 0.0.0.0", v3Report("0.0.0.0", rec(isExclude, g4)), "report", "igmpv3", 1},
		{"padded frame", append(v2Report("192.0.2.1", g4), make([]byte, 14)...), "report", "igmpv2", 1},
		{"data after the records", igmp("192.0.2.1", "224.0.0.22", append(v3Report("192.0.2.1", rec(isExclude, g4))[24:], 1, 2, 3, 4)), "report", "igmpv3", 1},
		{"one bad record of two", v3Report("192.0.2.1", rec(isExclude, "10.0.0.1"), rec(isExclude, g4)), "report", "igmpv3", 1},
		{"link-local group", v2Report("192.0.2.1", "224.0.0.251"), "report", "igmpv2", 0},
		{"MLDv1", mldv1Report("fe80::1", g6), "report", "mldv1", 1},
		{"MLD done", mldv1Done("fe80::1", g6), "leave", "mldv1", 0},
		{"MLDv2", mldv2Report("fe80::1", rec(isExclude, g6)), "report", "mldv2", 1},
		{"MLDv2 from ::", mldv2Report("::", rec(isExclude, "ff02::1:ff00:1")), "report", "mldv2", 1},
		{"MLDv2 SSM", mldv2Report("fe80::1", rec(allow, "ff3e::1", "2001:db8::1")), "report", "mldv2", 1},
		{"MLD all nodes", mldv1Report("fe80::1", "ff02::1"), "report", "mldv1", 0},
		{"MLD interface scope", mldv1Report("fe80::1", "ff11::5"), "report", "mldv1", 0},
		{"query", queryPacket(IGMPv2, "192.0.2.1", specificQuery{}), "query", "igmpv2", 0},
		{"MLD query", queryPacket(MLDv2, "fe80::1", specificQuery{}), "query", "mldv2", 0},
		{"PIM hello", pimHello("192.0.2.1", "224.0.0.13", 105), "hello", "pimv2", 0},
		{"PIM hello, IPv6", pimHello("fe80::1", "ff02::d", 105), "hello", "pimv2", 0},
		{"other PIM", ipv4("192.0.2.1", "224.0.0.13", protoPIM, []byte{0x23, 0, 0, 0}), "other", "pimv2", 0},
		{"DVMRP", igmp("192.0.2.1", "224.0.0.4", igmpShort(igmpDVMRP, 1, "0.0.0.0")), "other", "other", 0},
		{"advertisement", igmp("192.0.2.1", "224.0.0.106", []byte{igmpMRDAdvertise, 20, 0, 0, 0, 125, 0, 2}), "advertisement", "mrd", 0},
		{"solicitation", igmp("192.0.2.1", "224.0.0.2", []byte{igmpMRDSolicit, 0, 0, 0}), "solicitation", "mrd", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			tt := newTable(t, nil, 1)
			kept := slices.Clone(row.ip)
			tt.hear(1, row.ip)
			s := tt.Stats().Ports[1]
			if diff := cmp.Diff(map[MessageKind]uint64{{row.typ, row.version}: 1}, s.Messages); diff != "" || len(s.Errors) > 0 {
				t.Errorf("errors %v, messages (-want +got):\n%s", s.Errors, diff)
			}
			if len(tt.groups) != row.groups {
				t.Errorf("%d groups, want %d", len(tt.groups), row.groups)
			}
			if !bytes.Equal(kept, row.ip) {
				t.Error("it changed the packet")
			}
			checkTable(t, tt.Table)
		})
	}
}

func TestHeaderPolicies(t *testing.T) {
	plain := slices.Clone(v2Report("192.0.2.1", "233.252.0.1"))
	plain = append(plain[:20:20], plain[24:]...) // no Router Alert
	plain[0], plain[3], plain[8] = 0x45, 28, 7
	fixIPv4(plain)
	for _, row := range []struct {
		ttl, alert      Check
		errors, flagged map[string]uint64
	}{
		{CheckOff, CheckOff, map[string]uint64{}, map[string]uint64{}},
		{CheckCount, CheckCount, map[string]uint64{}, map[string]uint64{"bad_ttl": 1, "no_router_alert": 1}},
		{CheckDrop, CheckCount, map[string]uint64{"bad_ttl": 1}, map[string]uint64{}},
		{CheckOff, CheckDrop, map[string]uint64{"no_router_alert": 1}, map[string]uint64{}},
	} {
		tt := newTable(t, func(c *Config) { c.TTLCheck, c.RouterAlertCheck = row.ttl, row.alert }, 1)
		tt.hear(1, plain)
		s := tt.Stats().Ports[1]
		if diff := cmp.Diff(row.errors, s.Errors) + cmp.Diff(row.flagged, s.Flagged); diff != "" {
			t.Errorf("ttl %s, alert %s (-want +got):\n%s", row.ttl, row.alert, diff)
		}
		if want := 1 - len(row.errors); len(tt.groups) != want {
			t.Errorf("ttl %s, alert %s: %d groups, want %d", row.ttl, row.alert, len(tt.groups), want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Fatalf("default: %v", err)
	}
	for want, change := range map[string]func(*Config){
		`querier mode "maybe" is not auto, on or off`:                    func(c *Config) { c.Querier = "maybe" },
		`ttl check "x" is not off, count or drop`:                        func(c *Config) { c.TTLCheck = "x" },
		"igmp version 4 is not between 1 and 3":                          func(c *Config) { c.IGMPVersion = 4 },
		"robustness 0 is not between 1 and 7":                            func(c *Config) { c.Robustness = 0 },
		"groups limit 0 is not between 1 and 1048576":                    func(c *Config) { c.Limits.Groups = 0 },
		"query interval 1ms is not between 1s and 8h49m4s":               func(c *Config) { c.QueryInterval = time.Millisecond },
		"query response interval 10s is not below the query interval 5s": func(c *Config) { c.QueryInterval = 5 * time.Second },
		"allowed prefix 10.0.0.0/8 is not multicast":                     func(c *Config) { c.Allow = append(c.Allow, prefix("10.0.0.0/8")) },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}
