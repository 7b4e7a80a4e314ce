package bpf

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

const (
	sender  = "192.0.2.10"
	sender6 = "2001:db8::10"
)

// TestForwardedFrames: what is copied, byte for byte, whatever headers it has.
func TestForwardedFrames(t *testing.T) {
	r := newRig(t, 3)
	udp4 := func(group string) bpftest.Frame { return bpftest.UDP(sender, group, "hello, group") }
	udp6 := func(group string) bpftest.Frame { return bpftest.UDP(sender6, group, "hello, group") }
	single := bpftest.Tag{Protocol: 0x8100, ID: 5}
	service := bpftest.Tag{Protocol: 0x88a8, ID: 100}
	priority := bpftest.Tag{Protocol: 0x8100, ID: 3 << 13}
	for _, row := range []struct {
		name   string
		vlan   VLAN
		action string
		frame  bpftest.Frame
	}{
		{"IPv4", 0, consume, udp4("239.1.1.1")},
		{"IPv6", 0, consume, udp6("ff15::1")},
		{"empty datagram", 0, consume, bpftest.UDP(sender, "239.1.1.2", "")},
		{"source-specific", 0, consume, udp4("232.1.1.3")},
		{"padding is copied", 0, consume, with(udp4("239.1.1.4"), func(f *bpftest.Frame) { f.Pad = 6 })},
		{"TTL 1 is no obstacle on a segment", 0, consume, with(udp4("239.1.1.5"), func(f *bpftest.Frame) { f.TTL = 1 })},
		{"every IPv4 option byte", 0, consume, with(udp4("239.1.1.6"), func(f *bpftest.Frame) {
			f.Options = append([]byte{7, 39, 4}, make([]byte, 37)...)
		})},
		{"protocol other than UDP goes to the host too", 0, next, with(udp4("239.1.1.7"), func(f *bpftest.Frame) { f.Protocol = 47 })},
		{"first fragment", 0, next, with(udp4("239.1.1.8"), func(f *bpftest.Frame) { f.MoreFragments = true })},
		{"later fragment", 0, next, with(udp4("239.1.1.9"), func(f *bpftest.Frame) { f.FragmentOffset = 1480 })},
		{"no room for ports", 0, next, with(udp4("239.1.1.10"), func(f *bpftest.Frame) { f.Payload = f.Payload[:2] })},
		{"IP says more than the frame has", 0, consume, with(udp4("239.1.1.11"), func(f *bpftest.Frame) {
			f.Break = func(ip []byte) []byte { return ip[:len(ip)-6] }
		})},
		{"802.1Q", MakeVLAN(5, 0), consume, with(udp4("239.1.2.1"), func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{single} })},
		{"802.1Q, IPv6", MakeVLAN(5, 0), consume, with(udp6("ff15::2:1"), func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{single} })},
		{"QinQ", MakeVLAN(100, 5), consume, with(udp4("239.1.2.2"), func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{service, single} })},
		{"priority tag is no VLAN", 0, consume, with(udp4("239.1.2.3"), func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{priority} })},
		{"VLAN inside a priority tag", MakeVLAN(5, 0), consume, with(udp4("239.1.2.4"), func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{priority, single} })},
		{"priority tag inside a VLAN", MakeVLAN(5, 0), consume, with(udp4("239.1.2.5"), func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{single, priority} })},
		{"the priority bits of a VLAN's tag", MakeVLAN(5, 0), consume, with(udp4("239.1.2.6"), func(f *bpftest.Frame) {
			f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 5<<13 | 5}}
		})},
		{"IPv6 hop-by-hop", 0, consume, with(udp6("ff15::3:1"), func(f *bpftest.Frame) {
			f.Extensions = []bpftest.Extension{{Type: 0, Body: []byte{0, 1, 4, 0, 0, 0, 0}}}
		})},
		{"IPv6 routing, options, authentication", 0, consume, with(udp6("ff15::3:2"), func(f *bpftest.Frame) {
			f.Extensions = []bpftest.Extension{
				{Type: 43, Body: []byte{0, 0, 0, 0, 0, 0, 0}},
				{Type: 60, Body: append([]byte{1, 1, 12}, make([]byte, 12)...)},
				{Type: 51, Body: append([]byte{4}, make([]byte, 22)...)},
			}
		})},
		{"IPv6 first fragment", 0, next, with(udp6("ff15::3:3"), func(f *bpftest.Frame) { f.MoreFragments = true })},
		{"IPv6 later fragment", 0, next, with(udp6("ff15::3:4"), func(f *bpftest.Frame) { f.FragmentOffset = 1232 })},
		{"more IPv6 headers than are followed", 0, next, with(udp6("ff15::3:5"), func(f *bpftest.Frame) {
			for range MaxExtensionsFollowed + 1 {
				f.Extensions = append(f.Extensions, bpftest.Extension{Type: 60, Body: []byte{0, 1, 4, 0, 0, 0, 0}})
			}
		})},
		{"IPv6 header that ends in the middle", 0, next, with(udp6("ff15::3:6"), func(f *bpftest.Frame) {
			f.Extensions = []bpftest.Extension{{Type: 60, Body: append([]byte{200}, make([]byte, 6)...)}}
		})},
		{"no IPv6 next header", 0, next, with(udp6("ff15::3:7"), func(f *bpftest.Frame) { f.Protocol, f.Payload = 59, nil })},
		{"wide IPv6 scope", 0, consume, udp6("ff0e::1")},
		{"link-local IPv6 group, joined", 0, consume, udp6("ff02::fb")},
		{"source address 0:: of IPv6", 0, consume, bpftest.UDP("::", "ff15::4:1", "x")},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			group := row.frame.Group.String()
			r.join(t, group, row.vlan, 2, 3)
			s := subject{row.frame.Source.String(), groupName(GroupKey{VLAN: row.vlan, Group: row.frame.Group})}
			if !row.frame.Source.IsUnspecified() {
				r.check(t, row.frame.Bytes(), forwardedTo(s, row.action, row.frame.Bytes(), 1, 2, 3))
				return
			}
			s.source = "*" // no source of its own
			r.check(t, row.frame.Bytes(), forwardedTo(s, row.action, row.frame.Bytes(), 1, 2, 3))
		})
	}
}

