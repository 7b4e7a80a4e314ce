package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// capture collects the frames to the group that reach a host, tags included.
type capture struct {
	conn *lab.RawConn
	who  string
}

func captureGroup(t testing.TB, h *lab.Host, group netip.Addr) capture {
	t.Helper()
	c := rawSender(t, h)
	found := capture{c, h.Name}
	found.only(group)
	return found
}

// only passes over the frames that are not to the group.
func (c capture) only(group netip.Addr) {
	to := frame.GroupMAC(group)
	c.conn.Filter(func(b []byte) bool { return len(b) >= 6 && [6]byte(b[:6]) == to })
}

// want fails unless exactly these frames arrive, in this order, and no other
// one. The network must be quiet.
func (c capture) want(t testing.TB, frames [][]byte) {
	t.Helper()
	for i := 0; ; i++ {
		if err := c.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		got, err := c.conn.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if i != len(frames) {
				t.Errorf("%s got %d frames, want %d", c.who, i, len(frames))
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(frames) {
			t.Errorf("%s got frame %d, want %d frames: % x", c.who, i+1, len(frames), got)
			return
		}
		if !slices.Equal(got, frames[i]) {
			t.Errorf("%s frame %d:\ngot  % x\nwant % x", c.who, i, got, frames[i])
			return
		}
	}
}

func macOf(h *lab.Host) frame.MAC { return frame.MAC(h.MAC) }

// dataFrames are n datagrams of the host to the group, in the VLAN of the tags.
func dataFrames(h *lab.Host, group netip.Addr, n int, tags ...frame.Tag) (frames [][]byte) {
	src := h.Addr4
	if group.Is6() {
		src = h.Addr6
	}
	for i := range n {
		udp := frame.UDP{SrcPort: 4000, DstPort: 5000}.Wrap(src, group, lab.Payload(uint32(h.Number), uint64(i), 100))
		ip := frame.Packet(src, group, frame.ProtocolUDP, udp)
		frames = append(frames, frame.Ethernet{Dst: frame.GroupMAC(group), Src: macOf(h), Tags: tags}.Wrap(ip))
	}
	return frames
}

// report is a membership report of the host for the group.
func sendReport(h *lab.Host, group netip.Addr, typ frame.RecordType, tags ...frame.Tag) []byte {
	r := frame.Record{Type: typ, Group: group}
	if group.Is4() {
		return frame.IGMP{SrcMAC: macOf(h), Src: h.Addr4, Tags: tags}.Wrap(frame.IGMPv3(r))
	}
	local := netip.MustParseAddr(fmt.Sprintf("fe80::%x", h.Number))
	return frame.MLD{SrcMAC: macOf(h), Src: local, Tags: tags}.Wrap(frame.MLDv2(r))
}

// The same group in two VLANs is two groups: each member gets the frames of its
// own VLAN, with their tags, and no other.
func TestVLANsAreKeptApart(t *testing.T) {
	segments := []struct {
		host, label string
		tags        []frame.Tag
	}{
		{"untagged", ``, nil},
		{"five", `vlan="5",`, []frame.Tag{{VLAN: 5}}},
		{"six", `vlan="6",`, []frame.Tag{{VLAN: 6}}},
		{"stacked", `vlan="100.5",`, []frame.Tag{{Type: frame.TypeQinQ, VLAN: 100}, {VLAN: 5}}},
		{"stacked6", `vlan="100.6",`, []frame.Tag{{VLAN: 100}, {VLAN: 6}}},
	}
	names := []string{"pub", "idle"}
	for _, s := range segments {
		names = append(names, s.host)
	}
	n := newNet(t, names...)
	a := startAgent(t, n)
	for _, group := range []netip.Addr{addr("239.2.0.1"), addr("ff15::2:1")} {
		t.Run(group.String(), func(t *testing.T) {
			captures := map[string]capture{"idle": captureGroup(t, n.Host("idle"), group)}
			for _, s := range segments {
				captures[s.host] = captureGroup(t, n.Host(s.host), group)
				sendFrames(t, rawSender(t, n.Host(s.host)), sendReport(n.Host(s.host), group, frame.ChangeToExclude, s.tags...))
			}
			a.joined(group, len(segments))
			pub := rawSender(t, n.Host("pub"))
			for i, s := range segments {
				sendFrames(t, pub, dataFrames(n.Host("pub"), group, 20+i, s.tags...)...)
			}
			quiet(t, n)
			page := a.scrape()
			for i, s := range segments {
				captures[s.host].want(t, dataFrames(n.Host("pub"), group, 20+i, s.tags...))
				labels := `{domain="lab",` + s.label + `group="` + group.String() + `"`
				if got := page["fanlight_group_copies_total"+labels+"}"]; got != float64(20+i) {
					t.Errorf("copies counter of %s is %v, want %d", labels, got, 20+i)
				}
				if got := page["fanlight_port_copies_total"+labels+`,interface="p-`+s.host+`"}`]; got != float64(20+i) {
					t.Errorf("copies counter of p-%s in %s is %v, want %d", s.host, labels, got, 20+i)
				}
			}
			captures["idle"].want(t, nil)
		})
	}
}
