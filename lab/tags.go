package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// addTags makes the sub-interfaces that carry VLAN tags.
func (h *Host) addTags(cfg HostConfig, mtu int) error {
	for _, vlan := range cfg.VLANs {
		name := vlanInterface(vlan)
		if err := h.addTag(h.Interface, name, vlan, netlink.VLAN_PROTOCOL_8021Q, mtu); err != nil {
			return err
		}
		if err := h.configure(name, addressesOnVLAN(vlan, h.Number)); err != nil {
			return err
		}
	}
	outer := make(map[uint16]bool)
	for _, q := range cfg.QinQ {
		if !outer[q.Outer] {
			if err := h.addTag(h.Interface, vlanInterface(q.Outer), q.Outer, netlink.VLAN_PROTOCOL_8021AD, mtu); err != nil {
				return err
			}
			if err := h.ns.setUp(vlanInterface(q.Outer)); err != nil {
				return err
			}
			outer[q.Outer] = true
		}
		// A veth has room for one tag above its MTU; the second takes 4 bytes of it.
		name := vlanInterface(q.Outer, q.Inner)
		if err := h.addTag(vlanInterface(q.Outer), name, q.Inner, netlink.VLAN_PROTOCOL_8021Q, mtu-4); err != nil {
			return err
		}
		if err := h.configure(name, addressesOnVLAN(q.Inner, h.Number)); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) addTag(parent, name string, vlan uint16, protocol netlink.VlanProtocol, mtu int) error {
	link, err := h.ns.Handle().LinkByName(parent)
	if err != nil {
		return fmt.Errorf("find %s: %w", parent, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex, attrs.MTU = name, link.Attrs().Index, mtu
	err = h.ns.Handle().LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: int(vlan), VlanProtocol: protocol})
	if errors.Is(err, unix.EOPNOTSUPP) { // the kernel has no VLAN interfaces
		return h.emulateTag(link, name, vlan, protocol, mtu)
	}
	return wrap(err, "add %s", name)
}

// addAddress adds an address that is usable at once: without duplicate address
// detection, which would also send packets.
func addAddress(handle *netlink.Handle, link netlink.Link, p netip.Prefix) error {
	ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	addr := &netlink.Addr{IPNet: ipnet}
	if p.Addr().Is6() {
		addr.Flags = unix.IFA_F_NODAD
	}
	return wrap(handle.AddrAdd(link, addr), "add address %s to %s", p, link.Attrs().Name)
}
