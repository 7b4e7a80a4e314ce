package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of linux/if_bridge.h that nl has no names for.
const (
	mdbaMDB          = 1
	mdbaRouter       = 2
	mdbaEntry        = 1
	mdbaEntryInfo    = 1
	mdbaRouterPort   = 1
	bridgeQuerier    = 47 // IFLA_BR_MCAST_QUERIER_STATE
	bridgeQuerierIP4 = 1
	bridgeQuerierIP6 = 5

	attrTypeMask   = 0x3fff // NLA_TYPE_MASK
	sizeofPortMsg  = 8      // struct br_port_msg
	sizeofMDBEntry = 28     // struct br_mdb_entry
)

var errShort = errors.New("short message")

// readBridge tells what a bridge thinks of the group at one of its ports.
func readBridge(bridge, port Link, group netip.Addr, name func(index int) string) (*Bridge, error) {
	b := &Bridge{Index: bridge.Index, Name: bridge.Name}
	if err := b.readSettings(group.Is6()); err != nil {
		return nil, fmt.Errorf("read settings of bridge %s: %w", bridge.Name, err)
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETMDB, unix.NLM_F_DUMP)
	header := make([]byte, sizeofPortMsg)
	header[0] = unix.AF_BRIDGE
	req.AddRawData(header)
	messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_GETMDB) // a dump answers with the type of the question
	if err != nil {
		return nil, fmt.Errorf("read group table of bridge %s: %w", bridge.Name, err)
	}
	for _, m := range messages {
		if err := b.addTable(m, port.Index, group, name); err != nil {
			return nil, fmt.Errorf("read group table of bridge %s: %w", bridge.Name, err)
		}
	}
	return b, nil
}

func (b *Bridge) readSettings(v6 bool) error {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(b.Index)
	req.AddData(msg)
	messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := b.setSettings(m, v6); err != nil {
			return err
		}
	}
	return nil
}

// setSettings reads struct ifinfomsg and the attributes behind it.
func (b *Bridge) setSettings(m []byte, v6 bool) error {
	if len(m) < unix.SizeofIfInfomsg {
		return errShort
	}
	known := uint16(bridgeQuerierIP4)
	if v6 {
		known = bridgeQuerierIP6
	}
	return eachAttr(m[unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO, func(info []byte) error {
		return eachAttr(info, nl.IFLA_INFO_DATA, func(data []byte) error {
			return errors.Join(
				eachAttr(data, nl.IFLA_BR_MCAST_SNOOPING, func(v []byte) error {
					b.Snooping = len(v) > 0 && v[0] != 0
					return nil
				}),
				// The state has an address for each family that somebody asks for.
				eachAttr(data, bridgeQuerier, func(state []byte) error {
					return eachAttr(state, known, func([]byte) error {
						b.Querier = true
						return nil
					})
				}),
			)
		})
	})
}

// addTable reads one message of the dump.
func (b *Bridge) addTable(m []byte, port int, group netip.Addr, name func(int) string) error {
	if len(m) < sizeofPortMsg {
		return errShort
	}
	if int(binary.NativeEndian.Uint32(m[4:])) != b.Index {
		return nil
	}
	entries := eachAttr(m[sizeofPortMsg:], mdbaMDB, func(table []byte) error {
		return eachAttr(table, mdbaEntry, func(entry []byte) error {
			return eachAttr(entry, mdbaEntryInfo, func(info []byte) error {
				if len(info) < sizeofMDBEntry {
					return errShort
				}
				if entryGroup(info) != group {
					return nil
				}
				if at := int(binary.NativeEndian.Uint32(info)); at == port {
					b.Member = true
				} else if text := name(at); !slices.Contains(b.Entries, text) { // one per source
					b.Entries = append(b.Entries, text)
				}
				return nil
			})
		})
	})
	routers := eachAttr(m[sizeofPortMsg:], mdbaRouter, func(table []byte) error {
		return eachAttr(table, mdbaRouterPort, func(v []byte) error {
			if len(v) < 4 {
				return errShort
			}
			b.RouterPort = b.RouterPort || int(binary.NativeEndian.Uint32(v)) == port
			return nil
		})
	})
	return errors.Join(entries, routers)
}

// entryGroup reads the union at byte 8 of struct br_mdb_entry by its protocol.
func entryGroup(info []byte) netip.Addr {
	switch binary.BigEndian.Uint16(info[24:]) {
	case unix.ETH_P_IP:
		return netip.AddrFrom4([4]byte(info[8:12]))
	case unix.ETH_P_IPV6:
		return netip.AddrFrom16([16]byte(info[8:24]))
	}
	return netip.Addr{} // a MAC address
}

// parseAttrs pads what it hands to the library, which panics on a last attribute
// whose padding was left out.
func parseAttrs(b []byte) ([]syscall.NetlinkRouteAttr, error) {
	const align = unix.NLA_ALIGNTO
	if over := len(b) % align; over != 0 {
		b = append(slices.Clip(b), make([]byte, align-over)...)
	}
	attrs, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil, fmt.Errorf("parse attributes: %w", err)
	}
	return attrs, nil
}

// eachAttr calls visit with the value of each attribute of a type.
func eachAttr(b []byte, typ uint16, visit func(value []byte) error) error {
	attrs, err := parseAttrs(b)
	if err != nil {
		return err
	}
	for _, a := range attrs {
		if a.Attr.Type&attrTypeMask != typ {
			continue
		}
		if err := visit(a.Value); err != nil {
			return err
		}
	}
	return nil
}
