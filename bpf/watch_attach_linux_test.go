package bpf

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// everyHook runs the test with each hook that this kernel has.
func everyHook(t *testing.T, fn func(t *testing.T, o WatchOptions)) {
	for name, o := range map[string]WatchOptions{"tcx": {}, "clsact": {ForceClsact: true}} {
		if name == "tcx" && probeTCX() != nil {
			continue
		}
		t.Run(name, func(t *testing.T) { fn(t, o) })
	}
}

// TestWatchOnAnInterface: what comes in and what goes out is counted, each once,
// and goes on.
func TestWatchOnAnInterface(t *testing.T) {
	everyHook(t, func(t *testing.T, o WatchOptions) {
		r := newWatchRig(t, o)
		capture := bpftest.NewCapture(t, r.pair)
		in := bpftest.UDP("10.0.0.1", "239.1.1.1", "in").Bytes()
		out := bpftest.UDP("10.0.0.2", "239.1.1.1", "outgoing").Bytes()
		for range 10 {
			capture.Inject(t, in)
		}
		for range 7 {
			sendOut(t, r.pair, out)
		}
		frames := capture.Frames(t)
		want := map[string]count{
			"in 10.0.0.1>239.1.1.1":  {10, 10 * uint64(len(in))},
			"out 10.0.0.2>239.1.1.1": {7, 7 * uint64(len(out))},
		}
		if diff := cmp.Diff(want, amounts(r.counted(t))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if len(frames) != 7 || string(frames[0]) != string(out) {
			t.Errorf("%d frames arrived, want 7 as they were sent", len(frames))
		}
	})
}

// sendOut sends a frame through the port.
func sendOut(t testing.TB, pair bpftest.Veth, frame []byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: int(pair.Index()), Halen: 6}); err != nil {
		t.Fatal(err)
	}
}

// TestWatchLeavesOthersAlone: programs that were on the interface see every
// packet still, and their verdict holds.
func TestWatchLeavesOthersAlone(t *testing.T) {
	everyHook(t, func(t *testing.T, o WatchOptions) {
		bpftest.Require(t)
		r := &watchRig{ns: bpftest.NewNamespace(t)}
		var err error
		if r.w, err = LoadWatch(o); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := r.w.Close(); err != nil {
				t.Error(err)
			}
		}()
		r.pair = bpftest.AddVeth(t, "p1")
		drop, seen := counter(t)
		f := filterOf(r.pair.Index())
		f.Priority, f.Name, f.Fd = 7, "somebody", drop.FD()
		if err := errors.Join(netlink.QdiscAdd(clsactOf(r.pair.Index())), netlink.FilterReplace(f)); err != nil {
			t.Fatal(err)
		}
		if r.w.Hook() == "tcx" {
			l, err := link.AttachTCX(link.TCXOptions{Interface: int(r.pair.Index()), Program: drop, Attach: ebpf.AttachTCXEgress})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
		}
		if err := r.w.Attach(r.pair.Index(), true); err != nil {
			t.Fatal(err)
		}
		capture := bpftest.NewCapture(t, r.pair)
		frame := bpftest.UDP("10.0.0.1", "239.1.1.1", "x").Bytes()
		for range 5 {
			capture.Inject(t, frame)
		}
		eventually(t, "the other program saw all", func() bool { return seen(t) == 5 })
		if got := amounts(r.counted(t))["in 10.0.0.1>239.1.1.1"]; r.w.Hook() == "tcx" && got.Packets != 5 {
			t.Errorf("counted %v, want 5", got)
		}
		if err := r.w.Detach(r.pair.Index()); err != nil {
			t.Fatal(err)
		}
		filters, err := netlink.FilterList(r.pair.Port, netlink.HANDLE_MIN_INGRESS)
		if err != nil || len(filters) != 1 {
			t.Errorf("%d filters are left, want the other one's: %v", len(filters), err)
		}
	})
}

// counter returns a program that counts and drops what it sees.
func counter(t *testing.T) (*ebpf.Program, func(*testing.T) uint64) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapValue(asm.R1, m.FD(), 0),
		asm.Mov.Imm(asm.R2, 1),
		asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 2), // TC_ACT_SHOT
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close(); m.Close() })
	return prog, func(t *testing.T) (n uint64) {
		t.Helper()
		if err := m.Lookup(uint32(0), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// TestWatchComesAndGoesUnderLoad: no packet is lost while programs are attached
// and detached again and again.
func TestWatchComesAndGoesUnderLoad(t *testing.T) {
	everyHook(t, func(t *testing.T, o WatchOptions) {
		r := newWatchRig(t, o)
		out := bpftest.NewCapture(t, r.pair)
		frame := bpftest.UDP("10.0.0.2", "239.1.1.1", "x").Bytes()
		const total = 2000
		var rounds atomic.Int32
		stop, done := make(chan struct{}), make(chan error)
		go func() {
			r.ns.Enter(t)
			for {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				if err := errors.Join(r.w.Detach(r.pair.Index()), r.w.Attach(r.pair.Index(), true)); err != nil {
					done <- err
					return
				}
				rounds.Add(1)
			}
		}()
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		arrived := 0
		for sent := 0; sent < total || rounds.Load() < 5; sent++ {
			if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: int(r.pair.Index()), Halen: 6}); err != nil {
				t.Fatal(err)
			}
			arrived--
			if sent%200 == 199 {
				arrived += len(out.Frames(t))
			}
		}
		close(stop)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if arrived += len(out.Frames(t)); arrived != 0 {
			t.Errorf("%d frames were lost over %d rounds", -arrived, rounds.Load())
		}
	})
}

