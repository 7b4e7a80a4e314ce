package main

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// localSocket is a UDP socket of the switch's own host, joined on a port.
func localSocket(t *testing.T, n *lab.Net, port string, group netip.Addr) *net.UDPConn {
	t.Helper()
	var conn *net.UDPConn
	err := n.Switch().Do(func() error {
		ifi, err := net.InterfaceByName(port)
		if err != nil {
			return err
		}
		network := "udp4"
		if group.Is6() {
			network = "udp6"
		}
		conn, err = net.ListenMulticastUDP(network, ifi, &net.UDPAddr{IP: group.AsSlice(), Port: 5000})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadBuffer(8 << 20)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// wantRead fails unless exactly n datagrams wait in the socket.
func wantRead(t *testing.T, conn *net.UDPConn, n uint64) {
	t.Helper()
	buf := make([]byte, 2048)
	for i := uint64(0); ; i++ {
		timeout := 100 * time.Millisecond
		if i < n {
			timeout = patience
		}
		conn.SetReadDeadline(time.Now().Add(timeout))
		if _, err := conn.Read(buf); err != nil {
			if i != n || !os.IsTimeout(err) {
				t.Errorf("the host's socket got %d datagrams, want %d: %v", i, n, err)
			}
			return
		}
	}
}

// The host that forwards may be a subscriber too: its sockets get what they
// joined, whether the group is forwarded or not.
func TestLocalSocketsOfTheHostStillReceive(t *testing.T) {
	for _, hook := range []string{"auto", "clsact"} {
		t.Run(hook, func(t *testing.T) {
			n := newNet(t, "pub", "sub")
			a := startHook(t, n, hook, "unregistered: drop")
			for _, group := range []netip.Addr{addr("239.5.0.1"), addr("ff15::5:1")} {
				// The reverse path filter wants a way back to the source.
				addSwitchAddress(t, n, n.Host("pub"))
				local := localSocket(t, n, "p-pub", group)
				sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 200, Rate: 20000})
				wantRead(t, local, sent)

				sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: group})
				a.joined(group, 1)
				sent = send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 200, Rate: 20000})
				wantAll(t, "sub", sub, sent)
				wantRead(t, local, sent)
			}
			if drops := a.scrape().sum("fanlight_drops_total"); drops != 0 {
				t.Errorf("%v packets that the host wanted are counted as dropped", drops)
			}
		})
	}
}

// startHook is startAgent with the hook given.
func startHook(t testing.TB, n *lab.Net, hook string, extra ...string) *agent {
	t.Helper()
	cfg, events := agentConfig(t, n, extra...)
	return startConfig(t, cfg+"hook: "+hook+"\n", events)
}

