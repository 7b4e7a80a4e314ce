package observe

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// bridgeEntry is a group that a Linux bridge forwards to a port, which may be
// the bridge itself.
type bridgeEntry struct {
	bridge, port uint32
	vlan         uint16
	group        netip.Addr
	source       netip.Addr // invalid: of any source
}

// Attributes of RTM_GETMDB (linux/if_bridge.h).
const (
	mdbaMDB        = 1
	mdbaEntry      = 1
	mdbaEntryInfo  = 1
	mdbEntrySource = 4

	sizeofPortMsg  = 8  // struct br_port_msg
	sizeofMDBEntry = 28 // struct br_mdb_entry
)

// readBridges reads the group databases of all bridges of the thread's namespace.
func readBridges() ([]bridgeEntry, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETMDB, unix.NLM_F_DUMP)
	header := make([]byte, sizeofPortMsg)
	header[0] = unix.AF_BRIDGE
	req.AddRawData(header)
	messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_GETMDB) // a dump answers with the type of the question
	if err != nil {
		return nil, fmt.Errorf("read groups of bridges: %w", err)
	}
	var all []bridgeEntry
	for _, m := range messages {
		if all, err = appendBridge(all, m); err != nil {
			return nil, fmt.Errorf("read groups of bridges: %w", err)
		}
	}
	return all, nil
}

// appendBridge adds the entries of one message.
func appendBridge(all []bridgeEntry, m []byte) ([]bridgeEntry, error) {
	if len(m) < sizeofPortMsg {
		return all, errShort
	}
	bridge := binary.NativeEndian.Uint32(m[4:])
	err := eachOf(m[sizeofPortMsg:], mdbaMDB, func(table []byte) error {
		return eachOf(table, mdbaEntry, func(entry []byte) error {
			return eachOf(entry, mdbaEntryInfo, func(info []byte) error {
				e, ok, err := parseBridgeEntry(info)
				if ok {
					e.bridge = bridge
					all = append(all, e)
				}
				return err
			})
		})
	})
	return all, err
}

// parseBridgeEntry reads struct br_mdb_entry and what follows; ok is false for
// groups that are no IP addresses.
func parseBridgeEntry(info []byte) (e bridgeEntry, ok bool, err error) {
	if len(info) < sizeofMDBEntry {
		return e, false, errShort
	}
	e.port, e.vlan = binary.NativeEndian.Uint32(info), binary.NativeEndian.Uint16(info[6:])
	switch binary.BigEndian.Uint16(info[24:]) { // protocol of the address at byte 8
	case unix.ETH_P_IP:
		e.group = netip.AddrFrom4([4]byte(info[8:12]))
	case unix.ETH_P_IPV6:
		e.group = netip.AddrFrom16([16]byte(info[8:24]))
	default:
		return e, false, nil
	}
	err = eachOf(info[sizeofMDBEntry:], mdbEntrySource, func(value []byte) error {
		var whole bool
		if e.source, whole = netip.AddrFromSlice(value); !whole {
			return errShort
		}
		return nil
	})
	return e, err == nil, err
}
