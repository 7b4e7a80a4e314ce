package bpf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// handedOver is the outcome of a membership message from port 1: handed to the
// agent from its IP header on, and copied to ports.
func (r *rig) handedOver(f bpftest.Frame, vlan VLAN, ports ...int) outcome {
	frame := f.Bytes()
	header := 14 + 4*len(f.Tags)
	o := outcome{
		Action: next,
		State: state{
			Ports: map[string]portCount{"p1": {Seen: 1, Passed: 1, Control: 1}},
			Pairs: map[string]count{},
		},
		Messages: []Message{{
			Ifindex: r.ports[1].Index(), VLAN: vlan, SrcMAC: f.SrcMAC, IP: frame[header : len(frame)-f.Pad],
		}},
		Delivered: map[string][]string{},
	}
	if len(ports) > 0 {
		o.State.Ports["p1"] = portCount{Seen: 1, Forwarded: 1, Control: 1}
	}
	for _, p := range ports {
		name := fmt.Sprint("p", p)
		o.State.Pairs["* "+name] = count{1, uint64(len(frame))}
		o.Delivered[name] = []string{fmt.Sprintf("%x", frame)}
	}
	return o
}

// controlRig has a router behind port 3, untagged and in VLAN 5.
func controlRig(t *testing.T, change ...func(*Options)) *rig {
	r := newRig(t, 3, change...)
	for _, vlan := range []VLAN{0, MakeVLAN(5, 0)} {
		err := r.d.Tables.SetSegment(SegmentKey{VLAN: vlan}, Segment{QuerierV4: true, QuerierV6: true, Routers: r.at(1, 3)})
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// report3 is an IGMPv3 report of TO_EX{} for n groups.
func report3(n int) []byte {
	m := []byte{0x22, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(m[6:], uint16(n))
	for i := range n {
		m = append(m, 4, 0, 0, 0, 239, 1, byte(i>>8), byte(i))
	}
	return m
}

var (
	toRouters = []int{3}
	toAll     = []int{2, 3}
)

func TestMembershipMessages(t *testing.T) {
	r := controlRig(t)
	igmp := func(to string, typ byte) bpftest.Frame {
		return bpftest.IGMP("192.0.2.7", to, []byte{typ, 0, 0, 0, 239, 1, 1, 1})
	}
	mld := func(to string, typ byte) bpftest.Frame {
		m := append([]byte{typ, 0, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{0xff}, 16)...)
		return bpftest.MLD("fe80::7", to, m)
	}
	tag := []bpftest.Tag{{Protocol: 0x8100, ID: 5}}
	for _, row := range []struct {
		name  string
		vlan  VLAN
		frame bpftest.Frame
		ports []int
	}{
		{"IGMPv1 report", 0, igmp("239.1.1.1", 0x12), toRouters},
		{"IGMPv2 report", 0, igmp("239.1.1.1", 0x16), toRouters},
		{"IGMPv2 leave", 0, igmp("224.0.0.2", 0x17), toRouters},
		{"IGMPv3 report", 0, bpftest.IGMP("192.0.2.7", "224.0.0.22", report3(1)), toRouters},
		{"IGMP query", 0, igmp("224.0.0.1", 0x11), toAll},
		{"group-specific query", 0, igmp("239.1.1.1", 0x11), toAll},
		{"DVMRP", 0, igmp("224.0.0.4", 0x13), toAll},
		{"unknown IGMP type", 0, igmp("224.0.0.1", 0x99), toAll},
		{"report from 0.0.0.0", 0, bpftest.IGMP("0.0.0.0", "224.0.0.22", report3(1)), toRouters},
		{"report with TTL 64", 0, with(igmp("239.1.1.1", 0x16), func(f *bpftest.Frame) { f.TTL = 64 }), toRouters},
		{"report without options", 0, with(igmp("239.1.1.1", 0x16), func(f *bpftest.Frame) { f.Options = nil }), toRouters},
		{"report with all options", 0, with(igmp("239.1.1.1", 0x16), func(f *bpftest.Frame) {
			f.Options = append([]byte{0x94, 4, 0, 0}, bytes.Repeat([]byte{1}, 36)...)
		}), toRouters},
		{"padded to an Ethernet frame", 0, with(igmp("239.1.1.1", 0x16), func(f *bpftest.Frame) { f.Options, f.Pad = nil, 18 }), toRouters},
		{"report in a VLAN", MakeVLAN(5, 0), with(igmp("239.1.1.1", 0x16), func(f *bpftest.Frame) { f.Tags = tag }), toRouters},
		{"query in a VLAN", MakeVLAN(5, 0), with(igmp("224.0.0.1", 0x11), func(f *bpftest.Frame) { f.Tags = tag }), toAll},
		{"report in a VLAN without routers", MakeVLAN(6, 0), with(igmp("239.1.1.1", 0x16), func(f *bpftest.Frame) {
			f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 6}}
		}), nil},
		{"report of 9 bytes", 0, bpftest.IGMP("192.0.2.7", "224.0.0.22", append(report3(0), 1)), toRouters},
		{"report of 10 bytes", 0, bpftest.IGMP("192.0.2.7", "224.0.0.22", append(report3(0), 1, 2)), toRouters},
		{"report of 11 bytes", 0, bpftest.IGMP("192.0.2.7", "224.0.0.22", append(report3(0), 1, 2, 3)), toRouters},
		{"one byte", 0, with(bpftest.IGMP("192.0.2.7", "239.1.1.1", nil), func(f *bpftest.Frame) {
			f.Options, f.Payload = nil, []byte{0xff, 0xff}
		}), toAll},
		{"512 bytes with header", 0, bpftest.IGMP("192.0.2.7", "224.0.0.22", report3((512-24-8)/8)), toRouters},
		{"520 bytes with header", 0, bpftest.IGMP("192.0.2.7", "224.0.0.22", report3((520-24-8)/8)), toRouters},
		{"a whole Ethernet frame", 0, bpftest.IGMP("192.0.2.7", "224.0.0.22", report3(183)), toRouters},
		{"MLDv1 report", 0, mld("ff15::1", 131), toRouters},
		{"MLDv1 done", 0, mld("ff02::2", 132), toRouters},
		{"MLDv2 report", 0, mld("ff02::16", 143), toRouters},
		{"MLD query", 0, mld("ff02::1", 130), toAll},
		{"multicast router advertisement", 0, mld("ff02::6a", 151), toAll},
		{"MLD report from ::", 0, with(bpftest.MLD("::", "ff02::16", make([]byte, 0)), func(f *bpftest.Frame) {
			*f = bpftest.MLD("::", "ff02::16", []byte{143, 0, 0, 0, 0, 0, 0, 0})
		}), toRouters},
		{"MLD of 9 bytes", 0, bpftest.MLD("fe80::7", "ff02::16", []byte{143, 0, 0, 0, 0, 0, 0, 0, 9}), toRouters},
		{"MLD in a VLAN", MakeVLAN(5, 0), with(mld("ff02::16", 143), func(f *bpftest.Frame) { f.Tags = tag }), toRouters},
		{"long MLD report", 0, bpftest.MLD("fe80::7", "ff02::16", append([]byte{143, 0, 0, 0, 0, 0, 0, 70}, bytes.Repeat([]byte{4, 0, 0, 0, 0xff}, 280)...)), toRouters},
		{"PIM hello", 0, with(igmp("224.0.0.13", 0x20), func(f *bpftest.Frame) { f.Protocol = 103 }), toAll},
		{"PIM hello, IPv6", 0, with(mld("ff02::d", 0x20), func(f *bpftest.Frame) { f.Protocol = 103 }), toAll},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			r.check(t, row.frame.Bytes(), r.handedOver(row.frame, row.vlan, row.ports...))
		})
	}
}

