package lab

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	hostInterface = "eth0"
	portPrefix    = "p-"
	maxNameLen    = 15 - len(portPrefix) // IFNAMSIZ without its NUL
)

// HostConfig describes a host.
type HostConfig struct {
	// Name is at most 13 lower-case letters, digits and dashes.
	Name string
	// IGMPVersion forces version 1, 2 or 3; 0 leaves 3 with fallback to what
	// the querier speaks.
	IGMPVersion int
	// MLDVersion forces version 1 or 2; 0 leaves 2 with fallback.
	MLDVersion int
	// ReportRepeat bounds the random time after which the host repeats an
	// unsolicited report; 0 means 20 ms, so that a network is soon quiet (the
	// RFCs say 1 s, and 10 s for the old versions).
	ReportRepeat time.Duration
	// VLANs gives the host an 802.1Q sub-interface eth0.V with addresses for each.
	VLANs []uint16
	// QinQ gives the host a sub-interface eth0.OUTER.INNER with addresses for each.
	QinQ []QinQ
	// Features are ethtool features to set, such as "rx-gro", on eth0.
	Features map[string]bool
	// PortFeatures are ethtool features to set on the port in the switch.
	PortFeatures map[string]bool
}

// QinQ is a pair of VLAN tags: 802.1ad outside, 802.1Q inside.
type QinQ struct {
	Outer, Inner uint16
}

func (c HostConfig) validate() error {
	if !validName.MatchString(c.Name) || len(c.Name) > maxNameLen {
		return fmt.Errorf("want a name of at most %d lower-case letters, digits and dashes", maxNameLen)
	}
	if c.Name == "switch" {
		return errors.New(`the name "switch" is taken by the switch`)
	}
	if c.IGMPVersion < 0 || c.IGMPVersion > 3 {
		return fmt.Errorf("IGMP version %d: want 1, 2, 3 or 0", c.IGMPVersion)
	}
	if c.MLDVersion < 0 || c.MLDVersion > 2 {
		return fmt.Errorf("MLD version %d: want 1, 2 or 0", c.MLDVersion)
	}
	for _, v := range c.VLANs {
		if v < 1 || v > 4094 {
			return fmt.Errorf("VLAN %d: want 1 to 4094", v)
		}
	}
	for _, q := range c.QinQ {
		if q.Outer < 1 || q.Outer > 4094 || q.Inner < 1 || q.Inner > 4094 {
			return fmt.Errorf("VLANs %d.%d: want 1 to 4094", q.Outer, q.Inner)
		}
		if slices.Contains(c.VLANs, q.Outer) {
			return fmt.Errorf("VLAN %d is both 802.1Q and the outer tag of %d.%d", q.Outer, q.Outer, q.Inner)
		}
	}
	return nil
}

// Host is one end system: a namespace with an interface eth0 whose other end is
// a port of the switch. Its methods may be called concurrently.
type Host struct {
	// Name is the name from the configuration.
	Name string
	// Number decides the addresses; see Addresses.
	Number int
	// Interface is the name of the interface inside the host: eth0.
	Interface string
	// Port is the name of the other end in the switch namespace: p-NAME.
	Port string
	// MAC is the link-layer address of Interface.
	MAC net.HardwareAddr
	// Addr4 and Addr6 are the global addresses of Interface.
	Addr4, Addr6 netip.Addr

	ns     *Namespace
	sw     *Namespace
	ifaces map[string]hostIface // by name; fixed once the host is made
	stream atomic.Uint32        // counts streams, for their ids

	mu     sync.Mutex
	open   map[io.Closer]struct{} // sockets that the host closes when it goes
	closed bool
}

type hostIface struct {
	index int
	addrs Addresses
}

