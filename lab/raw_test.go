package lab_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

var groups = []netip.Addr{group4, group6}

func typeOf(group netip.Addr) uint16 {
	if group.Is4() {
		return frame.TypeIPv4
	}
	return frame.TypeIPv6
}

func openRaw(t *testing.T, h *lab.Host) *lab.RawConn {
	t.Helper()
	c, err := h.Raw("")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func readFrame(t *testing.T, c *lab.RawConn) []byte {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b, err := c.Read()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A frame arrives as it was written, tags included, and past any membership.
func TestRawRoundTrip(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("a", "b")...)
	bridge(t, n, lab.BridgeConfig{})
	a, b := openRaw(t, n.Host("a")), openRaw(t, n.Host("b"))
	data := bytes.Repeat([]byte("payload."), 20)
	src4, dst4 := netip.AddrPortFrom(n.Host("a").Addr4, 4000), netip.AddrPortFrom(group4, port)
	packet := frame.Packet(src4.Addr(), group4, frame.ProtocolUDP, frame.UDP{SrcPort: 4000, DstPort: port}.Wrap(src4.Addr(), group4, data))
	mac := frame.MAC(n.Host("a").MAC)
	tests := []struct {
		name  string
		frame []byte
	}{
		{"plain", frame.MulticastUDP(mac, src4, dst4, data)},
		{"unusual destination", frame.Ethernet{Dst: frame.MAC{0x03, 1, 2, 3, 4, 5}, Src: mac}.Wrap(packet)},
		{"not IP", frame.Ethernet{Dst: frame.MAC{0x01, 0x1b, 0x19}, Src: mac, Type: 0x88f7}.Wrap(data)},
		{"802.1Q", frame.Ethernet{Dst: frame.GroupMAC(group4), Src: mac, Tags: []frame.Tag{{VLAN: 7}}}.Wrap(packet)},
		{"802.1Q with priority", frame.Ethernet{Dst: frame.GroupMAC(group4), Src: mac, Tags: []frame.Tag{{VLAN: 5<<13 | 7}}}.Wrap(packet)},
		{"QinQ", frame.Ethernet{Dst: frame.GroupMAC(group4), Src: mac, Tags: []frame.Tag{{Type: frame.TypeQinQ, VLAN: 9}, {VLAN: 7}}}.Wrap(packet)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b.Filter(func(got []byte) bool {
				return lab.Multicast(got) && frame.MAC(got[6:12]) == mac && got[len(got)-1] == '.'
			})
			if _, err := a.Write(tt.frame); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.frame, readFrame(t, b)); diff != "" {
				t.Errorf("frame (-want +got):\n%s", diff)
			}
		})
	}
}

// The counter sees what no socket asked for, and looks into super-packets.
func TestCountFrames(t *testing.T) {
	for _, group := range groups {
		t.Run(group.String(), func(t *testing.T) {
			n := labtest.New(t, labtest.Hosts("pub", "out")...)
			bridge(t, n, lab.BridgeConfig{})
			counter, err := n.Host("out").CountFrames("", func(b []byte) bool { return frame.MAC(b[:6]) == frame.GroupMAC(group) })
			if err != nil {
				t.Fatal(err)
			}
			send := func(cfg lab.SendConfig) {
				cfg.Group, cfg.Port = group, port
				if _, err := n.Host("pub").Send(deadline(t), cfg); err != nil {
					t.Fatal(err)
				}
			}
			send(lab.SendConfig{Count: 10, Size: 1000})
			send(lab.SendConfig{Count: 105, Size: 1000, Segments: 50})
			if err := n.WaitQuiet(deadline(t), 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			headers := uint64(14 + 20 + 8)
			if group.Is6() {
				headers += 20
			}
			want := lab.FrameCount{Frames: 10 + 3, Datagrams: 10 + 105, Bytes: 115*1000 + 13*headers}
			if diff := cmp.Diff(want, counter.Count()); diff != "" {
				t.Errorf("count (-want +got):\n%s", diff)
			}
		})
	}
}

// Features are set: without UDP segmentation at the sender's interface, no
// super-packet leaves it.
func TestFeatures(t *testing.T) {
	n := labtest.New(t, lab.HostConfig{
		Name: "pub", Features: map[string]bool{"tx-udp-segmentation": false, "rx-gro": true},
		PortFeatures: map[string]bool{"rx-udp-gro-forwarding": true},
	}, lab.HostConfig{Name: "out"})
	bridge(t, n, lab.BridgeConfig{})
	counter, err := n.Host("out").CountFrames("", func(b []byte) bool { return frame.MAC(b[:6]) == frame.GroupMAC(group4) })
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Switch().SetFeatures("p-pub", map[string]bool{"rx-udp-gro-forwarding": false}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Host("pub").Send(deadline(t), lab.SendConfig{Group: group4, Port: port, Count: 50, Size: 1000, Segments: 50}); err != nil {
		t.Fatal(err)
	}
	settle(t, n)
	if got := counter.Count(); got.Frames != 50 || got.Datagrams != 50 {
		t.Errorf("count = %+v, want 50 frames of one datagram each", got)
	}
}
