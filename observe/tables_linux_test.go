package observe

import (
	"encoding/binary"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// ip runs iproute2 in the thread's namespace.
func ip(t *testing.T, args string) {
	t.Helper()
	path, err := exec.LookPath("ip")
	if err == nil {
		path, err = exec.LookPath("bridge")
	}
	if err != nil {
		t.Fatalf("iproute2 is needed: %v", err)
	}
	name, rest, _ := strings.Cut(args, " ")
	if out, err := exec.Command(name, strings.Fields(rest)...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s (%s)", args, err, out, path)
	}
}

func index(t *testing.T, name string) uint32 {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(l.Attrs().Index)
}

// TestReadBridges reads what `bridge mdb` wrote.
func TestReadBridges(t *testing.T) {
	bpftest.Require(t)
	bpftest.NewNamespace(t)
	ip(t, "ip link add br0 type bridge mcast_snooping 1 mcast_igmp_version 3")
	ip(t, "ip link add p1 type veth peer name far1")
	ip(t, "ip link set p1 master br0")
	ip(t, "ip link set br0 up")
	ip(t, "ip link set p1 up")
	ip(t, "bridge mdb add dev br0 port p1 grp 239.1.1.1 permanent")
	ip(t, "bridge mdb add dev br0 port p1 grp 239.1.1.2 src 10.0.0.1 permanent")
	ip(t, "bridge mdb add dev br0 port p1 grp ff15::1 permanent")
	all, err := readBridges()
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(e bridgeEntry) bool { return isLinkLocal(e.group) })
	slices.SortFunc(all, func(a, b bridgeEntry) int { return a.group.Compare(b.group) })
	br, p := index(t, "br0"), index(t, "p1")
	want := []bridgeEntry{
		{br, p, 0, addr("239.1.1.1"), netip.Addr{}},
		{br, p, 0, addr("239.1.1.2"), addr("10.0.0.1")},
		{br, p, 0, addr("ff15::1"), netip.Addr{}},
	}
	if diff := cmp.Diff(want, all, compareUnexported, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Of linux/mroute.h.
const (
	mrtInit   = 200
	mrtAddVIF = 202
	mrtAddMFC = 204

	sizeofVIF = 16 // struct vifctl
	sizeofMFC = 60 // struct mfcctl
)

// TestReadRoutes makes a route as a routing daemon does, sends by it and by the
// wrong interface, and reads the counters.
func TestReadRoutes(t *testing.T) {
	bpftest.Require(t)
	bpftest.NewNamespace(t)
	in, other, out := bpftest.AddVeth(t, "in"), bpftest.AddVeth(t, "other"), bpftest.AddVeth(t, "out")
	for i, l := range []bpftest.Veth{in, other, out} {
		if err := netlink.AddrAdd(l.Port, &netlink.Addr{IPNet: netlink.NewIPNet([]byte{10, 0, byte(i), 1})}); err != nil {
			t.Fatal(err)
		}
		bpftest.Sysctl(t, "net/ipv4/conf/"+l.Port.Name+"/rp_filter", "0")
	}
	bpftest.Sysctl(t, "net/ipv4/conf/all/rp_filter", "0")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_IGMP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, mrtInit, 1); err != nil {
		t.Skipf("this kernel routes no multicast: %v", err)
	}
	for i, l := range []bpftest.Veth{in, other, out} {
		vif := make([]byte, sizeofVIF)
		binary.NativeEndian.PutUint16(vif, uint16(i))
		vif[2], vif[3] = 8, 1 // by interface index; threshold
		binary.NativeEndian.PutUint32(vif[8:], l.Index())
		if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, mrtAddVIF, string(vif)); err != nil {
			t.Fatal(err)
		}
	}
	mfc := make([]byte, sizeofMFC)
	copy(mfc, []byte{10, 0, 0, 9, 239, 1, 1, 1})
	mfc[10+2] = 1 // ttls[2]: to the third
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, mrtAddMFC, string(mfc)); err != nil {
		t.Fatal(err)
	}
	frame := bpftest.UDP("10.0.0.9", "239.1.1.1", strings.Repeat("x", 100)).Bytes()
	right, wrong := bpftest.NewCapture(t, in), bpftest.NewCapture(t, other)
	for range 5 {
		right.Inject(t, frame)
	}
	for range 3 {
		wrong.Inject(t, frame)
	}
	all, err := readRoutes()
	if err != nil {
		t.Fatal(err)
	}
	want := []route{{
		table: unix.RT_TABLE_DEFAULT, source: addr("10.0.0.9"), group: addr("239.1.1.1"), from: in.Index(), to: []uint32{out.Index()},
		packets: 8, bytes: 8 * uint64(len(frame)-14), wrongInterface: 3,
	}}
	if diff := cmp.Diff(want, all, compareUnexported, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzParseNetlink(f *testing.F) {
	f.Add(make([]byte, sizeofMDBEntry))
	f.Add(append([]byte{familyIPMR, 32, 32}, make([]byte, 40)...))
	f.Add([]byte{7, 0, 0, 0, 1, 0, 0, 0, 8, 0, 1, 0, 4, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = appendBridge(nil, b)
		if r, ok, err := parseRoute(b); ok && (err != nil || !r.group.IsValid()) {
			t.Errorf("a route to %v: %v", r.group, err)
		}
	})
}
