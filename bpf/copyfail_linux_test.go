package bpf

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestAFailedCopyNeverStopsTheNextOne: one port fails in one way after another;
// ports 3 and 4, behind it in the list, and port 1's sender notice nothing. The
// failure is counted by group, port and reason.
func TestAFailedCopyNeverStopsTheNextOne(t *testing.T) {
	for _, traced := range []bool{true, false} {
		t.Run(fmt.Sprint("traced ", traced), func(t *testing.T) {
			r := newRig(t, 4, func(o *Options) { o.NoCopyLoss = !traced })
			if traced != r.d.Traced() {
				t.Skipf("this kernel can't trace lost copies: %v", r.d.Notes())
			}
			r.setMTU(t, 9000)
			for i, row := range failures {
				t.Run(row.name, func(t *testing.T) {
					r.ns.Enter(t)
					row.check(t, r, netip.AddrFrom4([4]byte{239, 1, 1, byte(i)}).String(), traced)
				})
			}
		})
	}
}

// A failure is a way to lose a copy.
type failure struct {
	name string
	// prepare makes the port fail, and returns its interface index.
	prepare func(t *testing.T, r *rig, pair bpftest.Veth) uint32
	payload int
	traced  string // reason with the tracer
	plain   string // and without
	// silent: some kernels' devices answer success for what they drop, so that
	// only the tracer sees it.
	silent bool
}

var failures = []failure{
	{"no such port", func(*testing.T, *rig, bpftest.Veth) uint32 { return 99999 }, 10, "no_device", "no_device", false},
	{"port down", func(t *testing.T, _ *rig, p bpftest.Veth) uint32 {
		setDown(t, p.Port)
		return p.Index()
	}, 10, "port_down", "qdisc_full", false}, // the queue of a port that is down drops
	{"far end down", func(t *testing.T, _ *rig, p bpftest.Veth) uint32 {
		setDown(t, p.Far)
		eventually(t, "carrier lost", func() bool { // a deferred work of the kernel's
			l, err := netlink.LinkByIndex(p.Port.Index)
			return err == nil && l.Attrs().OperState == netlink.OperLowerLayerDown
		})
		return p.Index()
	}, 10, "port_down", "qdisc_full", false},
	{"frame longer than the MTU", func(_ *testing.T, _ *rig, p bpftest.Veth) uint32 {
		return p.Index()
	}, 1500, "too_big", "tx_dropped", true},
	{"frame one byte longer than the MTU allows", func(_ *testing.T, _ *rig, p bpftest.Veth) uint32 {
		return p.Index()
	}, 1500 + 18 - 42 + 1, "too_big", "tx_dropped", true},
	{"frame longer than the far end's MTU", func(t *testing.T, _ *rig, p bpftest.Veth) uint32 {
		if err := netlink.LinkSetMTU(p.Port, 9000); err != nil {
			t.Fatal(err)
		}
		return p.Index()
	}, 1500, "tx_dropped", "tx_dropped", true},
	{"refused by an egress filter", func(t *testing.T, _ *rig, p bpftest.Veth) uint32 {
		refuseEgress(t, p.Port)
		return p.Index()
	}, 10, "tx_dropped", "tx_dropped", false},
	{"full transmit ring", func(t *testing.T, r *rig, _ bpftest.Veth) uint32 {
		ifindex := addTap(t, "tap1", 1)
		r.setGroup(t, "239.1.2.1", 0, Forwarding{Any: []uint32{ifindex}})
		r.run(t, 1, bpftest.UDP(sender, "239.1.2.1", "x").Bytes(), 1) // the one that has room
		return ifindex
	}, 10, "ring_full", "tx_dropped", true},
}

