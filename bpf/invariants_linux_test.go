package bpf

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// sampleFrames are frames of all kinds, to start random ones from.
func sampleFrames() [][]byte {
	tag := bpftest.Tag{Protocol: 0x8100, ID: 5}
	v4, v6 := bpftest.UDP(sender, "239.1.1.1", "payload"), bpftest.UDP(sender6, "ff15::1", "payload")
	return [][]byte{
		v4.Bytes(),
		v6.Bytes(),
		bpftest.UDP(sender, "239.1.1.2", "nobody").Bytes(),
		bpftest.UDP(sender, "224.0.0.251", "everybody").Bytes(),
		bpftest.UDP(sender6, "ff01::1", "here").Bytes(),
		with(v4, func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{tag} }).Bytes(),
		with(v6, func(f *bpftest.Frame) { f.Tags = []bpftest.Tag{{Protocol: 0x88a8, ID: 9}, tag} }).Bytes(),
		with(v4, func(f *bpftest.Frame) { f.Options = []byte{0x94, 4, 0, 0} }).Bytes(),
		with(v4, func(f *bpftest.Frame) { f.FragmentOffset = 800 }).Bytes(),
		with(v6, func(f *bpftest.Frame) { f.MoreFragments = true }).Bytes(),
		with(v6, func(f *bpftest.Frame) {
			f.Extensions = []bpftest.Extension{{Type: 60, Body: []byte{0, 1, 4, 0, 0, 0, 0}}}
		}).Bytes(),
		bpftest.IGMP("192.0.2.7", "224.0.0.22", report3(2)).Bytes(),
		bpftest.IGMP("192.0.2.7", "224.0.0.1", []byte{0x11, 0, 0, 0, 0, 0, 0, 0}).Bytes(),
		bpftest.MLD("fe80::7", "ff02::16", []byte{143, 0, 0, 0, 0, 0, 0, 0}).Bytes(),
		bpftest.Frame{DstMAC: [6]byte{2}, Source: v4.Source, Group: v4.Source, TTL: 9, Protocol: 6}.Bytes(),
	}
}

