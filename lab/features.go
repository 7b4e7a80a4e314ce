package lab

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// SetFeatures switches ethtool features of an interface on or off, by the names
// that `ethtool -k` shows in the kernel's spelling, such as "rx-gro",
// "rx-udp-gro-forwarding" or "tx-udp-segmentation".
func (ns *Namespace) SetFeatures(iface string, features map[string]bool) error {
	if len(features) == 0 {
		return nil
	}
	wanted := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_WANTED|unix.NLA_F_NESTED, nil)
	bits := wanted.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS|unix.NLA_F_NESTED, nil)
	for _, name := range slices.Sorted(maps.Keys(features)) {
		bit := bits.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS_BIT|unix.NLA_F_NESTED, nil)
		bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_NAME, nl.ZeroTerminated(name))
		if features[name] {
			bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_VALUE, nil)
		}
	}
	err := ns.ethtool(unix.ETHTOOL_MSG_FEATURES_SET, iface, wanted)
	return wrap(err, "set features %v of %s in %s", features, iface, ns.name)
}

// syncCarrier makes the kernel act on a changed carrier at once. By itself it
// takes up to a second, and then hosts repeat their MLD reports.
func (ns *Namespace) syncCarrier(iface string) error {
	return wrap(ns.ethtool(unix.ETHTOOL_MSG_LINKSTATE_GET, iface), "sync carrier of %s in %s", iface, ns.name)
}

// ethtoolFamily looks up the number of the protocol, the same in all namespaces.
var ethtoolFamily = sync.OnceValues(func() (*netlink.GenlFamily, error) {
	return netlink.GenlFamilyGet("ethtool")
})

// ethtool sends one request about an interface and ignores what it answers but
// an error.
func (ns *Namespace) ethtool(command uint8, iface string, attrs ...*nl.RtAttr) error {
	family, err := ethtoolFamily()
	if err != nil {
		return fmt.Errorf("find ethtool netlink: %w", err)
	}
	const headerAttr, nameAttr = 1, 2 // the same in every request
	header := nl.NewRtAttr(headerAttr|unix.NLA_F_NESTED, nil)
	header.AddRtAttr(nameAttr, nl.ZeroTerminated(iface))
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	req.AddData(&nl.Genlmsg{Command: command, Version: 1})
	req.AddData(header)
	for _, a := range attrs {
		req.AddData(a)
	}
	return ns.Do(func() error {
		_, err := req.Execute(unix.NETLINK_GENERIC, 0)
		return err
	})
}