// TestBrokenMembershipMessages: handed over, for the agent to count what is
// wrong, and not forwarded.
func TestBrokenMembershipMessages(t *testing.T) {
	good := func(to string) bpftest.Frame {
		return bpftest.IGMP("192.0.2.7", to, []byte{0x16, 0, 0, 0, 239, 1, 1, 1})
	}
	mld := func(to string) bpftest.Frame {
		return bpftest.MLD("fe80::7", to, []byte{143, 0, 0, 0, 0, 0, 0, 0})
	}
	flip := func(f bpftest.Frame, at int) bpftest.Frame {
		f.Break = func(ip []byte) []byte { ip[at] ^= 1; return ip }
		return f
	}
	r := controlRig(t)
	for _, row := range []struct {
		name, reason string
		truncated    bool
		frame        bpftest.Frame
	}{
		{"IGMP checksum", "bad_checksum", false, flip(good("239.9.0.1"), 24+2)},
		{"IP header checksum", "bad_checksum", false, flip(good("239.9.0.2"), 10)},
		{"errors that cancel out", "bad_checksum", false, with(good("239.9.0.3"), func(f *bpftest.Frame) {
			f.Break = func(ip []byte) []byte { ip[11]++; ip[24+3]--; return ip }
		})},
		{"MLD checksum", "bad_checksum", false, flip(mld("ff15::9:1"), 48+2)},
		{"MLD checksum of another sender", "bad_checksum", false, with(mld("ff15::9:2"), func(f *bpftest.Frame) {
			f.Source = netip.MustParseAddr("fe80::8")
		})},
		{"truncated IGMP", "bad_checksum", true, with(good("239.9.0.4"), func(f *bpftest.Frame) {
			f.Break = func(ip []byte) []byte { return ip[:len(ip)-2] }
		})},
		{"truncated MLD", "bad_checksum", true, with(mld("ff15::9:3"), func(f *bpftest.Frame) {
			f.Break = func(ip []byte) []byte { return ip[:len(ip)-2] }
		})},
		{"IP header cut in its options", "bad_checksum", true, with(good("239.9.0.5"), func(f *bpftest.Frame) {
			f.Break = func(ip []byte) []byte { return ip[:22] }
		})},
		{"no message at all", "bad_checksum", false, with(good("239.9.0.6"), func(f *bpftest.Frame) { f.Payload = nil })},
		{"no message but padding", "bad_checksum", false, with(good("239.9.0.7"), func(f *bpftest.Frame) { f.Payload, f.Pad = nil, 22 })},
		{"first fragment", "control_fragment", false, with(good("239.9.0.8"), func(f *bpftest.Frame) { f.MoreFragments = true })},
		{"later fragment", "control_fragment", false, with(good("239.9.0.9"), func(f *bpftest.Frame) { f.FragmentOffset = 8 })},
		{"later fragment that sums up to nothing", "control_fragment", false, with(good("239.9.0.10"), func(f *bpftest.Frame) {
			f.FragmentOffset, f.Payload = 8, []byte{1, 2, 3}
		})},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			s := subject{row.frame.Source.String(), row.frame.Group.String()}
			want := droppedFor(s, row.reason, row.frame.Bytes())
			want.State.Ports["p1"] = portCount{Seen: 1, Dropped: 1, Control: 1}
			want.Messages = r.handedOver(row.frame, 0).Messages
			want.Messages[0].Truncated = row.truncated
			r.check(t, row.frame.Bytes(), want)
		})
	}
}

