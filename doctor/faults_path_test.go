package doctor_test

import (
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

var healthyCases = []fault{
	{name: "healthy", families: both, provoke: healthy},
	{name: "healthy, named port and source", families: both, provoke: func(s *scene) {
		healthy(s)
		s.q.Source, s.q.Port = s.source, port
	}},
	{name: "healthy, source-specific", families: both, provoke: func(s *scene) {
		s.group = map[bool]netip.Addr{false: v4.ssm, true: v6.ssm}[s.is6()]
		s.q.Group, s.q.Source = s.group, s.source
		s.listen(lab.ListenConfig{Sources: []netip.Addr{s.source}})
		s.stream(lab.SendConfig{})
	}},
	{name: "healthy, fragmented", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		s.stream(lab.SendConfig{Size: 4000})
	}},
	{name: "healthy, interface not named", families: both, provoke: func(s *scene) {
		healthy(s)
		s.q.Interface = ""
	}},
	{name: "healthy, on the sender", families: both, provoke: func(s *scene) {
		healthy(s)
		s.ns = s.pub.Namespace()
	}},
	{name: "healthy, querier asks", families: both, provoke: func(s *scene) {
		healthy(s)
		s.askQueries(3)
		s.q.QueryInterval = s.q.Window
	}},
}

// askQueries makes pub a querier of an IGMP version, or of MLDv2.
func (s *scene) askQueries(version int) {
	query := frame.IGMPv3Query(frame.Query{MaxResp: 100, QRV: 2, QQIC: 125})
	if version == 2 {
		query = frame.IGMPv1Or2(frame.IGMPQuery, 100, netip.Addr{})
	}
	if !s.is6() {
		s.flood(frame.IGMP{SrcMAC: frame.MAC(s.pub.MAC), Src: s.pub.Addr4}.Wrap(query))
		return
	}
	addrs, err := s.pub.Addresses("eth0")
	s.must(err)
	s.flood(frame.MLD{SrcMAC: frame.MAC(s.pub.MAC), Src: addrs.LinkLocal.Addr()}.Wrap(frame.MLDv2Query(frame.Query{MaxResp: 10000, QRV: 2, QQIC: 125})))
}

var linkFaults = []fault{
	{want: "link_down", mends: true, families: both, provoke: func(s *scene) {
		healthy(s)
		s.must(s.ns.Handle().LinkSetDown(s.link(s.ns, "eth0")))
	}},
	{want: "no_carrier", families: both, provoke: func(s *scene) {
		healthy(s)
		s.must(s.net.Switch().Handle().LinkSetDown(s.link(s.net.Switch(), s.sub.Port)))
	}},
	{want: "no_multicast_flag", mends: true, families: only4, provoke: func(s *scene) {
		healthy(s)
		s.must(s.ns.Handle().LinkSetMulticastOff(s.link(s.ns, "eth0")))
	}},
	{want: "ipv6_disabled", mends: true, families: only6, provoke: func(s *scene) {
		healthy(s)
		s.sysctl("net/ipv6/conf/eth0/disable_ipv6", "1")
	}},
	{want: "port_of_master", mends: true, families: both, provoke: func(s *scene) {
		healthy(s)
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "br9"
		br := &netlink.Bridge{LinkAttrs: attrs}
		s.must(s.ns.Handle().LinkAdd(br))
		s.must(s.ns.Handle().LinkSetUp(br))
		s.must(s.ns.Handle().LinkSetMaster(s.link(s.ns, "eth0"), br))
	}},
}

// excluded receives from everybody but who sends.
func excluded(s *scene) {
	s.listen(lab.ListenConfig{Exclude: []netip.Addr{s.source}})
	s.stream(lab.SendConfig{})
}

// joinAnywhere joins without naming an interface.
func joinAnywhere(s *scene) { s.socket(":5000", func(fd int) error { return s.joinOn(fd, "") }) }