func newHost(n *Net, cfg HostConfig, number int) (_ *Host, err error) {
	ns, err := newNamespace(n.owner, n.name+"-"+cfg.Name)
	if err != nil {
		return nil, err
	}
	addrs := addressesOf(number)
	h := &Host{
		Name: cfg.Name, Number: number, Interface: hostInterface, Port: portPrefix + cfg.Name,
		MAC: hostMAC(number), Addr4: addrs.V4.Addr(), Addr6: addrs.V6.Addr(),
		ns: ns, sw: n.sw,
		ifaces: make(map[string]hostIface), open: make(map[io.Closer]struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()

	repeat := cmp.Or(cfg.ReportRepeat, 20*time.Millisecond)
	if err := ns.quieten(membershipSysctls(cfg.IGMPVersion, cfg.MLDVersion, repeat)); err != nil {
		return nil, err
	}
	if err := ns.setUp("lo"); err != nil {
		return nil, err
	}
	if err := h.connect(n.mtu); err != nil {
		return nil, err
	}
	if err := ns.SetFeatures(h.Interface, cfg.Features); err != nil {
		return nil, err
	}
	if err := n.sw.SetFeatures(h.Port, cfg.PortFeatures); err != nil {
		return nil, err
	}
	if err := h.addTags(cfg, n.mtu); err != nil {
		return nil, err
	}
	return h, nil
}

// connect makes the cable between the host and the switch, and sets both ends up.
func (h *Host) connect(mtu int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = h.Port, mtu, portMAC(h.Number)
	cable := netlink.NewVeth(attrs)
	cable.PeerName, cable.PeerMTU, cable.PeerHardwareAddr = h.Interface, uint32(mtu), h.MAC
	cable.PeerNamespace = netlink.NsFd(h.ns.fd)
	sw := h.sw.Handle()
	if err := sw.LinkAdd(cable); err != nil {
		return fmt.Errorf("add port %s: %w", h.Port, err)
	}
	if err := h.sw.setUp(h.Port); err != nil {
		return err
	}
	if err := h.configure(h.Interface, addressesOf(h.Number)); err != nil {
		return err
	}
	// Sockets that name no interface still need a route to send multicast.
	route := &netlink.Route{
		LinkIndex: h.ifaces[h.Interface].index,
		Dst:       &net.IPNet{IP: net.IPv4(224, 0, 0, 0), Mask: net.CIDRMask(4, 32)},
	}
	return wrap(h.ns.Handle().RouteAdd(route), "add multicast route")
}

// configure gives an interface its addresses and sets it up.
func (h *Host) configure(iface string, addrs Addresses) error {
	link, err := h.ns.Handle().LinkByName(iface)
	if err != nil {
		return fmt.Errorf("find %s: %w", iface, err)
	}
	if err := h.ns.Handle().LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s up: %w", iface, err)
	}
	if err := h.ns.syncCarrier(iface); err != nil {
		return err
	}
	for _, p := range []netip.Prefix{addrs.V4, addrs.LinkLocal, addrs.V6} {
		if err := addAddress(h.ns.Handle(), link, p); err != nil {
			return err
		}
	}
	h.ifaces[iface] = hostIface{index: link.Attrs().Index, addrs: addrs}
	return nil
}

// Namespace returns the namespace of the host.
func (h *Host) Namespace() *Namespace { return h.ns }

// Addresses returns the addresses of one of the host's interfaces, such as
// "eth0" or "eth0.100".
func (h *Host) Addresses(iface string) (Addresses, error) {
	i, err := h.iface(iface)
	return i.addrs, err
}

// iface looks up an interface; the empty name means eth0.
func (h *Host) iface(name string) (hostIface, error) {
	i, ok := h.ifaces[cmp.Or(name, h.Interface)]
	if !ok {
		return hostIface{}, fmt.Errorf("host %s has no interface %q", h.Name, name)
	}
	return i, nil
}

// LinkStats are the kernel's counters of an interface.
type LinkStats = netlink.LinkStatistics

// Stats returns the counters of eth0: what reached the host, joined or not.
func (h *Host) Stats() (LinkStats, error) { return statsOf(h.ns, h.Interface) }

// PortStats returns the counters of the host's port, seen from the switch.
func (h *Host) PortStats() (LinkStats, error) { return statsOf(h.sw, h.Port) }

func statsOf(ns *Namespace, iface string) (LinkStats, error) {
	link, err := ns.Handle().LinkByName(iface)
	if err != nil {
		return LinkStats{}, fmt.Errorf("read counters of %s in %s: %w", iface, ns.name, err)
	}
	return *link.Attrs().Statistics, nil
}

// adopt makes the host close c when it goes. If it is gone already, it closes c
// at once and returns ErrClosed.
func (h *Host) adopt(c io.Closer) error {
	h.mu.Lock()
	closed := h.closed
	if !closed {
		h.open[c] = struct{}{}
	}
	h.mu.Unlock()
	if closed {
		return errors.Join(fmt.Errorf("host %s: %w", h.Name, ErrClosed), c.Close())
	}
	return nil
}

func (h *Host) disown(c io.Closer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, c)
}

// close closes the host's sockets and removes its port and namespace, for
// which it waits.
func (h *Host) close() error {
	err := h.closeSockets()
	port, findErr := h.sw.Handle().LinkByName(h.Port)
	switch {
	case findErr == nil:
		err = errors.Join(err, wrap(h.sw.Handle().LinkDel(port), "remove port %s", h.Port))
	case !errors.As(findErr, new(netlink.LinkNotFoundError)):
		err = errors.Join(err, fmt.Errorf("find port %s: %w", h.Port, findErr))
	}
	return errors.Join(err, h.ns.remove())
}

// abandon is close for a host whose switch goes too: the kernel removes the port
// with the namespaces, and hundreds of them at once instead of one by one.
func (h *Host) abandon() error { return errors.Join(h.closeSockets(), h.ns.remove()) }

func (h *Host) closeSockets() error {
	h.mu.Lock()
	open := h.open
	h.open, h.closed = nil, true
	h.mu.Unlock()

	var errs []error
	for c := range open {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