// TestWatchMessages: membership messages are handed over whole, both ways, with
// where they were seen; more than an interface may hand over are counted.
func TestWatchMessages(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	reader, err := r.w.NewMessageReader()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	reader.SetDeadline(time.Unix(1, 0)) // never wait
	report := bpftest.IGMP("10.0.0.1", "224.0.0.22", []byte{0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 239, 1, 1, 1})
	tagged := with(report, func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 5}} })
	mld := bpftest.MLD("fe80::1", "ff02::16", []byte{143, 0, 0, 0, 0, 0, 0, 0})
	for _, row := range []struct {
		name      string
		program   string
		frame     bpftest.Frame
		direction Direction
		vlan      VLAN
	}{
		{"IGMP in", "watch_in", report, In, 0},
		{"IGMP out, tagged", "watch_out", tagged, Out, MakeVLAN(5, 0)},
		{"MLD in", "watch_in", mld, In, 0},
	} {
		r.run(t, row.program, row.frame.Bytes(), nil)
		m, err := reader.Read()
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		b := row.frame.Bytes()
		ip := b[14+4*len(row.frame.Tags):]
		if m.Direction != row.direction || m.VLAN != row.vlan || m.Ifindex != r.pair.Index() || string(m.IP) != string(ip) || m.Truncated || m.SrcMAC != bpftest.SenderMAC {
			t.Errorf("%s: %+v, want %x", row.name, m.IP, ip)
		}
	}
	r.run(t, "watch_in", bpftest.UDP("10.0.0.1", "239.1.1.1", "x").Bytes(), nil)
	if _, err := reader.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("data was handed over: %v", err)
	}
	run := ebpf.RunOptions{Data: report.Bytes(), Repeat: 5000, Context: skbContext{Ifindex: r.pair.Index()}}
	if _, err := r.w.coll.Programs["watch_in"].Run(&run); err != nil {
		t.Fatal(err)
	}
	outcomes, err := r.w.Outcomes()
	if err != nil {
		t.Fatal(err)
	}
	handed := uint64(0)
	for !reader.Empty() {
		if _, err := reader.Read(); err == nil {
			handed++
		}
	}
	limited := outcomes[WatchOutcome(wireWatchOutcomeWATCH_RATE_LIMITED)]
	full := outcomes[WatchOutcome(wireWatchOutcomeWATCH_RING_FULL)]
	if handed+limited+full != 5000 || limited < 3000 {
		t.Errorf("5000 messages: %d handed over, %d refused by rate, %d for want of room", handed, limited, full)
	}
}

// TestWatchDevicesWithoutEthernet: what a tun device receives and sends begins
// with the IP header.
func TestWatchDevicesWithoutEthernet(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		t.Skipf("this kernel has no tun devices: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	req, err := unix.NewIfreq("tun1")
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
	tun, err := netlink.LinkByName("tun1")
	if err == nil {
		err = netlink.LinkSetUp(tun)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.w.Attach(uint32(tun.Attrs().Index), false); err != nil {
		t.Fatal(err)
	}
	packet := bpftest.UDP("10.0.0.1", "239.1.1.1", strings.Repeat("x", 50)).Bytes()[14:]
	for range 4 {
		if _, err := f.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	local := netip.MustParseAddr("10.0.0.9").As4()
	if err := netlink.AddrAdd(tun, &netlink.Addr{IPNet: netlink.NewIPNet(local[:])}); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(tun.Attrs().Index)}),
		unix.Sendto(fd, make([]byte, 30), 0, &unix.SockaddrInet4{Port: 5000, Addr: netip.MustParseAddr("239.1.1.2").As4()}),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]count{
		"in 10.0.0.1>239.1.1.1":  {4, 4 * uint64(len(packet))},
		"out 10.0.0.9>239.1.1.2": {1, 20 + 8 + 30},
	}
	eventually(t, "packets counted", func() bool { return cmp.Equal(want, withoutControl(amounts(r.counted(t)))) })
}

// withoutControl leaves out what the kernel itself sends.
func withoutControl(got map[string]count) map[string]count {
	for name := range got {
		if strings.Contains(name, ">224.0.0.") || strings.Contains(name, ">ff02::") {
			delete(got, name)
		}
	}
	return got
}

// TestWatchPeaksUnderLoad: whatever the reader does meanwhile, every burst shows
// up in one reading at least, and amounts are never more than was sent.
func TestWatchPeaksUnderLoad(t *testing.T) {
	r := newWatchRig(t, WatchOptions{})
	frame := bpftest.UDP("10.0.0.1", "239.1.1.1", "").Bytes()
	const rounds, burst = 50, 20
	var peak uint64
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		var total uint64
		for {
			select {
			case <-stop:
				done <- total
				return
			default:
			}
			if err := r.w.Read(func(_ WatchKey, w *Watched) { peak = max(peak, w.Peaks.Packets[1]); total = max(total, w.Packets) }); err != nil {
				t.Error(err)
			}
		}
	}()
	run := ebpf.RunOptions{Data: frame, Repeat: burst, Context: skbContext{Ifindex: r.pair.Index()}}
	for range rounds {
		if _, err := r.w.coll.Programs["watch_in"].Run(&run); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	total := <-done
	for _, w := range r.counted(t) {
		peak, total = max(peak, w.Peaks.Packets[1]), max(total, w.Packets)
	}
	if peak < burst || total != rounds*burst {
		t.Errorf("peak of 100 ms is %d of bursts of %d, %d packets of %d", peak, burst, total, rounds*burst)
	}
}