// addSwitchAddress lets the switch reach the host over its port.
func addSwitchAddress(t *testing.T, n *lab.Net, h *lab.Host) {
	t.Helper()
	for name, value := range map[string]string{
		"net/ipv4/conf/all/rp_filter": "0", "net/ipv4/conf/" + h.Port + "/rp_filter": "0",
	} {
		if err := n.Switch().SetSysctl(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// noQuerier keeps the agent from asking: hosts may take ten seconds to answer,
// in the middle of what a test counts.
const noQuerier = "querier: {mode: off}"

// Everything that is no IP multicast goes to the switch's stack untouched, and
// to no other port.
func TestOtherTrafficPassesUntouched(t *testing.T) {
	n := newNet(t, "pub", "other")
	a := startAgent(t, n, noQuerier)
	quiet(t, n) // the hosts' reports of their own addresses are over
	pub := n.Host("pub")
	arp := frame.Ethernet{Dst: frame.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Src: macOf(pub), Type: unix.ETH_P_ARP}.Wrap(make([]byte, 46))
	lldp := frame.Ethernet{Dst: frame.MAC{0x01, 0x80, 0xc2, 0, 0, 0x0e}, Src: macOf(pub), Type: 0x88cc}.Wrap(make([]byte, 60))
	unicast := frame.MulticastUDP(macOf(pub), netip.AddrPortFrom(pub.Addr4, 4000), netip.MustParseAddrPort("192.0.2.254:5000"), make([]byte, 40))
	unicast6 := frame.MulticastUDP(macOf(pub), netip.AddrPortFrom(pub.Addr6, 4000), netip.MustParseAddrPort("[2001:db8::fe]:5000"), make([]byte, 40))
	broadcast := frame.MulticastUDP(macOf(pub), netip.AddrPortFrom(pub.Addr4, 4000), netip.MustParseAddrPort("255.255.255.255:5000"), make([]byte, 40))
	tagged := frame.Ethernet{Dst: frame.MAC{2, 0, 0, 0, 0, 1}, Src: macOf(pub), Tags: []frame.Tag{{VLAN: 7}}}.Wrap(unicast[14:])
	frames := [][]byte{arp, lldp, unicast, unicast6, broadcast, tagged}

	before := a.scrape()
	other, err := n.Host("other").CountFrames("", nil)
	if err != nil {
		t.Fatal(err)
	}
	stack, err := n.Switch().Raw("p-pub")
	if err != nil {
		t.Fatal(err)
	}
	defer stack.Close()
	stack.Filter(func(b []byte) bool { return [6]byte(b[6:12]) == macOf(pub) })
	sendFrames(t, rawSender(t, pub), frames...)
	quiet(t, n)
	capture{stack, "the switch's stack"}.want(t, frames)
	if got := other.Count().Frames; got != 0 {
		t.Errorf("%d frames came out of another port", got)
	}
	after := a.scrape()
	label := []string{`interface="p-pub"`, `verdict="passed"`}
	if got := after.sum("fanlight_packets_seen_total", label...) - before.sum("fanlight_packets_seen_total", label...); got != float64(len(frames)) {
		t.Errorf("%v packets passed, want %d", got, len(frames))
	}
}

// Every packet that came in on a port has one verdict.
func TestVerdictsAddUpToWhatThePortsSaw(t *testing.T) {
	n := newNet(t, "pub", "sub", "idle")
	a := startAgent(t, n, noQuerier, "unregistered: drop", `allow: ["239.5.1.0/24", "ff00::/8"]`)
	quiet(t, n)
	seen, received := portsSeen(t, n, a)
	joined := addr("239.5.1.1")
	listen(t, n.Host("sub"), lab.ListenConfig{Group: joined})
	listen(t, n.Host("sub"), lab.ListenConfig{Group: addr("ff15::5:2")})
	a.joined(joined, 1)
	pub := n.Host("pub")
	for _, group := range []string{"239.5.1.1", "239.5.1.2", "239.9.9.9", "ff15::5:2", "ff15::5:3"} {
		send(t, pub, lab.SendConfig{Group: addr(group), Count: 300, Rate: 50000})
	}
	send(t, pub, lab.SendConfig{Group: joined, Count: 30, Size: 20000})
	bad := dataFrames(pub, joined, 10)
	for _, b := range bad {
		b[14+8] = 0 // TTL
	}
	sendFrames(t, rawSender(t, pub), append(bad, bad[0][:40], bad[0][:20])...)
	quiet(t, n)
	page := a.scrape()
	seenNow, receivedNow := portsSeen(t, n, a)
	for port := range seen {
		got, want := seenNow[port]-seen[port], receivedNow[port]-received[port]
		if got != want {
			t.Errorf("verdicts of %s add up to %v, its port received %v", port, got, want)
		}
	}
	dropped := page.sum("fanlight_packets_seen_total", `verdict="dropped"`)
	if sum := page.sum("fanlight_drops_total"); sum != dropped || sum < 900 {
		t.Errorf("drops by reason add up to %v, dropped packets are %v", sum, dropped)
	}
	forwarded := page.sum("fanlight_packets_seen_total", `verdict="forwarded"`, `interface="p-pub"`)
	if forwarded < 600 {
		t.Errorf("%v packets were forwarded, want at least 600", forwarded)
	}
}

// portsSeen returns what the ports have received so far, by the verdicts and by
// the kernel's own counters.
func portsSeen(t *testing.T, n *lab.Net, a *agent) (verdicts, received map[string]float64) {
	t.Helper()
	verdicts, received = map[string]float64{}, map[string]float64{}
	page := a.scrape()
	for _, h := range n.Hosts() {
		stats, err := h.PortStats()
		if err != nil {
			t.Fatal(err)
		}
		verdicts[h.Port] = page.sum("fanlight_packets_seen_total", `interface="`+h.Port+`"`)
		received[h.Port] = float64(stats.RxPackets)
	}
	return verdicts, received
}

// A device of the host on top of a port, made while the agent runs, gets what
// comes in there: no socket can be found for it at the port.
func TestDevicesOfTheHostOnAPortStillReceive(t *testing.T) {
	n := newNet(t, "pub", "sub")
	a := startAgent(t, n, "unregistered: drop")
	sw, group := n.Switch().Handle(), addr("239.5.2.1")
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = "on-port", portLink(t, n, n.Host("pub")).Attrs().Index
	if err := sw.LinkAdd(&netlink.Macvlan{LinkAttrs: attrs, Mode: netlink.MACVLAN_MODE_BRIDGE}); err != nil {
		t.Fatal(err)
	}
	upper, err := sw.LinkByName("on-port")
	if err == nil {
		err = sw.LinkSetUp(upper)
	}
	if err != nil {
		t.Fatal(err)
	}
	addSwitchAddress(t, n, n.Host("pub"))
	if err := n.Switch().SetSysctl("net/ipv4/conf/on-port/rp_filter", "0"); err != nil {
		t.Fatal(err)
	}
	local := localSocket(t, n, "on-port", group)
	bindToDevice(t, local, "on-port")
	sub := listen(t, n.Host("sub"), lab.ListenConfig{Group: group})
	a.joined(group, 1)
	probes := uint64(0)
	a.wait("the agent knows of the device", func(series) bool {
		probes += send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 1})
		local.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, err := local.Read(make([]byte, 2048))
		return err == nil
	})
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 200, Rate: 20000})
	wantAll(t, "sub", sub, probes+sent)
	wantRead(t, local, sent)
}

func bindToDevice(t *testing.T, conn *net.UDPConn, name string) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var bindErr error
	err = raw.Control(func(fd uintptr) { bindErr = unix.BindToDevice(int(fd), name) })
	if err := errors.Join(err, bindErr); err != nil {
		t.Fatal(err)
	}
}
