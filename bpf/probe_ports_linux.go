package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// OtherPrograms names the programs at an interface's ingress that are not
// fanlight's, in the order in which they see packets: by tcx, then by clsact.
// The thread must be in the interface's network namespace.
func OtherPrograms(ifindex int) (names []string, err error) {
	r, err := link.QueryPrograms(link.QueryOptions{Target: ifindex, Attach: ebpf.AttachTCXIngress})
	// EINVAL: a kernel without tcx.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, ebpf.ErrNotSupported) {
		return nil, fmt.Errorf("query tcx programs of interface %d: %w", ifindex, explain(err))
	}
	if r != nil {
		for _, p := range r.Programs {
			if name := programName(p.ID); name != "replicate" {
				names = append(names, fmt.Sprintf("%s (tcx)", name))
			}
		}
	}
	at, err := netlink.LinkByIndex(ifindex)
	if err != nil {
		return nil, fmt.Errorf("find interface %d: %w", ifindex, err)
	}
	filters, err := netlink.FilterList(at, netlink.HANDLE_MIN_INGRESS)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list filters of %s: %w", at.Attrs().Name, err)
	}
	for _, f := range filters {
		if !isOurs(f) {
			names = append(names, filterText(f)+" (clsact)")
		}
	}
	return names, nil
}

// programName returns the number where the name may not be read.
func programName(id ebpf.ProgramID) string {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return fmt.Sprintf("program %d", id)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil || info.Name == "" {
		return fmt.Sprintf("program %d", id)
	}
	return info.Name
}

func filterText(f netlink.Filter) string {
	if b, ok := f.(*netlink.BpfFilter); ok && b.Name != "" {
		return b.Name
	}
	return fmt.Sprintf("%s filter of priority %d", f.Type(), f.Attrs().Priority)
}

// Feature reports whether an ethtool feature of the interface is on, by its name
// in the kernel's spelling. The thread must be in the interface's network
// namespace.
func Feature(iface, feature string) (on bool, err error) {
	family, err := netlink.GenlFamilyGet("ethtool")
	if err != nil {
		return false, fmt.Errorf("find ethtool netlink: %w", err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), 0)
	req.AddData(&nl.Genlmsg{Command: unix.ETHTOOL_MSG_FEATURES_GET, Version: 1})
	header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
	header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_NAME, nl.ZeroTerminated(iface))
	req.AddData(header)
	answers, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return false, fmt.Errorf("read features of %s: %w", iface, err)
	}
	for _, answer := range answers {
		active, err := nested(answer[nl.SizeofGenlmsg:], unix.ETHTOOL_A_FEATURES_ACTIVE)
		if err != nil {
			return false, fmt.Errorf("read features of %s: %w", iface, err)
		}
		if len(active) == 1 {
			return hasBit(active[0], feature)
		}
	}
	return false, fmt.Errorf("read features of %s: the kernel tells none", iface)
}

// hasBit looks for a name in a bit set in its long form, which lists the bits
// that are set.
func hasBit(bitset []byte, name string) (bool, error) {
	at := [][]byte{bitset}
	for _, typ := range []uint16{unix.ETHTOOL_A_BITSET_BITS, unix.ETHTOOL_A_BITSET_BITS_BIT, unix.ETHTOOL_A_BITSET_BIT_NAME} {
		var below [][]byte
		for _, attrs := range at {
			values, err := nested(attrs, typ)
			if err != nil {
				return false, err
			}
			below = append(below, values...)
		}
		at = below
	}
	return slices.ContainsFunc(at, func(b []byte) bool { return nl.BytesToString(b) == name }), nil
}

// nested returns the values of the attributes of one type.
func nested(attrs []byte, typ uint16) (values [][]byte, err error) {
	all, err := nl.ParseRouteAttr(attrs)
	if err != nil {
		return nil, fmt.Errorf("read bit set: %w", err)
	}
	for _, a := range all {
		if a.Attr.Type&nl.NLA_TYPE_MASK == typ {
			values = append(values, a.Value)
		}
	}
	return values, nil
}
