package lab_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// The kernel accepts the forged membership messages: the bridge learns what they
// say. Those with a wrong checksum it ignores.
func TestKernelAcceptsForgedReports(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("forger")...)
	b := bridge(t, n, snooping)
	h := n.Host("forger")
	raw := openRaw(t, h)
	mac, source4, source6 := frame.MAC(h.MAC), netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7")
	igmp := frame.IGMP{SrcMAC: mac, Src: h.Addr4}
	mld := frame.MLD{SrcMAC: mac, Src: netip.MustParseAddr("fe80::1")}
	group := func(s string) netip.Addr { return netip.MustParseAddr(s) }
	wrong := func(m frame.Message) frame.Message {
		m.Corrupt = func(b []byte) { b[2] ^= 0xff }
		return m
	}
	write := func(frames ...[]byte) {
		t.Helper()
		if _, err := raw.WriteBatch(frames); err != nil {
			t.Fatal(err)
		}
	}

	tests := []struct {
		name    string
		frame   []byte
		group   netip.Addr
		include bool
		sources []netip.Addr
	}{
		{"IGMPv1 report", igmp.Wrap(frame.IGMPv1Or2(frame.IGMPv1Report, 0, group("239.0.0.1"))), group("239.0.0.1"), false, nil},
		{"IGMPv2 report", igmp.Wrap(frame.IGMPv1Or2(frame.IGMPv2Report, 0, group("239.0.0.2"))), group("239.0.0.2"), false, nil},
		{"IGMPv3 exclude", igmp.Wrap(frame.IGMPv3(frame.Record{Type: frame.ChangeToExclude, Group: group("239.0.0.3")})), group("239.0.0.3"), false, nil},
		{"IGMPv3 allow", igmp.Wrap(frame.IGMPv3(frame.Record{Type: frame.AllowNewSources, Group: group("232.0.0.4"), Sources: []netip.Addr{source4}})),
			group("232.0.0.4"), true, []netip.Addr{source4}},
		{"MLDv1 report", mld.Wrap(frame.MLDv1(frame.MLDv1Report, 0, group("ff15::1:1"))), group("ff15::1:1"), false, nil},
		{"MLDv2 exclude", mld.Wrap(frame.MLDv2(frame.Record{Type: frame.ChangeToExclude, Group: group("ff15::1:2")})), group("ff15::1:2"), false, nil},
		{"MLDv2 include", mld.Wrap(frame.MLDv2(frame.Record{Type: frame.ModeIsInclude, Group: group("ff3e::1:3"), Sources: []netip.Addr{source6}})),
			group("ff3e::1:3"), true, []netip.Addr{source6}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			write(tt.frame)
			waitFilter(t, b, tt.group, h.Port, tt.include, tt.sources...)
		})
	}

	t.Run("leaves", func(t *testing.T) {
		write(igmp.Wrap(frame.IGMPv1Or2(frame.IGMPv2Leave, 0, group("239.0.0.2"))),
			mld.Wrap(frame.MLDv1(frame.MLDv1Done, 0, group("ff15::1:1"))))
		waitPorts(t, b, group("239.0.0.2"))
		waitPorts(t, b, group("ff15::1:1"))
	})

	t.Run("wrong checksum", func(t *testing.T) {
		write(igmp.Wrap(wrong(frame.IGMPv1Or2(frame.IGMPv2Report, 0, group("239.9.0.1")))),
			igmp.Wrap(frame.IGMPv1Or2(frame.IGMPv2Report, 0, group("239.9.0.2"))),
			mld.Wrap(wrong(frame.MLDv1(frame.MLDv1Report, 0, group("ff15::9:1")))),
			mld.Wrap(frame.MLDv1(frame.MLDv1Report, 0, group("ff15::9:2"))))
		waitPorts(t, b, group("239.9.0.2"), h.Port) // frames stay in order
		waitPorts(t, b, group("ff15::9:2"), h.Port)
		waitPorts(t, b, group("239.9.0.1"))
		waitPorts(t, b, group("ff15::9:1"))
	})

	t.Run("query makes a router port", func(t *testing.T) {
		write(igmp.Wrap(frame.IGMPv3Query(frame.Query{MaxResp: 10, QRV: 2, QQIC: 125})))
		var ports []string
		_, err := b.WaitMDB(deadline(t), func([]lab.MDBEntry) bool {
			var err error
			ports, err = b.RouterPorts()
			return err == nil && slices.Equal(ports, []string{h.Port})
		})
		if err != nil {
			t.Fatalf("router ports = %v, want %s: %v", ports, h.Port, err)
		}
	})
}

// The kernel's sockets accept forged data, whole and in fragments.
func TestKernelAcceptsForgedData(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("forger", "sub")...)
	bridge(t, n, lab.BridgeConfig{})
	h := n.Host("forger")
	raw := openRaw(t, h)
	const stream, size = 7, 3000
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			r := listen(t, n.Host("sub"), lab.ListenConfig{Group: f.any})
			src := f.addressOf(h)
			ethernet := frame.Ethernet{Dst: frame.GroupMAC(f.any), Src: frame.MAC(h.MAC)}
			datagram := func(seq uint64, size int) []byte {
				return frame.UDP{SrcPort: 9, DstPort: port}.Wrap(src, f.any, lab.Payload(stream, seq, size))
			}
			hopByHop := []frame.Extension{{Protocol: frame.ProtocolHopByHop, Data: frame.RouterAlert6}}
			plain := frame.IPv4{Src: src, Dst: f.any, TTL: 5, Protocol: frame.ProtocolUDP, Options: frame.RouterAlert4}.Wrap(datagram(1, 100))
			parts := frame.IPv4{Src: src, Dst: f.any, TTL: 5, Protocol: frame.ProtocolUDP, ID: 4}.Fragments(datagram(2, size), 1024)
			if f.any.Is6() {
				plain = frame.IPv6{Src: src, Dst: f.any, HopLimit: 5, Next: frame.ProtocolUDP, Extensions: hopByHop}.Wrap(datagram(1, 100))
				parts = frame.IPv6{Src: src, Dst: f.any, HopLimit: 5, Next: frame.ProtocolUDP}.Fragments(datagram(2, size), 1024, 4)
			}
			frames := [][]byte{
				frame.MulticastUDP(frame.MAC(h.MAC), netip.AddrPortFrom(src, 9), netip.AddrPortFrom(f.any, port), lab.Payload(stream, 0, 50)),
				ethernet.Wrap(plain),
			}
			for _, p := range parts {
				frames = append(frames, ethernet.Wrap(p))
			}
			bad := bytes.Clone(frames[0])
			bad[len(bad)-1] ^= 1 // the kernel drops it for its checksum
			if _, err := raw.WriteBatch(append(frames, bad)); err != nil {
				t.Fatal(err)
			}
			if err := r.Wait(deadline(t), 3); err != nil {
				t.Error(err)
			}
			settle(t, n)
			assertIntact(t, r, 3)
		})
	}
}