// fateRig has members, a router and a port that is down.
func fateRig(t testing.TB) *rig {
	r := newRig(t, 4)
	r.join(t, "239.1.1.1", 0, 2, 3)
	r.join(t, "239.1.1.1", MakeVLAN(5, 0), 1, 2)
	r.join(t, "ff15::1", 0, 3, 4)
	r.setGroup(t, "232.1.1.1", 0, Forwarding{Sources: []SourcePorts{{bpftest.UDP(sender, "232.1.1.1", "").Source, r.at(2)}}})
	if err := r.d.Tables.SetSegment(SegmentKey{}, Segment{QuerierV4: true, Routers: r.at(4)}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEveryPacketHasOneFate: whatever a packet is, it is forwarded, passed or
// dropped, once, as the program's answer says; and all sums close.
func TestEveryPacketHasOneFate(t *testing.T) {
	r := fateRig(t)
	rng := rand.New(rand.NewPCG(1, 2))
	samples := sampleFrames()
	start := r.state(t)
	before := start
	packets := 1500
	if testing.Short() {
		packets = 300
	}
	for range packets {
		frame := append([]byte(nil), samples[rng.IntN(len(samples))]...)
		for range rng.IntN(4) {
			frame[rng.IntN(len(frame))] = byte(rng.Uint32())
		}
		if rng.IntN(4) == 0 {
			frame = frame[:min(len(frame), 34+rng.IntN(40))]
		}
		segs := uint32(1)
		if rng.IntN(4) == 0 {
			segs += rng.Uint32N(40)
		}
		action, ok := r.tryRun(t, frame, segs)
		if !ok {
			continue // no frame for this kernel's test runs
		}
		now := r.state(t)
		if err := oneFate(now.since(before), action, uint64(segs)); err != nil {
			t.Fatalf("frame %x: %v", frame, err)
		}
		before = now
		r.drain(t)
		r.handed(t)
	}
	got := before.since(start)
	for _, v := range []uint64{got.Ports["p1"].Forwarded, got.Ports["p1"].Passed, got.Ports["p1"].Dropped, got.Ports["p1"].Control} {
		if v < 10 {
			t.Errorf("too few packets of a kind to mean anything: %+v", got.Ports["p1"])
		}
	}
}

// tryRun runs the program on port 1 if the kernel takes the frame.
func (r *rig) tryRun(t testing.TB, frame []byte, segs uint32) (action string, ok bool) {
	t.Helper()
	in := skbContext{Ifindex: r.ports[1].Index(), GSOSegs: segs}
	if segs > 1 {
		in.GSOSize = 100
	}
	var out skbContext
	ret, err := r.d.replicate.Run(&ebpf.RunOptions{Data: frame, Context: in, ContextOut: &out})
	if err != nil {
		return "", false
	}
	switch {
	case ret == 4, ret == 1<<32-1 && out.CB[0] == 0xfa9117e5:
		return consume, true
	case ret == 1<<32-1:
		return next, true
	case ret == 2:
		return drop, true
	}
	t.Fatalf("frame %x: action %d", frame, ret)
	return "", false
}

// oneFate says what is wrong with what one packet changed.
func oneFate(s state, action string, segs uint64) error {
	p := s.Ports["p1"]
	var drops, stream, streamCopies, pairs uint64
	for _, c := range s.Drops {
		drops += c.Packets
	}
	for _, c := range s.Streams {
		stream += c.Packets
		streamCopies += c.Copies
	}
	for _, c := range s.Pairs {
		pairs += c.Packets
	}
	fates := map[string]bool{
		next + fmt.Sprint(portCount{Seen: segs, Passed: segs, Control: p.Control}):       true,
		next + fmt.Sprint(portCount{Seen: segs, Forwarded: segs, Control: p.Control}):    true,
		consume + fmt.Sprint(portCount{Seen: segs, Forwarded: segs, Control: p.Control}): true,
		drop + fmt.Sprint(portCount{Seen: segs, Dropped: segs, Control: p.Control}):      true,
	}
	switch {
	case !fates[action+fmt.Sprint(p)]:
		return fmt.Errorf("answer %s, but counted %+v", action, p)
	case drops != p.Dropped:
		return fmt.Errorf("%d in the drops table, %d dropped", drops, p.Dropped)
	case stream > segs, stream > 0 && p.Dropped > 0:
		return fmt.Errorf("%d counted in streams, port counted %+v", stream, p)
	case p.Control == 0 && p.Forwarded > 0 && stream != segs:
		return fmt.Errorf("forwarded, but %d in streams", stream)
	case p.Control == 0 && pairs != streamCopies:
		return fmt.Errorf("%d copies by port, %d by stream", pairs, streamCopies)
	case p.Forwarded == 0 && pairs > 0, p.Forwarded > 0 && pairs == 0:
		return fmt.Errorf("%d copies, port counted %+v", pairs, p)
	case len(s.Ports) != 1:
		return fmt.Errorf("more than one port counted: %v", s.Ports)
	}
	return nil
}

// TestAForwardIsNeverADrop: no tool that watches the kernel's drops sees the
// original of a packet that was forwarded.
func TestAForwardIsNeverADrop(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprint("clsact ", clsact), func(t *testing.T) {
			r := newRig(t, 3, func(o *Options) { o.ForceClsact = clsact })
			if !r.d.Traced() {
				t.Skipf("this kernel's drops can't be watched: %v", r.d.Notes())
			}
			freed := watchDrops(t, [4]byte{239, 77, 78, byte(unix.Getpid())})
			group := fmt.Sprintf("239.77.78.%d", byte(unix.Getpid()))
			r.join(t, group, 0, 2, 3)
			r.attach(t, 1)
			// What arrives at the far ends ends there, not as a drop either.
			for _, p := range r.ports[2:] {
				if err := attachClsact(uint32(p.Far.Index), returning(t, ebpf.SchedCLS, 4)); err != nil {
					t.Fatal(err)
				}
			}
			const sent = 500
			for i := range sent {
				r.captures[1].Inject(t, bpftest.UDP(sender, group, numbered(i)).Bytes())
			}
			eventually(t, "all packets seen", func() bool { return r.state(t).Ports["p1"].Seen == sent })
			got := r.state(t)
			if got.Ports["p1"] != (portCount{Seen: sent, Forwarded: sent}) {
				t.Errorf("counted %+v", got.Ports["p1"])
			}
			if n := freed(); n != 0 {
				t.Errorf("%d of %d forwarded packets were seen as drops", n, sent)
			}
			if len(got.Failures) > len(CopyFailures()) || got.Produced["drop"] != 0 {
				t.Errorf("drops told: %v, %v", got.Failures, got.Produced)
			}
			// The watch works: a packet that is dropped is seen.
			if err := r.d.Tables.DeleteGroup(GroupKey{Group: bpftest.UDP(sender, group, "").Group}); err != nil {
				t.Fatal(err)
			}
			r.captures[1].Inject(t, bpftest.UDP(sender, group, "x").Bytes())
			eventually(t, "drop seen", func() bool { return freed() == 1 })
		})
	}
}

