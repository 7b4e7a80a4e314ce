package bpftest

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Namespace is a network namespace of the test's own. It ends with the test.
type Namespace struct {
	fd  *os.File
	cpu int
}

// NewNamespace moves the calling goroutine's thread into a new network
// namespace and binds it to one CPU, so that what it sends is handled in order.
// The thread never goes back to the runtime's pool: it ends with the goroutine.
// IPv6 is off on interfaces made there, for the kernel to be silent.
func NewNamespace(t testing.TB) *Namespace {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("new network namespace: %v", err)
	}
	fd, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fd.Close() })
	n := &Namespace{fd: fd, cpu: allowedCPU(t)}
	n.bind(t)
	Sysctl(t, "net/ipv6/conf/default/disable_ipv6", "1")
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	return n
}

// Enter moves the goroutine of a subtest into the namespace, for good.
func (n *Namespace) Enter(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Setns(int(n.fd.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatalf("enter namespace: %v", err)
	}
	n.bind(t)
}

func (n *Namespace) bind(t testing.TB) {
	t.Helper()
	var set unix.CPUSet
	set.Set(n.cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		t.Fatalf("bind to CPU %d: %v", n.cpu, err)
	}
}

func allowedCPU(t testing.TB) int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	for cpu := range 1024 {
		if set.IsSet(cpu) {
			return cpu
		}
	}
	t.Fatal("no CPU allowed")
	return 0
}

// Sysctl sets a value below /proc/sys, as the calling thread sees it.
func Sysctl(t testing.TB, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0o644); err != nil && !os.IsNotExist(err) {
		t.Fatalf("set %s: %v", name, err)
	}
}

// Veth is a pair of connected interfaces: the port, and the far end, where a
// subscriber or a sender would be.
type Veth struct {
	Port, Far *netlink.Veth
}

// AddVeth makes a pair of the names port and far-port, both up. Change may
// change its attributes, if given.
func AddVeth(t testing.TB, port string, change ...func(*netlink.Veth)) Veth {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = port
	attrs.TxQLen = 1000
	v := &netlink.Veth{LinkAttrs: attrs, PeerName: "far-" + port}
	for _, c := range change {
		c(v)
	}
	if err := netlink.LinkAdd(v); err != nil {
		t.Fatalf("add veth %s: %v", port, err)
	}
	pair := Veth{Port: vethByName(t, port), Far: vethByName(t, v.PeerName)}
	for _, l := range []netlink.Link{pair.Far, pair.Port} {
		if err := netlink.LinkSetUp(l); err != nil {
			t.Fatalf("set %s up: %v", l.Attrs().Name, err)
		}
	}
	for _, l := range []netlink.Link{pair.Far, pair.Port} {
		waitForCarrier(t, l)
	}
	return pair
}

// waitForCarrier waits until the interface sends: the kernel opens its queue
// some time after the carrier came, and drops in silence until then.
func waitForCarrier(t testing.TB, l netlink.Link) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		now, err := netlink.LinkByIndex(l.Attrs().Index)
		if err != nil {
			t.Fatalf("look at %s: %v", l.Attrs().Name, err)
		}
		if now.Attrs().OperState == netlink.OperUp {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s has no carrier", l.Attrs().Name)
}

func vethByName(t testing.TB, name string) *netlink.Veth {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("find %s: %v", name, err)
	}
	v, ok := l.(*netlink.Veth)
	if !ok {
		t.Fatal(fmt.Errorf("%s is a %s", name, l.Type()))
	}
	return v
}

// Index returns the port's interface index.
func (v Veth) Index() uint32 { return uint32(v.Port.Index) }