// MaxExtensionsFollowed is MAX_EXTENSIONS of parsing.h.
const MaxExtensionsFollowed = 8

// TestDroppedFrames: each reason, and nothing is copied.
func TestDroppedFrames(t *testing.T) {
	r := newRig(t, 3)
	r.setDomain(t, Domain{
		Unregistered: DropUnregistered,
		Allow:        []netip.Prefix{netip.MustParsePrefix("239.0.0.0/8"), netip.MustParsePrefix("ff10::/12")},
	})
	udp4 := func(source, group string) bpftest.Frame { return bpftest.UDP(source, group, "x") }
	breaks := func(f bpftest.Frame, change func(ip []byte)) bpftest.Frame {
		f.Break = func(ip []byte) []byte { change(ip); return ip }
		return f
	}
	for i, row := range []struct {
		name   string
		reason string
		frame  bpftest.Frame
	}{
		{"nobody joined", "unregistered", udp4(sender, "239.2.0.1")},
		{"nobody joined, IPv6", "unregistered", udp4(sender6, "ff15::1")},
		{"not allowed", "not_allowed", udp4(sender, "238.1.1.1")},
		{"not allowed, IPv6", "not_allowed", udp4(sender6, "ff0e::1")},
		{"TTL 0", "ttl", with(udp4(sender, "239.2.0.2"), func(f *bpftest.Frame) { f.TTL = 0 })},
		{"hop limit 0", "ttl", with(udp4(sender6, "ff15::2"), func(f *bpftest.Frame) { f.TTL = 0 })},
		{"source unspecified", "bad_source", udp4("0.0.0.0", "239.2.0.3")},
		{"source is a group", "bad_source", udp4("239.9.9.9", "239.2.0.4")},
		{"source is the broadcast address", "bad_source", udp4("255.255.255.255", "239.2.0.5")},
		{"source is a group, IPv6", "bad_source", udp4("ff15::9", "ff15::3")},
		{"interface-local scope", "scope", udp4(sender6, "ff01::1")},
		{"interface-local scope with flags", "scope", udp4(sender6, "ff11::1")},
		{"scope 0", "scope", udp4(sender6, "ff10::1")},
		{"IPv4 header length below 5", "malformed", breaks(udp4(sender, "239.2.0.6"), func(ip []byte) { ip[0] = 0x44 })},
		{"version 5", "malformed", breaks(udp4(sender, "239.2.0.7"), func(ip []byte) { ip[0] = 0x55 })},
		{"total length below the header's", "malformed", breaks(udp4(sender, "239.2.0.8"), func(ip []byte) { ip[2], ip[3] = 0, 19 })},
		{"version 7 in IPv6", "malformed", breaks(udp4(sender6, "ff15::4"), func(ip []byte) { ip[0] = 0x70 })},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			if row.reason != "unregistered" && row.reason != "not_allowed" {
				r.join(t, row.frame.Group.String(), 0, 2, 3) // members don't matter
			}
			s := subject{row.frame.Source.String(), row.frame.Group.String()}
			frame := row.frame.Bytes()
			r.check(t, frame, droppedFor(s, row.reason, frame))
			if i > 0 {
				return
			}
			// GSO: counted as the datagrams, and their frames, that it holds.
			want := droppedFor(s, row.reason, frame)
			want.State.Ports["p1"] = portCount{Seen: 3, Dropped: 3}
			want.State.Drops[row.reason+" "+s.group] = count{3, uint64(len(frame)) + 2*(14+20+8)}
			want.State.Produced, want.Events = nil, nil // held back by the budget
			if diff := r.observe(t, 1, frame, 3).diff(want); diff != "" {
				t.Errorf("GSO (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUntouchedFrames: what is not multicast IP goes to the stack, whole.
func TestUntouchedFrames(t *testing.T) {
	r := newRig(t, 2)
	r.setDomain(t, Domain{Unregistered: FloodUnregistered})
	tag := bpftest.Tag{Protocol: 0x8100, ID: 5}
	udp := bpftest.UDP(sender, "239.3.0.1", "x")
	arp := append(append([]byte(strings.Repeat("\xff", 6)), bpftest.SenderMAC[:]...), 8, 6)
	for _, row := range []struct {
		name  string
		frame []byte
	}{
		{"ARP", append(arp, make([]byte, 46)...)},
		{"unicast IPv4", bpftest.Frame{DstMAC: [6]byte{2}, Source: udp.Source, Group: netip.MustParseAddr("192.0.2.1"), TTL: 9, Protocol: 17}.Bytes()},
		{"unicast IPv6", bpftest.Frame{DstMAC: [6]byte{2}, Source: udp.Source, Group: netip.MustParseAddr("2001:db8::1"), TTL: 9, Protocol: 17}.Bytes()},
		{"broadcast", bpftest.Frame{DstMAC: [6]byte{255, 255, 255, 255, 255, 255}, Source: udp.Source, Group: netip.MustParseAddr("255.255.255.255"), TTL: 9, Protocol: 17}.Bytes()},
		{"non-IP multicast", append([]byte{1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 38}, make([]byte, 38)...)},
		{"three tags", with(udp, func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{tag, tag, tag} }).Bytes()},
		{"tag cut short", with(udp, func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{tag} }).Bytes()[:16]},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			r.check(t, row.frame, untouched())
		})
	}
}
