package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const bridgeName = "br0"

// BridgeConfig describes a Linux bridge as the switch.
type BridgeConfig struct {
	// Snooping forwards groups to their members only.
	Snooping bool
	// Querier makes the bridge send IGMP and MLD queries. Without any querier a
	// snooping bridge floods.
	Querier bool
	// IGMPVersion is 2 or 3, MLDVersion 1 or 2; 0 means 3 and 2.
	IGMPVersion, MLDVersion int
	// VLANs makes the bridge aware of VLANs and lets these through every port,
	// tagged. Empty: tags are payload, and groups of all VLANs are one.
	VLANs []uint16
	// FastLeave forgets a group on a port at its first leave.
	FastLeave bool
	// QueryInterval is the time between general queries; 0 means 125 s.
	QueryInterval time.Duration
	// QueryResponse is the time that hosts may take to answer; 0 means 100 ms,
	// which is also the least.
	QueryResponse time.Duration
	// LastMember is the time between the queries that follow a leave; 0 means
	// 100 ms.
	LastMember time.Duration
	// MembershipTime is how long a group lives without reports; 0 means 260 s.
	MembershipTime time.Duration
	// MaxGroups is the size of the group table; 0 means 4096.
	MaxGroups int
}

func (c BridgeConfig) withDefaults() BridgeConfig {
	const least = 100 * time.Millisecond // IGMPv2 counts in tenths of a second, and 0 says IGMPv1
	c.IGMPVersion, c.MLDVersion = cmp.Or(c.IGMPVersion, 3), cmp.Or(c.MLDVersion, 2)
	c.QueryInterval = cmp.Or(c.QueryInterval, 125*time.Second)
	c.QueryResponse = max(c.QueryResponse, least)
	c.LastMember = cmp.Or(c.LastMember, least)
	c.MembershipTime = cmp.Or(c.MembershipTime, 260*time.Second)
	c.MaxGroups = cmp.Or(c.MaxGroups, 4096)
	return c
}

// Bridge is the Linux bridge br0 in the switch namespace, with all ports in it.
type Bridge struct {
	net   *Net
	cfg   BridgeConfig
	index int
}

// Bridge makes the switch a Linux bridge: all ports join it, those of later
// hosts too. It returns when the bridge forwards as configured.
func (n *Net) Bridge(ctx context.Context, cfg BridgeConfig) (_ *Bridge, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("bridge: network %s: %w", n.name, ErrClosed)
	}
	if n.bridge != nil {
		return nil, fmt.Errorf("bridge: network %s has one already", n.name)
	}
	b := &Bridge{net: n, cfg: cfg.withDefaults()}
	if err := b.create(); err != nil {
		return nil, fmt.Errorf("add bridge %s: %w", bridgeName, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.remove())
		}
	}()
	for _, h := range n.sortedHosts() {
		if err := b.addPort(h.Port); err != nil {
			return nil, err
		}
	}
	if err := b.startQuerier(ctx); err != nil {
		return nil, err
	}
	n.bridge = b
	return b, nil
}

