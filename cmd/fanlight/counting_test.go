package main

import (
	byteorder "encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"

	"github.com/fanlight-io/fanlight/lab"
)

// kernelCount is a count that a program of the test keeps in the kernel: unlike
// a socket it misses nothing, however fast packets come.
type kernelCount struct {
	t testing.TB
	m *ebpf.Map
}

func newKernelCount(t testing.TB) kernelCount {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return kernelCount{t, m}
}

func (c kernelCount) value() uint64 {
	c.t.Helper()
	var n uint64
	if err := c.m.Lookup(uint32(0), &n); err != nil {
		c.t.Fatal(err)
	}
	return n
}

// add adds R7 to the count, and ends the program with ret.
func (c kernelCount) add(ret int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, c.m.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.AddAtomic.Mem(asm.R0, asm.R7, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, ret).WithSymbol("out"),
		asm.Return(),
	}
}

// countAtDevice counts the IPv4 datagrams to the group that reach the host's
// device; a super-packet counts as the datagrams that it holds.
func countAtDevice(t testing.TB, h *lab.Host, group netip.Addr) kernelCount {
	t.Helper()
	return countSlowly(t, h, group, 0)
}

// countSlowly is countAtDevice that takes the time of so many clock readings for
// each packet, some 50 ns each: a host that can't keep up.
func countSlowly(t testing.TB, h *lab.Host, group netip.Addr, readings int) kernelCount {
	t.Helper()
	c := newKernelCount(t)
	const gsoSegs = 164 // in struct __sk_buff
	program := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	for range readings {
		program = append(program, asm.FnKtimeGetNs.Call())
	}
	program = append(program,
		asm.LoadMem(asm.R7, asm.R6, gsoSegs, asm.Word),
		asm.JNE.Imm(asm.R7, 0, "load"),
		asm.Mov.Imm(asm.R7, 1),
		asm.LoadAbs(destinationOffset, asm.Word).WithSymbol("load"),
		asm.LoadImm(asm.R1, int64(byteorder.BigEndian.Uint32(group.AsSlice())), asm.DWord),
		asm.JNE.Reg(asm.R0, asm.R1, "out"),
	)
	attachAtDevice(t, h, append(program, c.add(-1)...))
	return c
}

// firstAtDevice keeps the time (CLOCK_MONOTONIC) at which the first IPv4
// datagram to the group reached the host's device since the last reset.
func firstAtDevice(t testing.TB, h *lab.Host, group netip.Addr) kernelCount {
	t.Helper()
	c := newKernelCount(t)
	attachAtDevice(t, h, asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadAbs(destinationOffset, asm.Word),
		asm.LoadImm(asm.R1, int64(byteorder.BigEndian.Uint32(group.AsSlice())), asm.DWord),
		asm.JNE.Reg(asm.R0, asm.R1, "out"),
		asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, -4, asm.R1, asm.Word),
		asm.LoadMapPtr(asm.R1, c.m.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "out"),
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "out"),
		asm.FnKtimeGetNs.Call(),
		asm.StoreMem(asm.R7, 0, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R0, -1).WithSymbol("out"),
		asm.Return(),
	})
	return c
}

func (c kernelCount) reset() {
	c.t.Helper()
	if err := c.m.Put(uint32(0), uint64(0)); err != nil {
		c.t.Fatal(err)
	}
}

// destinationOffset is where an untagged IPv4 frame says where it goes.
const destinationOffset = 14 + 16

// attachAtDevice runs the program for every frame that reaches the host.
func attachAtDevice(t testing.TB, h *lab.Host, program asm.Instructions) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, License: "GPL", Instructions: program})
	if err != nil {
		t.Fatalf("load program: %+v", err)
	}
	t.Cleanup(func() { prog.Close() })
	err = h.Namespace().Do(func() error {
		at, err := h.Namespace().Handle().LinkByName(h.Interface)
		if err != nil {
			return err
		}
		l, err := link.AttachTCX(link.TCXOptions{Interface: at.Attrs().Index, Program: prog, Attach: ebpf.AttachTCXIngress})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// countDrops counts the IPv4 packets to the group that the kernel frees as
// dropped, anywhere on the machine.
func countDrops(t testing.TB, group netip.Addr) kernelCount {
	t.Helper()
	c := newKernelCount(t)
	head, network := offsetInSkb(t, "head"), offsetInSkb(t, "network_header")
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.RawTracepoint, License: "GPL",
		Instructions: append(asm.Instructions{
			asm.LoadMem(asm.R6, asm.R1, 0, asm.DWord), // the skb
			// R8 = skb->head
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -16), asm.Mov.Imm(asm.R2, 8),
			asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Imm(asm.R3, head), asm.FnProbeReadKernel.Call(),
			asm.LoadMem(asm.R8, asm.RFP, -16, asm.DWord),
			// R8 += skb->network_header
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -16), asm.Mov.Imm(asm.R2, 2),
			asm.Mov.Reg(asm.R3, asm.R6), asm.Add.Imm(asm.R3, network), asm.FnProbeReadKernel.Call(),
			asm.LoadMem(asm.R1, asm.RFP, -16, asm.Half), asm.Add.Reg(asm.R8, asm.R1),
			// the destination of the IPv4 header there
			asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, -16, asm.R1, asm.DWord),
			asm.Mov.Reg(asm.R1, asm.RFP), asm.Add.Imm(asm.R1, -16), asm.Mov.Imm(asm.R2, 4),
			asm.Mov.Reg(asm.R3, asm.R8), asm.Add.Imm(asm.R3, 16), asm.FnProbeReadKernel.Call(),
			asm.LoadMem(asm.R0, asm.RFP, -16, asm.Word),
			asm.Mov.Imm(asm.R7, 1),
			asm.LoadImm(asm.R1, int64(byteorder.NativeEndian.Uint32(group.AsSlice())), asm.DWord),
			asm.JNE.Reg(asm.R0, asm.R1, "out"),
		}, c.add(0)...),
	})
	if err != nil {
		t.Fatalf("load drop counter: %+v", err)
	}
	t.Cleanup(func() { prog.Close() })
	l, err := link.AttachRawTracepoint(link.RawTracepointOptions{Name: "kfree_skb", Program: prog})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return c
}

// offsetInSkb finds a member of struct sk_buff, in nested structs too.
func offsetInSkb(t testing.TB, member string) int32 {
	t.Helper()
	spec, err := btf.LoadKernelSpec()
	if err != nil {
		t.Fatal(err)
	}
	var skb *btf.Struct
	if err := spec.TypeByName("sk_buff", &skb); err != nil {
		t.Fatal(err)
	}
	offset, ok := findMember(skb.Members, member)
	if !ok {
		t.Fatalf("struct sk_buff has no member %s", member)
	}
	return int32(offset.Bytes())
}

func findMember(members []btf.Member, name string) (btf.Bits, bool) {
	for _, m := range members {
		if m.Name == name {
			return m.Offset, true
		}
		var inner []btf.Member
		switch typ := btf.UnderlyingType(m.Type).(type) {
		case *btf.Struct:
			inner = typ.Members
		case *btf.Union:
			inner = typ.Members
		}
		if m.Name == "" {
			if offset, ok := findMember(inner, name); ok {
				return m.Offset + offset, true
			}
		}
	}
	return 0, false
}
