package doctor_test

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/doctor"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

const (
	port   = 5000
	window = 300 * time.Millisecond
)

// TestMain lets more tests wait at a time than there are CPUs: most of what each
// does is to watch.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// scene is a network in which a group arrives and is received, until a fault is
// provoked:
//
//	pub ──┐
//	      ├ bridge ── sub
//	oth ──┘
type scene struct {
	t             *testing.T
	net           *lab.Net
	bridge        *lab.Bridge
	pub, sub, oth *lab.Host
	group, source netip.Addr
	// ns is where the question is asked, q what is asked.
	ns *lab.Namespace
	q  doctor.Question
}

// family is what differs between the IP versions.
type family struct {
	name       string
	group, ssm netip.Addr
	other      netip.Addr // of a source that does not send
}

var (
	v4 = family{"IPv4", netip.MustParseAddr("239.1.1.1"), netip.MustParseAddr("232.1.1.1"), netip.MustParseAddr("192.0.2.77")}
	v6 = family{"IPv6", netip.MustParseAddr("ff15::1:1"), netip.MustParseAddr("ff35::8000:1"), netip.MustParseAddr("2001:db8::77")}
)

func newScene(t *testing.T, f family, switching lab.BridgeConfig) *scene {
	n := labtest.New(t, labtest.Hosts("pub", "sub", "oth")...)
	b, err := n.Bridge(t.Context(), switching)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{t: t, net: n, bridge: b, pub: n.Host("pub"), sub: n.Host("sub"), oth: n.Host("oth"), group: f.group}
	s.source = s.pub.Addr4
	if f.group.Is6() {
		s.source = s.pub.Addr6
	}
	s.ns = s.sub.Namespace()
	s.q = doctor.Question{Group: s.group, Interface: "eth0", Window: window}
	return s
}

func (s *scene) is6() bool { return s.group.Is6() }

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// examine asks the doctor inside the namespace.
func (s *scene) examine() doctor.Report {
	s.t.Helper()
	s.q.Netns = s.ns.Name()
	r, err := doctor.Examine(s.t.Context(), s.q)
	s.must(err)
	return r
}

// listen makes sub receive.
func (s *scene) listen(cfg lab.ListenConfig) *lab.Receiver {
	s.t.Helper()
	cfg.Group = s.group
	if cfg.Port == 0 {
		cfg.Port = port
	}
	r, err := s.sub.Listen(cfg)
	s.must(err)
	return r
}

// stream makes pub send.
func (s *scene) stream(cfg lab.SendConfig) {
	s.t.Helper()
	cfg.Group, cfg.Rate = s.group, 500
	if cfg.Port == 0 {
		cfg.Port = port
	}
	_, err := s.pub.Stream(cfg)
	s.must(err)
}

// join makes sub a member, with nothing that is bound to the port.
func (s *scene) join(sources ...netip.Addr) *lab.Memberships {
	s.t.Helper()
	m, err := s.sub.Memberships("")
	s.must(err)
	s.must(m.Join(s.group, sources...))
	return m
}

// flood makes pub send frames as they are, again and again.
func (s *scene) flood(frames ...[]byte) {
	s.t.Helper()
	c, err := s.pub.Raw("")
	s.must(err)
	s.repeat(func() error {
		for _, f := range frames {
			if _, err := c.Write(f); err != nil && !errors.Is(err, lab.ErrClosed) {
				return err
			}
		}
		return nil
	})
}

// repeat does something every 5 ms until the test ends.
func (s *scene) repeat(do func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if err := do(); err != nil && !errors.Is(err, net.ErrClosed) {
				s.t.Error(err)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	s.t.Cleanup(func() { cancel(); done.Wait() })
}

// datagram is a plain one of pub, as an IP packet.
func (s *scene) datagram(from netip.Addr, u frame.UDP) []byte {
	u.SrcPort, u.DstPort = 4000, port
	return frame.Packet(from, s.group, frame.ProtocolUDP, u.Wrap(from, s.group, []byte("0123456789abcdef")))
}

func (s *scene) ethernet() frame.Ethernet {
	return frame.Ethernet{Dst: frame.GroupMAC(s.group), Src: frame.MAC(s.pub.MAC)}
}

// socket opens a UDP socket of sub that nobody reads, and sets it up.
func (s *scene) socket(local string, setup func(fd int) error) *net.UDPConn {
	s.t.Helper()
	network := "udp4"
	if s.is6() {
		network = "udp6"
	}
	var c net.PacketConn
	err := s.sub.Namespace().Do(func() (err error) {
		cfg := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
			ctlErr := raw.Control(func(fd uintptr) {
				err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), setup(int(fd)))
			})
			return errors.Join(ctlErr, err)
		}}
		c, err = cfg.ListenPacket(s.t.Context(), network, local)
		return err
	})
	s.must(err)
	s.t.Cleanup(func() { c.Close() })
	return c.(*net.UDPConn)
}

// joinOn joins the group at an interface of sub; where the routes say, if none is
// named.
func (s *scene) joinOn(fd int, iface string) error {
	index := 0
	if iface != "" {
		link, err := s.sub.Namespace().Handle().LinkByName(iface)
		if err != nil {
			return err
		}
		index = link.Attrs().Index
	}
	if s.is6() {
		return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, &unix.IPv6Mreq{Multiaddr: s.group.As16(), Interface: uint32(index)})
	}
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreqn{Multiaddr: s.group.As4(), Ifindex: int32(index)})
}

// link returns an interface of a namespace.
func (s *scene) link(ns *lab.Namespace, name string) netlink.Link {
	s.t.Helper()
	l, err := ns.Handle().LinkByName(name)
	s.must(err)
	return l
}

// secondLink gives the namespace that is looked at another interface eth1, whose
// other end, tap1, is in it too.
func (s *scene) secondLink() netlink.Link {
	s.t.Helper()
	h := s.ns.Handle()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "eth1"
	pair := netlink.NewVeth(attrs)
	pair.PeerName = "tap1"
	s.must(h.LinkAdd(pair))
	s.must(h.LinkSetUp(s.link(s.ns, "eth1")))
	s.must(h.LinkSetUp(s.link(s.ns, "tap1")))
	return s.link(s.ns, "eth1")
}

func (s *scene) sysctl(name, value string) {
	s.t.Helper()
	s.must(s.sub.Namespace().SetSysctl(name, value))
}

func prefix(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
}
