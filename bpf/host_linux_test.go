package bpf

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestHostWants: a packet goes up to the host's stack if anybody there could
// want it, be it forwarded or not.
func TestHostWants(t *testing.T) {
	r := newRig(t, 2)
	for i, row := range []struct {
		name   string
		flags  Port
		vlan   uint16
		v6     bool
		listen func(t *testing.T, group string)
		want   string
	}{
		{"no socket", Port{}, 0, false, nil, consume},
		{"no socket, IPv6", Port{}, 0, true, nil, consume},
		{"socket on any address", Port{}, 0, false, listens(unix.AF_INET, "0.0.0.0", 5000), next},
		{"socket on the group", Port{}, 0, false, listens(unix.AF_INET, "", 5000), next},
		{"socket on another port", Port{}, 0, false, listens(unix.AF_INET, "0.0.0.0", 5001), consume},
		{"socket of both families", Port{}, 0, false, listens(unix.AF_INET6, "::", 5000), next},
		{"socket on any address, IPv6", Port{}, 0, true, listens(unix.AF_INET6, "::", 5000), next},
		{"socket of IPv4, packet of IPv6", Port{}, 0, true, listens(unix.AF_INET, "0.0.0.0", 5000), consume},
		{"host routes multicast", Port{HostRouter: true}, 0, false, nil, next},
		{"VLAN that the host has", Port{HostTagged: true}, 5, false, nil, next},
		{"VLAN that the host has not", Port{}, 5, false, nil, consume},
		{"host has VLANs, packet has none", Port{HostTagged: true}, 0, false, nil, consume},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			row.flags.Index = 1
			if err := r.d.Tables.SetPort(r.at(1)[0], row.flags); err != nil {
				t.Fatal(err)
			}
			source, group := sender, fmt.Sprintf("239.1.1.%d", i)
			if row.v6 {
				source, group = sender6, fmt.Sprintf("ff15::1:%d", i)
			}
			if row.listen != nil {
				row.listen(t, group)
			}
			f := bpftest.UDP(source, group, "x")
			if row.vlan > 0 {
				f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: row.vlan}}
			}
			r.join(t, group, MakeVLAN(row.vlan, 0), 2)
			s := subject{source, groupName(GroupKey{VLAN: MakeVLAN(row.vlan, 0), Group: f.Group})}
			r.check(t, f.Bytes(), forwardedTo(s, row.want, f.Bytes(), 1, 2))
		})
	}
}

// TestHostAloneWants: a packet that no port wants is no drop if the host may
// want it.
func TestHostAloneWants(t *testing.T) {
	r := newRig(t, 2)
	listen(t, unix.AF_INET, "0.0.0.0", 5000)
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	want := forwardedTo(subject{sender, "239.1.1.1"}, next, frame, 0)
	want.State.Ports["p1"] = portCount{Seen: 1, Passed: 1}
	r.check(t, frame, want)
}

// listens listens on an address, or on the group if that is empty.
func listens(family int, addr string, port int) func(*testing.T, string) {
	return func(t *testing.T, group string) { listen(t, family, cmp.Or(addr, group), port) }
}

// listen binds a UDP socket in the test's namespace.
func listen(t *testing.T, family int, addr string, port int) int {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	ip := netip.MustParseAddr(addr)
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
	if family == unix.AF_INET {
		to = &unix.SockaddrInet4{Port: port, Addr: ip.As4()}
	}
	if err := unix.Bind(fd, to); err != nil {
		t.Fatalf("bind %s: %v", addr, err)
	}
	tv := unix.NsecToTimeval(int64(5 * time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	return fd
}

// TestHostSocketsReceive: real sockets of the host get what they joined on a
// port, and so do the subscribers of other ports.
func TestHostSocketsReceive(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprint("clsact ", clsact), func(t *testing.T) {
			r := newRig(t, 2, func(o *Options) { o.ForceClsact = clsact })
			port := r.ports[1].Port
			bpftest.Sysctl(t, "net/ipv6/conf/p1/disable_ipv6", "0")
			for _, name := range []string{"all", "p1"} {
				bpftest.Sysctl(t, "net/ipv4/conf/"+name+"/rp_filter", "0")
			}
			for _, cidr := range []string{"192.0.2.1/24", "2001:db8::1/64"} {
				addr, err := netlink.ParseAddr(cidr)
				if err != nil {
					t.Fatal(err)
				}
				addr.Flags = unix.IFA_F_NODAD
				if err := netlink.AddrAdd(port, addr); err != nil {
					t.Fatal(err)
				}
			}
			v4 := listen(t, unix.AF_INET, "0.0.0.0", 5000)
			group := net.ParseIP("239.1.1.1").To4()
			if err := unix.SetsockoptIPMreqn(v4, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: [4]byte(group), Ifindex: int32(port.Index)}); err != nil {
				t.Fatal(err)
			}
			v6 := listen(t, unix.AF_INET6, "ff15::1", 5000)
			if err := unix.SetsockoptIPv6Mreq(v6, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
				&unix.IPv6Mreq{Multiaddr: netip.MustParseAddr("ff15::1").As16(), Interface: uint32(port.Index)}); err != nil {
				t.Fatal(err)
			}
			r.attach(t, 1)
			for group, fd := range map[string]int{"239.1.1.1": v4, "ff15::1": v6} {
				r.join(t, group, 0, 2)
				r.delivered(t)
				source := sender
				if fd == v6 {
					source = sender6
				}
				f := bpftest.UDP(source, group, "for the host, too")
				f.DstMAC = [6]byte(port.HardwareAddr) // made the group's
				r.captures[1].Inject(t, f.Bytes())
				buf := make([]byte, 100)
				n, _, err := unix.Recvfrom(fd, buf, 0)
				if err != nil || string(buf[:n]) != "for the host, too" {
					t.Errorf("%s: host got %q, %v", group, buf[:max(n, 0)], err)
				}
				f.DstMAC = [6]byte{}
				if got := r.delivered(t)["p2"]; len(got) != 1 || got[0] != fmt.Sprintf("%x", f.Bytes()) {
					t.Errorf("%s: subscriber got %v", group, got)
				}
			}
		})
	}
}