// check sends a packet that is for the failing port first and for ports 3 and 4.
func (f failure) check(t *testing.T, r *rig, group string, traced bool) {
	bad := f.prepare(t, r, bpftest.AddVeth(t, "bad"+group[len("239.1.1."):]))
	r.names[bad] = "bad"
	if err := r.d.Tables.SetPort(bad, Port{Index: 9}); err != nil {
		t.Fatal(err)
	}
	r.setGroup(t, group, 0, Forwarding{Any: append([]uint32{bad}, r.at(3, 4)...)})
	frame := bpftest.UDP(sender, group, string(make([]byte, f.payload))).Bytes()
	before := r.state(t)
	r.drain(t)
	r.delivered(t)
	action := r.run(t, 1, frame, 1)
	got := r.state(t).since(before)
	if f.silent && !traced && len(got.Failures) == 0 {
		t.Skip("devices of this kernel answer success for what they drop")
	}
	reason := f.plain
	if traced {
		reason = f.traced
	}
	n := uint64(len(frame))
	want := state{
		Ports:    map[string]portCount{"p1": {Seen: 1, Forwarded: 1}},
		Streams:  map[string]streamCount{sender + ">" + group: {1, n, 3, 3 * n, 1}},
		Pairs:    map[string]count{group + " bad": {1, n}, group + " p3": {1, n}, group + " p4": {1, n}},
		Failures: map[string]count{reason + " " + group + " bad": {1, n}},
		Produced: map[string]uint64{"replication": 1, "drop": 1},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if action != consume {
		t.Errorf("action %s, want %s", action, consume)
	}
	whole := []string{fmt.Sprintf("%x", frame)}
	if diff := cmp.Diff(map[string][]string{"p3": whole, "p4": whole}, r.delivered(t)); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
	events := []string{
		fmt.Sprintf("d0 drop %s>%s bad copy %s packets 0 bytes %d failures 1 suppressed 0", sender, group, reason, n),
		fmt.Sprintf("d0 replication %s>%s p1 first fanout 0>3 generation 1 packets 1 copies 3 failures 1", sender, group),
	}
	if diff := cmp.Diff(events, r.drain(t)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestFullBacklog: more copies of one packet than the CPU's backlog has room
// for. Each one is delivered or counted.
func TestFullBacklog(t *testing.T) {
	r := newRig(t, 2)
	if !r.d.Traced() {
		t.Skipf("this kernel can't trace lost copies: %v", r.d.Notes())
	}
	copies := r.repeatPort(t, "239.1.1.1", 2)
	r.attach(t, 1) // a test run may empty the backlog after each copy
	before := r.state(t)
	r.captures[1].Inject(t, bpftest.UDP(sender, "239.1.1.1", "x").Bytes())
	eventually(t, "packet counted", func() bool { return r.state(t).since(before).Ports["p1"].Forwarded == 1 })
	arrived := uint64(len(r.captures[2].Frames(t)))
	got := r.state(t).since(before)
	lost := got.Failures["backlog_full 239.1.1.1 p2"].Packets
	if lost == 0 && arrived == copies {
		t.Skipf("a backlog of %d copies is not full: net.core.netdev_max_backlog was raised", copies)
	}
	if len(got.Failures) != 1 || arrived+lost != copies {
		t.Errorf("%d copies arrived of %d, failures %v", arrived, copies, got.Failures)
	}
	if s := got.Streams[sender+">239.1.1.1"]; s.Copies != copies || s.Failures != lost {
		t.Errorf("stream counted %+v, want %d copies and %d failures", s, copies, lost)
	}
}

// TestFullVethRing: with GRO on, a veth hands frames over through a ring.
func TestFullVethRing(t *testing.T) {
	r := newRig(t, 2)
	if !r.d.Traced() {
		t.Skipf("this kernel can't trace lost copies: %v", r.d.Notes())
	}
	addXDP(t, r.ports[2].Far)
	copies := r.repeatPort(t, "239.1.1.1", 2)
	r.attach(t, 1) // during a test run of older kernels an interrupt may empty the ring
	before := r.state(t)
	r.captures[1].Inject(t, bpftest.UDP(sender, "239.1.1.1", "x").Bytes())
	eventually(t, "packet counted", func() bool { return r.state(t).since(before).Ports["p1"].Forwarded == 1 })
	arrived := uint64(len(r.captures[2].Frames(t)))
	got := r.state(t).since(before)
	lost := got.Failures["ring_full 239.1.1.1 p2"].Packets
	if lost == 0 || len(got.Failures) != 1 || arrived+lost != copies {
		t.Errorf("%d copies arrived of %d, failures %v", arrived, copies, got.Failures)
	}
}

// TestFullQdisc: a port with a queueing discipline of its own, which is slow.
func TestFullQdisc(t *testing.T) {
	for _, traced := range []bool{true, false} {
		t.Run(fmt.Sprint("traced ", traced), func(t *testing.T) {
			r := newRig(t, 2, func(o *Options) { o.NoCopyLoss = !traced })
			if traced != r.d.Traced() {
				t.Skipf("this kernel can't trace lost copies: %v", r.d.Notes())
			}
			slowDown(t, r.ports[2].Port, 3000)
			r.join(t, "239.1.1.1", 0, 2)
			frame := bpftest.UDP(sender, "239.1.1.1", string(make([]byte, 400))).Bytes()
			before := r.state(t)
			const sent = 40
			for range sent {
				r.run(t, 1, frame, 1)
			}
			got := r.state(t).since(before)
			key := map[bool]string{true: "qdisc_full 239.1.1.1 p2", false: "tx_dropped 239.1.1.1 p2"}[traced]
			lost := got.Failures[key].Packets
			queued, dropped := queueOf(t, r.ports[2].Port)
			if lost == 0 || queued == 0 || lost != dropped || len(got.Failures) != 1 {
				t.Errorf("failures %v, the queue dropped %d and holds %d", got.Failures, dropped, queued)
			}
			if s := got.Streams[sender+">239.1.1.1"]; s.Failures != lost || s.Copies != sent {
				t.Errorf("stream counted %+v", s)
			}
		})
	}
}

// TestLossInsideVLANs: a lost copy is found under its tags, too.
func TestLossInsideVLANs(t *testing.T) {
	r := newRig(t, 3)
	if !r.d.Traced() {
		t.Skipf("this kernel can't trace lost copies: %v", r.d.Notes())
	}
	r.attach(t, 1)
	setDown(t, r.ports[2].Far)
	tag, service := bpftest.Tag{Protocol: 0x8100, ID: 5}, bpftest.Tag{Protocol: 0x88a8, ID: 100}
	for _, row := range []struct {
		vlan VLAN
		tags []bpftest.Tag
	}{
		{MakeVLAN(5, 0), []bpftest.Tag{tag}},
		{MakeVLAN(100, 5), []bpftest.Tag{service, tag}},
	} {
		t.Run(row.vlan.String(), func(t *testing.T) {
			r.ns.Enter(t)
			for _, f := range []bpftest.Frame{bpftest.UDP(sender, "239.1.1.1", "x"), bpftest.UDP(sender6, "ff15::1", "x")} {
				f.Tags = row.tags
				r.join(t, f.Group.String(), row.vlan, 2, 3)
				before := r.state(t)
				n := uint64(len(f.Bytes()))
				key := "port_down " + groupName(GroupKey{VLAN: row.vlan, Group: f.Group}) + " p2"
				want := map[string]count{key: {1, n}}
				r.captures[1].Inject(t, f.Bytes())
				eventually(t, "packet seen", func() bool { return r.state(t).Ports["p1"].Seen > before.Ports["p1"].Seen })
				if diff := cmp.Diff(want, r.state(t).since(before).Failures); diff != "" {
					t.Errorf("sent (-want +got):\n%s", diff)
				}
				before = r.state(t)
				r.run(t, 1, f.Bytes(), 1) // both tags in the packet
				if diff := cmp.Diff(want, r.state(t).since(before).Failures); diff != "" {
					t.Errorf("run (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestLateLoss: copies that waited in a port's queue and are freed there are
// counted when that happens, under their VLAN and with their tags' bytes.
func TestLateLoss(t *testing.T) {
	r := newRig(t, 2)
	if !r.d.Traced() {
		t.Skipf("this kernel can't trace lost copies: %v", r.d.Notes())
	}
	r.attach(t, 1)
	slowDown(t, r.ports[2].Port, 100000)
	f := bpftest.UDP(sender, "239.1.1.1", string(make([]byte, 400)))
	f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: 5}}
	r.join(t, "239.1.1.1", MakeVLAN(5, 0), 2)
	before := r.state(t)
	const sent = 40
	for range sent {
		r.captures[1].Inject(t, f.Bytes())
	}
	eventually(t, "packets seen", func() bool { return r.state(t).Ports["p1"].Seen == before.Ports["p1"].Seen+sent })
	queued, _ := queueOf(t, r.ports[2].Port)
	if queued == 0 {
		t.Fatal("nothing is queued")
	}
	if lost := r.state(t).since(before).Failures; len(lost) > 0 {
		t.Fatalf("lost too early: %v", lost)
	}
	setDown(t, r.ports[2].Port) // frees what its queue holds
	var got state
	lost := func() (n uint64) {
		got = r.state(t).since(before)
		for _, c := range got.Failures {
			n += c.Packets
		}
		return n
	}
	eventually(t, "losses counted", func() bool { return lost() >= queued })
	n := uint64(len(f.Bytes()))
	for key, c := range got.Failures {
		if c.Bytes != c.Packets*n {
			t.Errorf("%s: %+v, want %d bytes a packet", key, c, n)
		}
	}
	want := []string{"port_down 239.1.1.1@5 p2"}
	var keys []string
	for key := range got.Failures {
		keys = append(keys, key)
	}
	if diff := cmp.Diff(want, keys); diff != "" || lost() != queued {
		t.Errorf("%d lost of %d (-want +got):\n%s", lost(), queued, diff)
	}
}

// repeatPort makes a list by hand that names one port in every place, and
// returns how many copies it wants.
func (r *rig) repeatPort(t *testing.T, group string, port int) uint64 {
	t.Helper()
	r.join(t, group, 0, port)
	var list wireChunk
	first := r.d.Tables.groups[GroupKey{Group: bpftest.UDP(sender, group, "").Group}].any[0]
	if err := r.d.maps["chunks"].Lookup(first, &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Ifindex {
		list.Ifindex[i] = r.at(port)[0]
	}
	list.Next = first // for ever, which the program bounds
	if err := r.d.maps["chunks"].Put(first, list); err != nil {
		t.Fatal(err)
	}
	return MaxPortsPerGroup
}

func setDown(t *testing.T, l netlink.Link) {
	t.Helper()
	if err := netlink.LinkSetDown(l); err != nil {
		t.Fatal(err)
	}
}

// slowDown lets the port send next to nothing, and queue limit bytes.
func slowDown(t *testing.T, l netlink.Link, limit uint32) {
	t.Helper()
	tbf := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		Rate:       400, Buffer: netlink.Xmittime(400, 1600), Limit: limit,
	}
	if err := netlink.QdiscAdd(tbf); err != nil {
		t.Skipf("no tbf queueing discipline: %v", err)
	}
}

// queueOf returns how many packets the port's queue holds, and has dropped.
func queueOf(t *testing.T, l netlink.Link) (queued, dropped uint64) {
	t.Helper()
	qdiscs, err := netlink.QdiscList(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range qdiscs {
		if s := q.Attrs().Statistics; s != nil && q.Type() == "tbf" {
			return uint64(s.Queue.Qlen), uint64(s.Queue.Drops)
		}
	}
	t.Fatal("no queue found")
	return 0, 0
}

// addTap makes a tap device whose ring has room for n frames and no reader.
func addTap(t *testing.T, name string, n int) uint32 {
	t.Helper()
	fd, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no tap devices: %v", err)
	}
	t.Cleanup(func() { fd.Close() })
	req, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	req.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(fd.Fd()), unix.TUNSETIFF, req); err != nil {
		t.Fatal(err)
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetTxQLen(l, n); err != nil {
		t.Fatal(err)
	}
	// A queue of its own would hold frames back before the ring.
	if err := netlink.QdiscReplace(&netlink.GenericQdisc{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT},
		QdiscType:  "noqueue",
	}); err != nil {
		t.Fatalf("set noqueue: %v", err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		t.Fatal(err)
	}
	return uint32(l.Attrs().Index)
}

// refuseEgress drops all that leaves by the interface.
func refuseEgress(t *testing.T, l netlink.Link) {
	t.Helper()
	index := l.Attrs().Index
	prog := returning(t, ebpf.SchedCLS, 2)
	qdisc := clsactOf(uint32(index))
	if err := netlink.QdiscAdd(qdisc); err != nil {
		t.Fatal(err)
	}
	filter := filterOf(uint32(index))
	filter.Parent, filter.Name, filter.Fd = netlink.HANDLE_MIN_EGRESS, "refuse", prog.FD()
	if err := netlink.FilterAdd(filter); err != nil {
		t.Fatal(err)
	}
}

// addXDP gives the interface a program that passes everything, in its driver.
func addXDP(t *testing.T, l netlink.Link) {
	t.Helper()
	x, err := link.AttachXDP(link.XDPOptions{
		Program: returning(t, ebpf.XDP, 2), Interface: l.Attrs().Index, Flags: link.XDPDriverMode,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
}

func returning(t *testing.T, typ ebpf.ProgramType, value int32) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: typ, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, value), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog
}