// TestNotMembershipMessages: what looks like one and is data.
func TestNotMembershipMessages(t *testing.T) {
	r := controlRig(t)
	r.setDomain(t, Domain{Unregistered: FloodUnregistered})
	igmp := bpftest.IGMP("192.0.2.7", "239.1.1.1", []byte{0x16, 0, 0, 0, 239, 1, 1, 1})
	for _, row := range []struct {
		name  string
		frame bpftest.Frame
	}{
		{"neighbour solicitation", bpftest.MLD("fe80::7", "ff02::1:ff00:1", append([]byte{135, 0, 0, 0}, make([]byte, 20)...))},
		{"fragment of MLD", with(bpftest.MLD("fe80::7", "ff02::16", make([]byte, 8)), func(f *bpftest.Frame) { f.MoreFragments = true })},
		{"fragment of PIM", with(igmp, func(f *bpftest.Frame) { f.Protocol, f.MoreFragments = 103, true })},
		{"IGMP in IPv6", with(bpftest.UDP(sender6, "ff15::2", "x"), func(f *bpftest.Frame) { f.Protocol = 2 })},
		{"ICMPv6 in IPv4", with(bpftest.UDP(sender, "239.1.1.2", "x"), func(f *bpftest.Frame) { f.Protocol = 58 })},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			s := subject{row.frame.Source.String(), row.frame.Group.String()}
			r.check(t, row.frame.Bytes(), flooded(s, next, row.frame.Bytes(), 2, 3))
		})
	}
}

