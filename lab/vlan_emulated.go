package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kernels without the 8021q module get their VLAN interfaces from a veth pair
// and two small programs: eth0.100 is one end; what leaves by it arrives at the
// other, tag0.100, gets its tag there and leaves by eth0; what arrives at eth0
// with that tag loses it and comes back. Frames and sockets see no difference.
//
//	eth0.100 ── tag0.100 ⇄ push, pop ⇄ eth0 ── port

// Verdicts of a tc program: drop, or let the next filter decide.
const (
	actionShot   = 2
	actionUnspec = -1
)

// Offsets in struct __sk_buff.
const (
	skbVLANPresent = 20
	skbVLANTCI     = 24
	skbVLANProto   = 28
)

// emulateTag makes the VLAN interface name on parent.
func (h *Host) emulateTag(parent netlink.Link, name string, vlan uint16, protocol netlink.VlanProtocol, mtu int) error {
	handle := h.ns.Handle()
	inner := "tag0" + strings.TrimPrefix(name, hostInterface)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = name, mtu, h.MAC
	pair := netlink.NewVeth(attrs)
	pair.PeerName, pair.PeerMTU = inner, uint32(mtu)
	if err := handle.LinkAdd(pair); err != nil {
		return fmt.Errorf("add %s: %w", name, err)
	}
	if err := h.ns.setUp(inner); err != nil {
		return err
	}
	link, err := handle.LinkByName(inner)
	if err != nil {
		return fmt.Errorf("find %s: %w", inner, err)
	}
	push := pushAndRedirect(uint16(protocol), vlan, parent.Attrs().Index)
	if err := attachIngress(handle, link, "lab_push", push, 1); err != nil {
		return err
	}
	pop := popAndRedirect(uint16(protocol), vlan, link.Attrs().Index)
	return attachIngress(handle, parent, "lab_pop", pop, vlan)
}

// pushAndRedirect tags every frame and sends it out of an interface.
func pushAndRedirect(protocol, vlan uint16, ifindex int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R2, wireOrder(protocol)),
		asm.Mov.Imm(asm.R3, int32(vlan)),
		asm.FnSkbVlanPush.Call(),
		asm.JNE.Imm(asm.R0, 0, "shot"),
		asm.Mov.Imm(asm.R1, int32(ifindex)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, actionShot).WithSymbol("shot"),
		asm.Return(),
	}
}

// popAndRedirect takes the tag off frames that have this one and sends them out
// of an interface; others go on.
func popAndRedirect(protocol, vlan uint16, ifindex int) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, skbVLANPresent, asm.Word),
		asm.JEq.Imm(asm.R2, 0, "next"),
		asm.LoadMem(asm.R2, asm.R1, skbVLANProto, asm.Word),
		asm.JNE.Imm(asm.R2, wireOrder(protocol), "next"),
		asm.LoadMem(asm.R2, asm.R1, skbVLANTCI, asm.Word),
		asm.And.Imm(asm.R2, 0xfff), // without the priority
		asm.JNE.Imm(asm.R2, int32(vlan), "next"),
		asm.FnSkbVlanPop.Call(),
		asm.JNE.Imm(asm.R0, 0, "shot"),
		asm.Mov.Imm(asm.R1, int32(ifindex)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, actionUnspec).WithSymbol("next"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, actionShot).WithSymbol("shot"),
		asm.Return(),
	}
}

// wireOrder returns the number that a big-endian field reads as.
func wireOrder(v uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)))
}

// attachIngress runs a program on all that arrives at link. It lives as long as
// the link does.
func attachIngress(handle *netlink.Handle, link netlink.Link, name string, code asm.Instructions, priority uint16) error {
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: name, Type: ebpf.SchedCLS, Instructions: code, License: "GPL"})
	if err != nil {
		return fmt.Errorf("load %s: %w", name, err)
	}
	defer program.Close() // the filter holds its own reference
	index := link.Attrs().Index
	err = handle.QdiscAdd(&netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}})
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add clsact to %s: %w", link.Attrs().Name, err)
	}
	err = handle.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: index, Parent: netlink.HANDLE_MIN_INGRESS, Handle: 1, Protocol: unix.ETH_P_ALL, Priority: priority,
		},
		Fd: program.FD(), Name: name, DirectAction: true,
	})
	return wrap(err, "attach %s to %s", name, link.Attrs().Name)
}
