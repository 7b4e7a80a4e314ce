package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestSentFrames: frames that come in through a real device, whose tags the
// stack has moved out of the packet, and sizes that a test run can't have.
func TestSentFrames(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprint("clsact ", clsact), func(t *testing.T) {
			r := newRig(t, 3, func(o *Options) { o.ForceClsact = clsact })
			if want := map[bool]string{false: "tcx", true: "clsact"}[clsact]; r.d.Hook() != want {
				t.Skipf("hook is %s: this kernel has no tcx", r.d.Hook())
			}
			r.setDomain(t, Domain{Unregistered: FloodUnregistered})
			r.setMTU(t, 9100)
			r.attach(t, 1)
			testSentFrames(t, r)
		})
	}
}

func testSentFrames(t *testing.T, r *rig) {
	udp4 := func(group string) bpftest.Frame { return bpftest.UDP(sender, group, "hello, group") }
	udp6 := func(group string) bpftest.Frame { return bpftest.UDP(sender6, group, "hello, group") }
	single, service := bpftest.Tag{Protocol: 0x8100, ID: 5}, bpftest.Tag{Protocol: 0x88a8, ID: 100}
	for _, row := range []struct {
		name  string
		vlan  VLAN
		frame bpftest.Frame
	}{
		{"IPv4", 0, udp4("239.1.1.1")},
		{"IPv6", 0, udp6("ff15::1")},
		{"802.1Q in metadata", MakeVLAN(5, 0), udp4("239.1.1.2")},
		{"802.1Q in metadata, IPv6", MakeVLAN(5, 0), udp6("ff15::2")},
		{"QinQ, outer tag in metadata", MakeVLAN(100, 5), udp4("239.1.1.3")},
		{"jumbo", 0, bpftest.UDP(sender, "239.1.1.4", strings.Repeat("j", 8972))},
		{"jumbo, IPv6, tagged", MakeVLAN(5, 0), bpftest.UDP(sender6, "ff15::4", strings.Repeat("j", 8900))},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			switch {
			case row.vlan.Inner() > 0:
				row.frame.Tags = []bpftest.Tag{service, single}
			case row.vlan > 0:
				row.frame.Tags = []bpftest.Tag{single}
			}
			r.join(t, row.frame.Group.String(), row.vlan, 2, 3)
			s := subject{row.frame.Source.String(), groupName(GroupKey{VLAN: row.vlan, Group: row.frame.Group})}
			frame := row.frame.Bytes()
			r.checkSent(t, frame, forwardedTo(s, "", frame, 1, 2, 3))
		})
	}
	for name, frame := range map[string][]byte{
		"Ethernet header alone": udp4("239.1.1.1").Bytes()[:14],
		"IPv4 header cut short": udp4("239.1.1.1").Bytes()[:14+19],
		"IPv6 header cut short": udp6("ff15::1").Bytes()[:14+39],
		"three tags":            with(udp4("239.1.1.1"), func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{service, single, single} }).Bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			r.ns.Enter(t)
			r.checkSent(t, frame, untouched())
		})
	}
}

// TestWrongMACIsMadeRight: the group's own Ethernet address is on every copy,
// whatever the sender used.
func TestWrongMACIsMadeRight(t *testing.T) {
	r := newRig(t, 2)
	for _, row := range []struct {
		name, group string
		mac         [6]byte
	}{
		{"unicast", "239.255.1.2", [6]byte{2, 0, 0, 0, 0, 1}},
		{"broadcast", "239.255.1.3", [6]byte{255, 255, 255, 255, 255, 255}},
		{"another group's", "239.255.1.4", [6]byte{0x01, 0, 0x5e, 1, 1, 1}},
		{"IPv6 with IPv4's", "ff15::1:2", [6]byte{0x01, 0, 0x5e, 1, 1, 1}},
		{"the 24th bit is none of it", "239.128.1.5", [6]byte{0x01, 0, 0x5e, 0x80, 1, 5}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			r.join(t, row.group, 0, 2)
			source := sender
			if strings.Contains(row.group, ":") {
				source = sender6
			}
			f := bpftest.UDP(source, row.group, "x")
			right := f.Bytes()
			f.DstMAC = row.mac
			r.check(t, f.Bytes(), forwardedTo(subject{source, row.group}, consume, right, 1, 2))
		})
	}
}

// TestNeverBackOut: the port that a packet came in on gets no copy, and is not
// counted as one.
func TestNeverBackOut(t *testing.T) {
	r := newRig(t, 3)
	r.join(t, "239.1.1.1", 0, 1, 2, 3)
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	r.check(t, frame, forwardedTo(subject{sender, "239.1.1.1"}, consume, frame, 1, 2, 3))

	r.join(t, "239.1.1.2", 0, 1)
	frame = bpftest.UDP(sender, "239.1.1.2", "x").Bytes()
	want := forwardedTo(subject{sender, "239.1.1.2"}, next, frame, 1)
	want.State.Ports["p1"] = portCount{Seen: 1, Passed: 1}
	r.check(t, frame, want)
}