// watchDrops counts what kfree_skb frees as drops that is for an IPv4 group.
func watchDrops(t *testing.T, group [4]byte) func() uint64 {
	t.Helper()
	count, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { count.Close() })
	head, network := fieldOffset(t, "head"), fieldOffset(t, "network_header")
	read := func(to int16, size int32, from ...asm.Instruction) asm.Instructions {
		return append(asm.Instructions(from),
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, int32(to)), asm.Mov.Imm(asm.R2, size), asm.FnProbeReadKernel.Call())
	}
	var prog asm.Instructions
	prog = append(prog, asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord),
		asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord))
	prog = append(prog, read(-8, 8, asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Imm(asm.R3, head))...)
	prog = append(prog, read(-16, 2, asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Imm(asm.R3, network))...)
	prog = append(prog, read(-24, 4,
		asm.LoadMem(asm.R3, asm.RFP, -8, asm.DWord), asm.LoadMem(asm.R4, asm.RFP, -16, asm.DWord),
		asm.Add.Reg(asm.R3, asm.R4), asm.Add.Imm(asm.R3, 16))...)
	daddr := int32(uint32(group[0]) | uint32(group[1])<<8 | uint32(group[2])<<16 | uint32(group[3])<<24)
	prog = append(prog,
		asm.LoadMem(asm.R1, asm.RFP, -24, asm.Word),
		asm.JNE.Imm32(asm.R1, daddr, "out"),
		asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, count.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4), asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("out"), asm.Return(),
	)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.Tracing, AttachType: ebpf.AttachTraceRawTp, AttachTo: "kfree_skb", License: "GPL", Instructions: prog,
	})
	if err != nil {
		t.Fatalf("watch drops: %+v", err)
	}
	t.Cleanup(func() { p.Close() })
	l, err := link.AttachTracing(link.TracingOptions{Program: p})
	if err != nil {
		t.Fatalf("watch drops: %v", err)
	}
	t.Cleanup(func() { l.Close() })
	return func() (n uint64) {
		if err := count.Lookup(uint32(0), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// fieldOffset returns where a field of struct sk_buff is, in bytes.
func fieldOffset(t *testing.T, name string) int32 {
	t.Helper()
	kernel, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var skb *btf.Struct
	if err := kernel.TypeByName("sk_buff", &skb); err != nil {
		t.Fatal(err)
	}
	var find func(members []btf.Member, base btf.Bits) (btf.Bits, bool)
	find = func(members []btf.Member, base btf.Bits) (btf.Bits, bool) {
		for _, m := range members {
			if m.Name == name {
				return base + m.Offset, true
			}
			if m.Name != "" {
				continue
			}
			var inner []btf.Member
			switch typ := btf.UnderlyingType(m.Type).(type) {
			case *btf.Struct:
				inner = typ.Members
			case *btf.Union:
				inner = typ.Members
			}
			if at, ok := find(inner, base+m.Offset); ok {
				return at, true
			}
		}
		return 0, false
	}
	at, ok := find(skb.Members, 0)
	if !ok {
		t.Fatalf("struct sk_buff has no %s", name)
	}
	return int32(at.Bytes())
}
