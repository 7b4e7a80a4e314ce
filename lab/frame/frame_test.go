package frame_test

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/lab/frame"
)

var (
	mac    = frame.MAC{0x02, 0, 0x5e, 0, 0, 1}
	host4  = netip.MustParseAddr("192.0.2.1")
	host6  = netip.MustParseAddr("fe80::1")
	group4 = netip.MustParseAddr("233.252.0.1")
	group6 = netip.MustParseAddr("ff15::8000:1")
)

// Each frame byte for byte. The checksums come from another implementation.
func TestGolden(t *testing.T) {
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"UDP over IPv4",
			frame.MulticastUDP(mac, netip.AddrPortFrom(host4, 4000), netip.AddrPortFrom(group4, 5000), []byte("abc")), `
			01005e7c0001 02005e000001 0800
			4500001f 0000 0000 10 11 fecf c0000201 e9fc0001
			0fa0 1388 000b 6c4e 616263`},
		{"UDP over IPv6 with QinQ",
			frame.Ethernet{Dst: frame.GroupMAC(group6), Src: mac, Tags: []frame.Tag{{Type: frame.TypeQinQ, VLAN: 200}, {VLAN: 100}}}.Wrap(
				frame.Packet(host6, group6, frame.ProtocolUDP, frame.UDP{SrcPort: 1, DstPort: 2}.Wrap(host6, group6, nil))), `
			333380000001 02005e000001 88a8 00c8 8100 0064 86dd
			60000000 0008 11 10 fe800000000000000000000000000001 ff150000000000000000000080000001
			0001 0002 0008 8242`},
		{"IGMPv2 report", frame.IGMP{SrcMAC: mac, Src: host4}.Wrap(frame.IGMPv1Or2(frame.IGMPv2Report, 0, group4)), `
			01005e7c0001 02005e000001 0800
			46c00020 0000 0000 01 02 7819 c0000201 e9fc0001 94040000
			16 00 0002 e9fc0001`},
		{"IGMPv2 leave", frame.IGMP{SrcMAC: mac, Src: host4}.Wrap(frame.IGMPv1Or2(frame.IGMPv2Leave, 0, group4)), `
			01005e000002 02005e000001 0800
			46c00020 0000 0000 01 02 8214 c0000201 e0000002 94040000
			17 00 ff01 e9fc0001`},
		{"IGMPv2 general query", frame.IGMP{SrcMAC: mac, Src: host4}.Wrap(frame.IGMPv1Or2(frame.IGMPQuery, 100, netip.Addr{})), `
			01005e000001 02005e000001 0800
			46c00020 0000 0000 01 02 8215 c0000201 e0000001 94040000
			11 64 ee9b 00000000`},
		{"IGMPv3 query", frame.IGMP{SrcMAC: mac, Src: host4}.Wrap(frame.IGMPv3Query(frame.Query{
			Group: group4, Sources: []netip.Addr{host4}, MaxResp: 10, Suppress: true, QRV: 2, QQIC: 125})), `
			01005e7c0001 02005e000001 0800
			46c00028 0000 0000 01 02 7811 c0000201 e9fc0001 94040000
			11 0a 3878 e9fc0001 0a 7d 0001 c0000201`},
		{"IGMPv3 report", frame.IGMP{SrcMAC: mac, Src: host4}.Wrap(frame.IGMPv3(
			frame.Record{Type: frame.AllowNewSources, Group: group4, Sources: []netip.Addr{host4}},
			frame.Record{Type: frame.ChangeToExclude, Group: group4, Aux: []byte{1, 2, 3, 4}})), `
			01005e000016 02005e000001 0800
			46c00038 0000 0000 01 02 81e8 c0000201 e0000016 94040000
			22 00 3af8 0000 0002
			05 00 0001 e9fc0001 c0000201
			04 01 0000 e9fc0001 01020304`},
		{"MLDv1 report", frame.MLD{SrcMAC: mac, Src: host6}.Wrap(frame.MLDv1(frame.MLDv1Report, 0, group6)), `
			333380000001 02005e000001 86dd
			60000000 0020 00 01 fe800000000000000000000000000001 ff150000000000000000000080000001
			3a00 0502 0000 0100
			83 00 7ffc 0000 0000 ff150000000000000000000080000001`},
		{"MLDv1 done", frame.MLD{SrcMAC: mac, Src: host6}.Wrap(frame.MLDv1(frame.MLDv1Done, 0, group6)), `
			333300000002 02005e000001 86dd
			60000000 0020 00 01 fe800000000000000000000000000001 ff020000000000000000000000000002
			3a00 0502 0000 0100
			84 00 ff0e 0000 0000 ff150000000000000000000080000001`},
		{"MLDv2 general query", frame.MLD{SrcMAC: mac, Src: host6}.Wrap(frame.MLDv2Query(frame.Query{MaxResp: 10000, QRV: 2, QQIC: 125})), `
			333300000001 02005e000001 86dd
			60000000 0024 00 01 fe800000000000000000000000000001 ff020000000000000000000000000001
			3a00 0502 0000 0100
			82 00 5696 2710 0000 00000000000000000000000000000000 02 7d 0000`},
		{"MLDv2 report", frame.MLD{SrcMAC: mac, Src: host6}.Wrap(frame.MLDv2(
			frame.Record{Type: frame.BlockOldSources, Group: group6, Sources: []netip.Addr{host6}})), `
			333300000016 02005e000001 86dd
			60000000 0034 00 01 fe800000000000000000000000000001 ff020000000000000000000000000016
			3a00 0502 0000 0100
			8f 00 ef62 0000 0001
			06 00 0001 ff150000000000000000000080000001 fe800000000000000000000000000001`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := strings.Join(strings.Fields(tt.want), "")
			if diff := cmp.Diff(want, hex.EncodeToString(tt.got)); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

// Fragments hold the payload once, in order, and say so.
func TestFragments(t *testing.T) {
	payload := bytes.Repeat([]byte{1, 2, 3, 4, 5, 6, 7}, 3) // 21 bytes
	v4 := frame.IPv4{Src: host4, Dst: group4, TTL: 9, Protocol: frame.ProtocolUDP, ID: 77}.Fragments(payload, 8)
	v6 := frame.IPv6{Src: host6, Dst: group6, HopLimit: 9, Next: frame.ProtocolUDP}.Fragments(payload, 8, 77)
	tests := []struct {
		name    string
		packets [][]byte
		headers int
		fields  []string // flags and offset, then the id
		at      int
	}{
		{"IPv4", v4, 20, []string{"004d2000", "004d2001", "004d0002"}, 4},
		{"IPv6", v6, 48, []string{"11000001", "11000009", "11000010"}, 40},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var whole []byte
			var fields []string
			for _, p := range tt.packets {
				whole = append(whole, p[tt.headers:]...)
				fields = append(fields, hex.EncodeToString(p[tt.at:tt.at+4]))
			}
			if diff := cmp.Diff(payload, whole); diff != "" {
				t.Errorf("payload (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

// Mutate leaves the checksum right, Corrupt leaves it as it was.
func TestMutateAndCorrupt(t *testing.T) {
	const ipHeader, message = 14, 14 + 24
	report := frame.IGMPv1Or2(frame.IGMPv2Report, 0, group4)
	change := func(b []byte) { b[1] ^= 0xff }
	mutated, corrupted := report, report
	mutated.Mutate, corrupted.Corrupt = change, change
	tests := []struct {
		name              string
		frame             []byte
		ipValid, msgValid bool
	}{
		{"plain", frame.IGMP{Src: host4}.Wrap(report), true, true},
		{"message mutated", frame.IGMP{Src: host4}.Wrap(mutated), true, true},
		{"message corrupted", frame.IGMP{Src: host4}.Wrap(corrupted), true, false},
		{"header mutated", frame.IGMP{Src: host4, Mutate: change}.Wrap(report), true, true},
		{"header corrupted", frame.IGMP{Src: host4, Corrupt: change}.Wrap(report), false, true},
	}
	plain := tests[0].frame
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := frame.Checksum(tt.frame[ipHeader:message]) == 0; got != tt.ipValid {
				t.Errorf("header checksum valid = %t, want %t", got, tt.ipValid)
			}
			if got := frame.Checksum(tt.frame[message:]) == 0; got != tt.msgValid {
				t.Errorf("message checksum valid = %t, want %t", got, tt.msgValid)
			}
			if tt.name != "plain" && bytes.Equal(plain, tt.frame) {
				t.Error("nothing changed")
			}
		})
	}
}

// A whole UDP checksum verifies to zero over its pseudo header, and is never 0
// itself, which would say that there is none.
func TestUDPChecksum(t *testing.T) {
	for last := range 1 << 16 {
		b := frame.UDP{SrcPort: 1, DstPort: 2}.Wrap(host4, group4, []byte{byte(last >> 8), byte(last)})
		if b[6] == 0 && b[7] == 0 {
			t.Fatalf("payload %#04x: checksum 0", last)
		}
	}
	if b := (frame.UDP{NoChecksum: true}).Wrap(host4, group4, []byte{1}); b[6] != 0 || b[7] != 0 {
		t.Errorf("checksum % x with NoChecksum", b[6:8])
	}
}
