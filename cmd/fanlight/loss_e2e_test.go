package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// Copies that are lost after their clone succeeded: in the CPU's backlog, in the
// ring of a veth, in a queueing discipline. For each port, what arrived at the
// far end and what is counted as lost add up to what was wanted, exactly.
func TestEveryLostCopyIsFoundAndNamed(t *testing.T) {
	for _, c := range []struct {
		name   string
		reason string
		ports  int
		host   lab.HostConfig                        // of the subscribers
		setup  func(*testing.T, *lab.Net, *lab.Host) // of each subscriber
		whole  bool                                  // the sender's bursts come as super-packets
		slow   int                                   // see countSlowly
	}{
		// A burst of 64 packets for 64 ports is more than the backlog of a
		// CPU, 1000 packets by default, has room for.
		{name: "backlog", reason: "backlog_full", ports: 64},
		// A host with GRO polls a ring of 256 itself; this one is slow.
		// A port that can't send super-packets cuts each copy, and loses parts.
		{
			name: "copies cut at the port", reason: "backlog_full", ports: 20, whole: true,
			host: lab.HostConfig{PortFeatures: map[string]bool{"tx-udp-segmentation": false}},
		},
		{name: "ring", reason: "ring_full", ports: 3, host: ringHost, setup: pollByThread, slow: 800},
		{name: "shaped port", reason: "qdisc_full", ports: 3, setup: shapeLow},
		// With a queue in front of it, a full ring holds the port up.
		{name: "queue in front of a ring", reason: "qdisc_full", ports: 3, host: ringHost, setup: queueForRing, slow: 800},
	} {
		t.Run(c.name, func(t *testing.T) {
			// The sender hands over bursts, which leave it as single packets, or
			// whole.
			hosts := []lab.HostConfig{{Name: "pub", Features: map[string]bool{"tx-udp-segmentation": c.whole}}}
			for i := range c.ports {
				c.host.Name = fmt.Sprintf("sub%d", i)
				hosts = append(hosts, c.host)
			}
			n := labtest.New(t, hosts...)
			a := startAgent(t, n)
			group := addr("239.7.0.1")
			arrived := map[string]kernelCount{}
			for _, h := range n.Hosts()[1:] {
				if c.setup != nil {
					c.setup(t, n, h)
				}
				arrived[h.Port] = countSlowly(t, h, group, c.slow)
				joinOnly(t, h, group)
			}
			a.joined(group, c.ports)
			burst := lab.SendConfig{Group: group, Count: 64 * 40, Size: 64, Segments: 64}
			deadline := time.Now().Add(patience)
			for a.scrape().sum("fanlight_copy_failures_total") == 0 && time.Now().Before(deadline) {
				send(t, n.Host("pub"), burst)
			}
			page := a.wait("copies = arrived + lost, at each port", func(s series) bool {
				for port := range arrived {
					if unexplained(s, group, port, arrived[port]) != 0 {
						return false
					}
				}
				return true
			})
			lost := page.sum("fanlight_copy_failures_total")
			named := page.sum("fanlight_copy_failures_total", `reason="`+c.reason+`"`)
			if lost == 0 || named != lost {
				t.Errorf("%v copies are lost, of them %v for reason %s: %v", lost, named, c.reason, page.family("fanlight_copy_failures_total"))
			}
			t.Logf("%v copies wanted, %v lost", page.sum("fanlight_port_copies_total"), lost)
			a.waitEvent(`"kind":"drop"`, `"reason":"`+c.reason+`"`)
		})
	}
}

// ringHost takes frames through the ring of its veth: with GRO on, and from a
// port that does no segmentation of its own.
var ringHost = lab.HostConfig{
	Features: map[string]bool{"rx-gro": true},
	PortFeatures: map[string]bool{
		"tx-tcp-segmentation": false, "tx-tcp6-segmentation": false,
		"tx-tcp-ecn-segmentation": false, "tx-tcp-mangleid-segmentation": false,
	},
}

// unexplained is what of the port's copies neither arrived nor is counted.
func unexplained(s series, group netip.Addr, port string, arrived kernelCount) float64 {
	labels := []string{`group="` + group.String() + `"`, `interface="` + port + `"`}
	return s.sum("fanlight_port_copies_total", labels...) - s.sum("fanlight_copy_failures_total", labels...) - float64(arrived.value())
}

// joinOnly joins without a socket that receives.
func joinOnly(t testing.TB, h *lab.Host, groups ...netip.Addr) *lab.Memberships {
	t.Helper()
	m, err := h.Memberships("")
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		if err := m.Join(g); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func shapeLow(t *testing.T, n *lab.Net, h *lab.Host) { shapePort(t, n, h, 1<<20) }

// shapePort gives the host's port a short queue and a rate.
func shapePort(t *testing.T, n *lab.Net, h *lab.Host, bytesPerSecond uint64) {
	t.Helper()
	port := portLink(t, n, h)
	tbf := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: port.Attrs().Index, Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(1, 0)},
		Rate:       bytesPerSecond, Limit: 5000, Buffer: 20000,
	}
	if err := n.Switch().Handle().QdiscAdd(tbf); err != nil {
		t.Fatal(err)
	}
}

// queueForRing gives the host's port a queue, and its ring a slow reader.
func queueForRing(t *testing.T, n *lab.Net, h *lab.Host) {
	t.Helper()
	pollByThread(t, n, h)
	fifo := &netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: portLink(t, n, h).Attrs().Index, Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(1, 0)},
		QdiscType:  "pfifo",
	}
	if err := n.Switch().Handle().QdiscAdd(fifo); err != nil {
		t.Fatal(err)
	}
}

// A queue lets copies go when it likes, outside of any clone: what the backlog
// behind it then has no room for is counted too, at the right port.
func TestCopiesLostOnTheWayOutOfAQueueAreCounted(t *testing.T) {
	const shaped, others = 8, 60
	hosts := []lab.HostConfig{{Name: "pub", Features: map[string]bool{"tx-udp-segmentation": false}}}
	for i := range shaped + others {
		hosts = append(hosts, lab.HostConfig{Name: fmt.Sprintf("sub%d", i)})
	}
	n := labtest.New(t, hosts...)
	a := startAgent(t, n)
	group := addr("239.7.0.2")
	arrived := map[string]kernelCount{}
	for i, h := range n.Hosts()[1:] {
		if i < shaped {
			shapePort(t, n, h, 20<<20)
		}
		arrived[h.Port] = countAtDevice(t, h, group)
		joinOnly(t, h, group)
	}
	a.joined(group, shaped+others)
	late := func(s series) (lost float64) {
		for i := range shaped {
			lost += s.sum("fanlight_copy_failures_total", fmt.Sprintf(`interface="p-sub%d"`, i), `reason="backlog_full"`)
		}
		return lost
	}
	deadline := time.Now().Add(patience)
	for late(a.scrape()) == 0 && time.Now().Before(deadline) {
		send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 64 * 40, Size: 64, Segments: 64})
	}
	page := a.wait("copies = arrived + lost, at each port", func(s series) bool {
		for port := range arrived {
			if unexplained(s, group, port, arrived[port]) != 0 {
				return false
			}
		}
		return true
	})
	t.Logf("%v copies were lost behind a queue", late(page))
	if late(page) == 0 {
		t.Error("no copy was lost on its way out of a queue")
	}
}