var membershipFaults = []fault{
	{want: "not_joined", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{Idle: true})
		s.stream(lab.SendConfig{})
	}},
	{want: "not_joined", name: "and nothing arrives", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{Idle: true})
	}},
	{want: "no_route", mends: true, restart: joinAnywhere, families: only4, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{Idle: true})
		_, all, _ := net.ParseCIDR("224.0.0.0/4")
		s.must(s.ns.Handle().RouteDel(&netlink.Route{LinkIndex: s.link(s.ns, "eth0").Attrs().Index, Dst: all}))
	}},
	{want: "joined_elsewhere", mends: true, restart: joinAnywhere, families: both, provoke: func(s *scene) {
		eth1 := s.secondLink().Attrs().Index
		_, all, _ := net.ParseCIDR("224.0.0.0/4")
		s.must(s.ns.Handle().RouteReplace(&netlink.Route{LinkIndex: eth1, Dst: all}))
		if s.is6() { // which interface IPv6 takes without a route of one's own is chance
			s.must(s.ns.Handle().RouteAdd(&netlink.Route{LinkIndex: eth1, Dst: prefix(s.group), Table: unix.RT_TABLE_LOCAL, Type: unix.RTN_MULTICAST, Priority: 1}))
		}
		joinAnywhere(s)
		s.stream(lab.SendConfig{})
	}},
	{want: "membership_limit", families: only4, provoke: func(s *scene) {
		s.stream(lab.SendConfig{})
		s.sysctl("net/ipv4/igmp_max_memberships", "3")
		s.socket(":5000", func(fd int) error {
			for i := range byte(3) {
				err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: [4]byte{239, 9, 9, i}})
				if err != nil {
					return err
				}
			}
			if err := s.joinOn(fd, "eth0"); err != unix.ENOBUFS {
				s.t.Errorf("join beyond the limit: %v", err)
			}
			return nil
		})
	}},
	{want: "source_filtered", name: "others only", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{Sources: []netip.Addr{s.other()}})
		s.stream(lab.SendConfig{})
	}},
	{want: "source_filtered", name: "excluded", families: only4, provoke: excluded},
	// On a busy machine IPv6 loses the interface's list of refused sources; the
	// socket's own then refuses.
	{want: "source_filtered", or: "socket_filter", name: "excluded", families: only6, provoke: excluded},
	{want: "source_limit", families: only4, provoke: func(s *scene) {
		s.q.Source = s.source
		s.stream(lab.SendConfig{})
		s.sysctl("net/ipv4/igmp_max_msf", "2")
		r := s.listen(lab.ListenConfig{Sources: []netip.Addr{netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("192.0.2.78")}})
		if err := r.AddSource(s.source); err == nil {
			s.t.Error("a source beyond the limit was taken")
		}
	}},
	{want: "version_forced", mends: true, families: both, provoke: func(s *scene) {
		s.group = map[bool]netip.Addr{false: v4.ssm, true: v6.ssm}[s.is6()]
		s.q.Group, s.q.Source = s.group, s.source
		s.listen(lab.ListenConfig{Sources: []netip.Addr{s.source}})
		s.sysctl("net/ipv4/conf/eth0/force_igmp_version", "2")
		s.sysctl("net/ipv6/conf/eth0/force_mld_version", "1")
	}},
	{want: "old_querier", families: only4, provoke: func(s *scene) {
		s.group = v4.ssm
		s.q.Group, s.q.Source = s.group, s.source
		s.listen(lab.ListenConfig{Sources: []netip.Addr{s.source}})
		s.askQueries(2)
	}},
}

func (s *scene) other() netip.Addr {
	if s.is6() {
		return v6.other
	}
	return v4.other
}

var wireFaults = []fault{
	{want: "arrives_elsewhere", families: both, provoke: func(s *scene) {
		s.secondLink()
		healthy(s)
		// The cable of sub goes to the other interface.
		h := s.net.Switch().Handle()
		tap := s.link(s.ns, "tap1")
		s.must(s.ns.Handle().LinkSetNsFd(tap, s.switchFd()))
		moved := s.link(s.net.Switch(), "tap1")
		s.must(h.LinkSetMaster(moved, s.link(s.net.Switch(), s.bridge.Name())))
		s.must(h.LinkSetUp(moved))
		s.must(h.LinkSetNoMaster(s.link(s.net.Switch(), s.sub.Port)))
	}},
	{want: "vlan_tagged", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		e := s.ethernet()
		e.Tags = []frame.Tag{{VLAN: 100}}
		s.flood(e.Wrap(s.datagram(s.source, frame.UDP{})))
	}},
	{want: "other_source", families: both, provoke: func(s *scene) {
		healthy(s)
		s.q.Source = s.other()
	}},
	{want: "other_port", families: both, provoke: func(s *scene) {
		healthy(s)
		s.q.Port = port + 1
	}},
	{want: "wrong_mac", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		e := s.ethernet()
		e.Dst = frame.MAC{0x02, 0, 0, 0, 0, 0x99}
		s.flood(e.Wrap(s.datagram(s.source, frame.UDP{})))
	}},
	{want: "wrong_mac", name: "of another group", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		e := s.ethernet()
		e.Dst[5]++
		s.flood(e.Wrap(s.datagram(s.source, frame.UDP{})))
	}},
	{want: "fragments_incomplete", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		datagram := frame.UDP{SrcPort: 4000, DstPort: port}.Wrap(s.source, s.group, make([]byte, 2000))
		var first [][]byte
		for id := range uint16(20) {
			p := frame.IPv4{Src: s.source, Dst: s.group, TTL: 16, Protocol: frame.ProtocolUDP, ID: id + 1}
			if s.is6() {
				p6 := frame.IPv6{Src: s.source, Dst: s.group, HopLimit: 16, Next: frame.ProtocolUDP}
				first = append(first, s.ethernet().Wrap(p6.Fragments(datagram, 1000, uint32(id))[0]))
				continue
			}
			first = append(first, s.ethernet().Wrap(p.Fragments(datagram, 1000)[0]))
		}
		s.flood(first...)
	}},
	{want: "ttl_low", name: "at the receiver", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		s.stream(lab.SendConfig{TTL: 1})
	}},
	{want: "ttl_low", name: "at the sender", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		s.stream(lab.SendConfig{TTL: 1})
		s.ns = s.pub.Namespace()
	}},
	{want: "sent_elsewhere", mends: true, families: only4, provoke: func(s *scene) {
		s.ns = s.pub.Namespace()
		eth1 := s.secondLink().Attrs().Index
		_, all, _ := net.ParseCIDR("224.0.0.0/4")
		s.must(s.ns.Handle().RouteReplace(&netlink.Route{LinkIndex: eth1, Dst: all}))
		s.sendAnywhere()
	}},
	{want: "loopback_off", families: both, provoke: func(s *scene) { // the lab's senders turn it off
		s.stream(lab.SendConfig{})
		s.ns = s.pub.Namespace()
		_, err := s.pub.Listen(lab.ListenConfig{Group: s.group, Port: port})
		s.must(err)
	}},
	{want: "no_querier", families: both, provoke: func(s *scene) {
		healthy(s)
		s.q.QueryInterval = s.q.Window
	}},
	{want: "not_arriving", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
	}},
}