// TestLongMembershipMessage: a jumbo report is summed to its end.
func TestLongMembershipMessage(t *testing.T) {
	r := controlRig(t)
	r.setMTU(t, 9100)
	r.attach(t, 1)
	good := bpftest.IGMP("192.0.2.7", "224.0.0.22", report3(1121))
	r.checkSent(t, good.Bytes(), r.handedOver(good, 0, 3))

	bad := good
	bad.Break = func(ip []byte) []byte { ip[len(ip)-1] ^= 1; return ip }
	want := droppedFor(subject{"192.0.2.7", "224.0.0.22"}, "bad_checksum", bad.Bytes())
	want.State.Ports["p1"] = portCount{Seen: 1, Dropped: 1, Control: 1}
	want.Messages = r.handedOver(bad, 0).Messages
	r.checkSent(t, bad.Bytes(), want)
}

// TestMessageRate: a port that floods messages is cut off; others are not.
func TestMessageRate(t *testing.T) {
	r := controlRig(t)
	r.setDomain(t, Domain{MessagesPerSecond: 1})
	f := bpftest.IGMP("192.0.2.7", "239.1.1.1", []byte{0x16, 0, 0, 0, 239, 1, 1, 1})
	before := r.state(t)
	const sent = 20
	for range sent {
		r.run(t, 1, f.Bytes(), 1)
	}
	r.run(t, 2, f.Bytes(), 1)
	got := r.state(t).since(before)
	p1 := got.Ports["p1"]
	// A burst of one second is allowed on top of the message that is due.
	if p1.Control < 2 || p1.Control > 3 {
		t.Errorf("%d messages handed over, want 2, or 3 on a slow machine", p1.Control)
	}
	if p1.Seen != sent || p1.Forwarded != p1.Control || p1.Dropped != sent-p1.Control {
		t.Errorf("counted %+v", p1)
	}
	if d := got.Drops["rate_limited 239.1.1.1"]; d.Packets != p1.Dropped {
		t.Errorf("%d counted as rate_limited, want %d", d.Packets, p1.Dropped)
	}
	if p2 := got.Ports["p2"]; p2 != (portCount{Seen: 1, Forwarded: 1, Control: 1}) {
		t.Errorf("p2 counted %+v", p2)
	}
	data := bpftest.UDP(sender, "239.1.1.5", "x").Bytes()
	r.join(t, "239.1.1.5", 0, 2)
	r.check(t, data, forwardedTo(subject{sender, "239.1.1.5"}, consume, data, 1, 2))
}

// TestFullMessageRing: messages that the agent doesn't read are lost to it, and
// counted, and forwarded.
func TestFullMessageRing(t *testing.T) {
	r := controlRig(t, func(o *Options) { o.Settings.ControlRingBytes = 1 << 16 })
	f := bpftest.IGMP("192.0.2.7", "224.0.0.22", report3(150)).Bytes()
	const sent = 100
	for range sent {
		if got := r.run(t, 1, f, 1); got != next {
			t.Fatal(got)
		}
	}
	p1 := r.state(t).Ports["p1"]
	if p1.ControlLost == 0 || p1.Control+p1.ControlLost != sent || p1.Forwarded != sent {
		t.Errorf("counted %+v", p1)
	}
	if n := len(r.handed(t)); uint64(n) != p1.Control {
		t.Errorf("%d messages read, %d counted", n, p1.Control)
	}
	if got := len(r.delivered(t)["p3"]); got != sent {
		t.Errorf("%d messages at the router, want %d", got, sent)
	}
}