func (b *Bridge) create() error {
	data := map[int][]byte{
		nl.IFLA_BR_MCAST_SNOOPING:             boolAttr(b.cfg.Snooping),
		nl.IFLA_BR_MCAST_IGMP_VERSION:         nl.Uint8Attr(uint8(b.cfg.IGMPVersion)),
		nl.IFLA_BR_MCAST_MLD_VERSION:          nl.Uint8Attr(uint8(b.cfg.MLDVersion)),
		nl.IFLA_BR_MCAST_QUERY_INTVL:          clockAttr(b.cfg.QueryInterval),
		nl.IFLA_BR_MCAST_QUERY_RESPONSE_INTVL: clockAttr(b.cfg.QueryResponse),
		nl.IFLA_BR_MCAST_LAST_MEMBER_INTVL:    clockAttr(b.cfg.LastMember),
		nl.IFLA_BR_MCAST_MEMBERSHIP_INTVL:     clockAttr(b.cfg.MembershipTime),
		nl.IFLA_BR_MCAST_HASH_MAX:             nl.Uint32Attr(uint32(b.cfg.MaxGroups)),
	}
	if len(b.cfg.VLANs) > 0 { // only then: not every kernel knows the attribute
		data[nl.IFLA_BR_VLAN_FILTERING] = boolAttr(true)
	}
	if err := b.request(unix.NLM_F_CREATE|unix.NLM_F_EXCL, data); err != nil {
		return err
	}
	sw := b.net.sw
	link, err := sw.Handle().LinkByName(bridgeName)
	if err != nil {
		return err
	}
	b.index = link.Attrs().Index
	if err := sw.Handle().LinkSetUp(link); err != nil {
		return errors.Join(err, b.remove())
	}
	// MLD queries need a link-local source; IGMP ones go out from 0.0.0.0.
	if err := addAddress(sw.Handle(), link, addressesOf(switchNumber).LinkLocal); err != nil {
		return errors.Join(err, b.remove())
	}
	return nil
}

// request sends the bridge's settings; netlink.Bridge knows few of them.
func (b *Bridge) request(flags int, data map[int][]byte) error {
	return b.net.sw.Do(func() error {
		req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, flags|unix.NLM_F_ACK)
		req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(bridgeName)))
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
		settings := info.AddRtAttr(nl.IFLA_INFO_DATA, nil)
		for attr, value := range data {
			settings.AddRtAttr(attr, value)
		}
		req.AddData(info)
		_, err := req.Execute(unix.NETLINK_ROUTE, 0)
		return err
	})
}

// startQuerier starts the querier when the ports are there, and waits while
// the kernel floods: for one response interval after a querier starts, because
// hosts may not have answered yet. It shows that nowhere.
func (b *Bridge) startQuerier(ctx context.Context) error {
	if !b.cfg.Querier {
		return nil
	}
	if err := b.request(0, map[int][]byte{nl.IFLA_BR_MCAST_QUERIER: boolAttr(true)}); err != nil {
		return fmt.Errorf("start querier: %w", err)
	}
	const slack = 20 * time.Millisecond // the kernel counts in ticks
	timer := time.NewTimer(b.cfg.QueryResponse + slack)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("start querier: %w", ctx.Err())
	case <-timer.C:
		return nil
	}
}

// addPort puts a port into the bridge.
func (b *Bridge) addPort(name string) error {
	h := b.net.sw.Handle()
	port, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find port %s: %w", name, err)
	}
	if err := h.LinkSetMasterByIndex(port, b.index); err != nil {
		return fmt.Errorf("put %s into the bridge: %w", name, err)
	}
	if b.cfg.FastLeave {
		if err := h.LinkSetFastLeave(port, true); err != nil {
			return fmt.Errorf("set fast leave on %s: %w", name, err)
		}
	}
	for _, vlan := range b.cfg.VLANs {
		if err := h.BridgeVlanAdd(port, vlan, false, false, false, true); err != nil {
			return fmt.Errorf("let VLAN %d through %s: %w", vlan, name, err)
		}
	}
	return nil
}

// Name returns the name of the bridge interface in the switch namespace.
func (b *Bridge) Name() string { return bridgeName }

// Close removes the bridge and leaves the ports unconnected. Calling it again
// does nothing.
func (b *Bridge) Close() error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if b.net.bridge != b || b.net.closed {
		return nil
	}
	b.net.bridge = nil
	return b.remove()
}

func (b *Bridge) remove() error {
	h := b.net.sw.Handle()
	link, err := h.LinkByName(bridgeName)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = h.LinkDel(link)
	}
	return wrap(err, "remove bridge %s", bridgeName)
}

func boolAttr(on bool) []byte {
	if on {
		return nl.Uint8Attr(1)
	}
	return nl.Uint8Attr(0)
}

// clockAttr encodes a duration in hundredths of a second (USER_HZ).
func clockAttr(d time.Duration) []byte {
	return nl.Uint64Attr(uint64(d / (10 * time.Millisecond)))
}