// TestCopiesAreNotCopiedAgain: a copy that comes in on another port of the same
// datapath, through a cable between two ports, goes to the stack alone. A frame
// that a router has sent on, with its own MAC, is a new one.
func TestCopiesAreNotCopiedAgain(t *testing.T) {
	r := newRig(t, 2)
	// The far end of p2 becomes port 3, so p2 and p3 are one cable.
	far := uint32(r.ports[2].Far.Index)
	if err := r.d.Tables.SetPort(far, Port{Index: 3}); err != nil {
		t.Fatal(err)
	}
	r.setGroup(t, "239.1.1.1", 0, Forwarding{Any: []uint32{r.at(1)[0], r.at(2)[0], far}})
	r.attach(t, 1, 2)
	if err := r.d.AttachPort(far); err != nil {
		t.Fatal(err)
	}
	for _, source := range [][6]byte{bpftest.SenderMAC, {2, 0, 0, 0, 0, 0}, {2, 0, 0, 0, 0xff, 0xff}} {
		f := bpftest.UDP(sender, "239.1.1.1", "x")
		f.SrcMAC = source
		before := r.state(t)
		r.captures[1].Inject(t, f.Bytes())
		eventually(t, "both copies back", func() bool {
			c, err := r.d.PortCount(3)
			if err != nil {
				t.Fatal(err)
			}
			return c.Seen-c.Verdicts[wireVerdictVERDICT_PASSED] == 0 && c.Seen >= 1
		})
		r.delivered(t)
		got := r.state(t).since(before)
		if c := got.Ports["p1"]; c != (portCount{Seen: 1, Forwarded: 1}) {
			t.Errorf("source %x: p1 counted %+v", source, c)
		}
		// p2 sees the copy that was sent to the other end of its cable.
		if c := got.Ports["p2"]; c != (portCount{Seen: 1, Passed: 1}) {
			t.Errorf("source %x: p2 counted %+v", source, c)
		}
		if s := got.Streams[sender+">239.1.1.1"]; s.Packets != 1 || s.Copies != 2 {
			t.Errorf("source %x: stream counted %+v, want 1 packet and 2 copies", source, s)
		}
	}
}

// TestEverySenderIsForwarded: no Ethernet address looks like a loop. The tag of
// a looped copy depends on the sender's; untagged packets must never match.
func TestEverySenderIsForwarded(t *testing.T) {
	r := newRig(t, 2)
	r.join(t, "239.1.1.1", 0, 2)
	var meta wireMeta
	if err := r.d.maps["meta"].Lookup(uint32(0), &meta); err != nil {
		t.Fatal(err)
	}
	for _, diff := range []uint16{0, 1, 0xffff} {
		f := bpftest.UDP(sender, "239.1.1.1", "x")
		binary.LittleEndian.PutUint16(f.SrcMAC[4:], uint16(meta.Instance)^diff)
		if got := r.run(t, 1, f.Bytes(), 1); got != consume {
			t.Errorf("sender %x: %s, want %s", f.SrcMAC, got, consume)
		}
	}
}

// TestGSO: a super-packet is forwarded whole and counted as the datagrams that
// it holds and the bytes of their frames, tags included.
func TestGSO(t *testing.T) {
	r := newRig(t, 3)
	r.attach(t, 1)
	fd := segmentingSocket(t, r.ports[1].Far.Index)
	const size, datagrams, last = 1000, 7, 300 // the last datagram is shorter
	payload := strings.Repeat("g", (datagrams-1)*size+last)
	for _, row := range []struct {
		name  string
		vlan  VLAN
		frame bpftest.Frame
	}{
		{"untagged", 0, bpftest.UDP(sender, "239.1.1.1", payload)},
		{"tagged", MakeVLAN(5, 0), with(bpftest.UDP(sender, "239.1.1.2", payload), func(f *bpftest.Frame) {
			f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 5}}
		})},
		{"IPv6", 0, bpftest.UDP(sender6, "ff15::1", payload)},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			r.join(t, row.frame.Group.String(), row.vlan, 2, 3)
			r.delivered(t)
			before := r.state(t)
			frame := row.frame.Bytes()
			headers := len(frame) - len(payload)
			sendSegmented(t, fd, frame, headers-8, size)
			eventually(t, "packet seen", func() bool { return r.state(t).Ports["p1"].Seen > before.Ports["p1"].Seen })
			got := r.delivered(t)
			if len(got["p2"]) != 1 || len(got["p3"]) != 1 {
				t.Errorf("%d and %d frames arrived, want one super-packet each", len(got["p2"]), len(got["p3"]))
			}
			bytes := uint64(datagrams*headers + len(payload))
			group := groupName(GroupKey{VLAN: row.vlan, Group: row.frame.Group})
			want := state{
				Ports:    map[string]portCount{"p1": {Seen: datagrams, Forwarded: datagrams}},
				Streams:  map[string]streamCount{row.frame.Source.String() + ">" + group: {datagrams, bytes, 2 * datagrams, 2 * bytes, 0}},
				Pairs:    map[string]count{group + " p2": {datagrams, bytes}, group + " p3": {datagrams, bytes}},
				Produced: map[string]uint64{"replication": 1},
			}
			if diff := (outcome{State: r.state(t).since(before)}).diff(outcome{State: want}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// segmentingSocket returns a packet socket on an interface whose frames begin
// with a struct virtio_net_hdr.
func segmentingSocket(t *testing.T, index int) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// sendSegmented sends a UDP frame for the kernel to cut into datagrams of size
// bytes, if and where it must.
func sendSegmented(t *testing.T, fd int, frame []byte, udp, size int) {
	t.Helper()
	const needsChecksum, gsoUDP = 1, 5 // VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_UDP_L4
	h := []byte{needsChecksum, gsoUDP}
	for _, v := range []int{udp + 8, size, udp, 6} {
		h = binary.LittleEndian.AppendUint16(h, uint16(v))
	}
	_, err := unix.Write(fd, append(h, frame...))
	if errors.Is(err, unix.EINVAL) {
		t.Skip("packet sockets of this kernel take no super-packets of UDP")
	}
	if err != nil {
		t.Fatalf("send super-packet: %v", err)
	}
}
