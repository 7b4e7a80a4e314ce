package doctor

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

func readLinks() ([]Link, error) {
	raw, err := netlink.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	links := make([]Link, 0, len(raw))
	for _, l := range raw {
		links = append(links, linkOf(l))
	}
	return links, nil
}

func linkOf(l netlink.Link) Link {
	a := l.Attrs()
	x := Link{
		Index: a.Index, Name: a.Name, Kind: l.Type(), Master: a.MasterIndex,
		Up: a.RawFlags&unix.IFF_UP != 0, Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
		Multicast: a.RawFlags&unix.IFF_MULTICAST != 0, Loopback: a.RawFlags&unix.IFF_LOOPBACK != 0,
		AllMulti: a.Promisc != 0 || a.Allmulti != 0,
		XDP:      xdpMode(a.Xdp),
	}
	switch l := l.(type) {
	case *netlink.Vlan:
		x.Parent, x.VLAN = a.ParentIndex, uint16(l.VlanId)
	case *netlink.Macvlan, *netlink.IPVlan:
		x.Parent = a.ParentIndex // of a veth it is the other end's index
	}
	if s := a.Statistics; s != nil {
		x.Received, x.Missed = s.RxPackets, s.RxMissedErrors+s.RxFifoErrors+s.RxOverErrors
	}
	return x
}

// xdpMode names the way of attachment (linux/if_link.h, XDP_ATTACHED_*).
func xdpMode(x *netlink.LinkXdp) string {
	switch {
	case x == nil || !x.Attached:
		return ""
	case x.AttachMode == nl.XDP_ATTACHED_SKB:
		return "xdpgeneric"
	case x.AttachMode == nl.XDP_ATTACHED_HW:
		return "xdpoffload"
	}
	return "xdpdrv"
}

func readAddresses() (list []netip.Addr, err error) {
	raw, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, a := range raw {
		if x, ok := netip.AddrFromSlice(a.IP); ok {
			list = append(list, x.Unmap())
		}
	}
	return list, nil
}

// routeTo asks the routing table. That there is no route is an answer.
func routeTo(a netip.Addr) (Route, error) {
	routes, err := netlink.RouteGet(net.IP(a.AsSlice()))
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EACCES):
		return Route{}, nil
	case err != nil:
		return Route{}, fmt.Errorf("ask for a route: %w", err)
	case len(routes) == 0:
		return Route{}, nil
	}
	return Route{Index: routes[0].LinkIndex, Found: true}, nil
}

// readPrograms lists what sees packets of the interface before IP does.
func readPrograms(l Link) ([]Program, error) {
	var list []Program
	if l.XDP != "" {
		list = append(list, Program{Hook: "xdp"})
	}
	tcx, err := link.QueryPrograms(link.QueryOptions{Target: l.Index, Attach: ebpf.AttachTCXIngress})
	if err == nil {
		for _, p := range tcx.Programs {
			list = append(list, Program{Hook: "tcx", Name: programName(p.ID)})
		}
	} else if !errors.Is(err, ebpf.ErrNotSupported) && !errors.Is(err, unix.EINVAL) { // before 6.6
		return list, fmt.Errorf("list tcx programs: %w", err)
	}
	target, err := netlink.LinkByIndex(l.Index)
	if err != nil {
		return list, err
	}
	filters, err := netlink.FilterList(target, netlink.HANDLE_MIN_INGRESS)
	if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: no qdisc there
		return list, fmt.Errorf("list filters: %w", err)
	}
	for _, f := range filters {
		name := f.Type()
		if b, ok := f.(*netlink.BpfFilter); ok {
			name = b.Name
		}
		list = append(list, Program{Hook: "tc", Name: name})
	}
	return list, nil
}

func programName(id ebpf.ProgramID) string {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return fmt.Sprintf("program %d", id)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return fmt.Sprintf("program %d", id)
	}
	return info.Name
}