// sendAnywhere sends from pub without naming an interface, until the test ends.
func (s *scene) sendAnywhere() {
	var c *net.UDPConn
	s.must(s.pub.Namespace().Do(func() (err error) {
		c, err = net.ListenUDP("udp4", nil) // bound to an address, it would leave by that one's interface
		return err
	}))
	s.must(ipv4.NewPacketConn(c).SetMulticastTTL(16))
	to := netip.AddrPortFrom(s.group, port)
	s.t.Cleanup(func() { c.Close() })
	s.repeat(func() error { _, err := c.WriteToUDPAddrPort([]byte("x"), to); return err })
}

func (s *scene) switchFd() int {
	fd, err := unix.Open(s.net.Switch().Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	s.must(err)
	s.t.Cleanup(func() { unix.Close(fd) })
	return fd
}

var ipFaults = []fault{
	{want: "rp_filter", name: "strict, route elsewhere", mends: true, families: only4, provoke: func(s *scene) {
		healthy(s)
		eth1 := s.secondLink()
		s.must(s.ns.Handle().RouteAdd(&netlink.Route{LinkIndex: eth1.Attrs().Index, Dst: prefix(s.source)}))
		s.sysctl("net/ipv4/conf/eth0/rp_filter", "1")
	}},
	{want: "rp_filter", name: "loose, no route", mends: true, families: only4, provoke: func(s *scene) {
		healthy(s)
		_, own, _ := net.ParseCIDR("192.0.2.0/24")
		s.must(s.ns.Handle().RouteDel(&netlink.Route{LinkIndex: s.link(s.ns, "eth0").Attrs().Index, Dst: own, Scope: netlink.SCOPE_LINK}))
		s.sysctl("net/ipv4/conf/all/rp_filter", "2")
	}},
	{want: "rp_filter", name: "nothing arrives yet", families: only4, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		s.q.Source = netip.MustParseAddr("203.0.113.9")
		s.sysctl("net/ipv4/conf/all/rp_filter", "1")
	}},
	{want: "source_local", mends: true, families: only4, provoke: func(s *scene) {
		healthy(s)
		s.must(s.ns.Handle().AddrAdd(s.link(s.ns, "lo"), &netlink.Addr{IPNet: prefix(s.source)}))
	}},
	{want: "source_invalid", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		from := netip.IPv4Unspecified()
		if s.is6() {
			from = netip.IPv6LinkLocalAllRouters()
		}
		s.flood(s.ethernet().Wrap(s.datagram(from, frame.UDP{})))
	}},
	{want: "lost_in_ip", families: both, provoke: func(s *scene) {
		healthy(s)
		s.hook()
	}},
}

var bridgeFaults = []fault{
	{want: "", name: "healthy", families: both, provoke: func(s *scene) {
		healthy(s)
		s.waitMember(s.sub.Port)
	}},
	{want: "bridge_no_member", mends: true, families: both, provoke: func(s *scene) {
		s.stream(lab.SendConfig{})
		_, err := s.oth.Listen(lab.ListenConfig{Group: s.group, Port: port})
		s.must(err)
		s.waitMember(s.oth.Port)
	}},
	{want: "bridge_no_querier", mends: true, families: both, provoke: healthy},
}

// waitMember waits until the bridge has the group at a port.
func (s *scene) waitMember(port string) {
	s.t.Helper()
	_, err := s.bridge.WaitMDB(deadline(s.t), func(entries []lab.MDBEntry) bool {
		for _, e := range entries {
			if e.Group == s.group && e.Port == port {
				return true
			}
		}
		return false
	})
	s.must(err)
}
