package lab

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// MDBEntry is one line of the bridge's multicast database: a group, or a source
// of a group, on a port.
type MDBEntry struct {
	// Port is the name of the interface in the switch namespace; br0 stands for
	// the switch's own memberships.
	Port string
	// VLAN is 0 on a bridge that is not aware of VLANs.
	VLAN uint16
	// Group and Source name the stream; Source is invalid for (*,G).
	Group, Source netip.Addr
	// Include tells the filter mode of the port: only Sources if set, all but
	// Sources otherwise.
	Include bool
	// Sources are those that the filter lists, sorted.
	Sources []netip.Addr
	// Blocked marks a source that the filter refuses.
	Blocked bool
	// Permanent entries were configured; others were learnt and age.
	Permanent bool
	// Timer is the time that the entry has left.
	Timer time.Duration
}

// Attributes and flags of RTM_GETMDB (linux/if_bridge.h).
const (
	mdbaMDB        = 1 // table of entries
	mdbaRouter     = 2 // table of router ports
	mdbaEntry      = 1
	mdbaEntryInfo  = 1
	mdbaRouterPort = 1

	mdbEntryTimer   = 1
	mdbEntrySources = 2
	mdbEntryMode    = 3
	mdbEntrySource  = 4

	mdbSourceEntry   = 1
	mdbSourceAddress = 1

	mdbStatePermanent = 1
	mdbFlagBlocked    = 1 << 3
	mdbModeInclude    = 1 // MCAST_INCLUDE

	attrTypeMask   = 0x3fff // NLA_TYPE_MASK
	sizeofPortMsg  = 8      // struct br_port_msg
	sizeofMDBEntry = 28     // struct br_mdb_entry
)

// MDB reads the multicast database, sorted by VLAN, group, source and port.
func (b *Bridge) MDB() ([]MDBEntry, error) {
	var entries []MDBEntry
	err := b.dumpMDB(mdbaMDB, func(table []byte) error {
		return eachAttr(table, mdbaEntry, func(entry []byte) error {
			return eachAttr(entry, mdbaEntryInfo, func(info []byte) error {
				e, err := b.parseEntry(info)
				entries = append(entries, e)
				return err
			})
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read MDB: %w", err)
	}
	slices.SortFunc(entries, func(x, y MDBEntry) int {
		return cmp.Or(cmp.Compare(x.VLAN, y.VLAN), x.Group.Compare(y.Group), x.Source.Compare(y.Source), cmp.Compare(x.Port, y.Port))
	})
	return entries, nil
}

// RouterPorts returns the names of the ports behind which the bridge believes a
// multicast router, sorted.
func (b *Bridge) RouterPorts() ([]string, error) {
	var ports []string
	err := b.dumpMDB(mdbaRouter, func(table []byte) error {
		return eachAttr(table, mdbaRouterPort, func(port []byte) error {
			if len(port) < 4 {
				return errShortAttr
			}
			name, err := b.portName(int(binary.NativeEndian.Uint32(port)))
			ports = append(ports, name)
			return err
		})
	})
	slices.Sort(ports)
	return ports, wrap(err, "read router ports")
}

// WaitMDB polls the database until ok says that it is as wanted, and returns it.
// If ctx ends first, the error says what the database held last.
func (b *Bridge) WaitMDB(ctx context.Context, ok func([]MDBEntry) bool) ([]MDBEntry, error) {
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for {
		entries, err := b.MDB()
		if err != nil || ok(entries) {
			return entries, err
		}
		select {
		case <-ctx.Done():
			return entries, fmt.Errorf("wait for MDB, holds %+v: %w", entries, ctx.Err())
		case <-ticker.C:
		}
	}
}

// dumpMDB calls visit with each table of a type that belongs to the bridge.
func (b *Bridge) dumpMDB(table uint16, visit func(table []byte) error) error {
	return b.net.sw.Do(func() error {
		req := nl.NewNetlinkRequest(unix.RTM_GETMDB, unix.NLM_F_DUMP)
		header := make([]byte, sizeofPortMsg)
		header[0] = unix.AF_BRIDGE
		req.AddRawData(header)
		messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_GETMDB) // a dump answers with the type of the question
		if err != nil {
			return err
		}
		for _, m := range messages {
			if len(m) < sizeofPortMsg || int(binary.NativeEndian.Uint32(m[4:])) != b.index {
				continue
			}
			if err := eachAttr(m[sizeofPortMsg:], table, visit); err != nil {
				return err
			}
		}
		return nil
	})
}

var errShortAttr = errors.New("short attribute")

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

func parseAttrs(b []byte) ([]syscall.NetlinkRouteAttr, error) {
	attrs, err := nl.ParseRouteAttr(b)
	return attrs, wrap(err, "parse attributes")
}

// parseEntry parses struct br_mdb_entry and the attributes behind it.
func (b *Bridge) parseEntry(info []byte) (MDBEntry, error) {
	if len(info) < sizeofMDBEntry {
		return MDBEntry{}, errShortAttr
	}
	port, err := b.portName(int(binary.NativeEndian.Uint32(info)))
	if err != nil {
		return MDBEntry{}, err
	}
	e := MDBEntry{
		Port:      port,
		Permanent: info[4]&mdbStatePermanent != 0,
		Blocked:   info[5]&mdbFlagBlocked != 0,
		VLAN:      binary.NativeEndian.Uint16(info[6:]),
	}
	switch binary.BigEndian.Uint16(info[24:]) { // protocol of the union at byte 8
	case unix.ETH_P_IP:
		e.Group = netip.AddrFrom4([4]byte(info[8:12]))
	case unix.ETH_P_IPV6:
		e.Group = netip.AddrFrom16([16]byte(info[8:24]))
	default: // a group that is a MAC address
		return e, nil
	}
	attrs, err := parseAttrs(info[sizeofMDBEntry:])
	if err != nil {
		return MDBEntry{}, err
	}
	for _, a := range attrs {
		if err := e.setAttr(a.Attr.Type&attrTypeMask, a.Value); err != nil {
			return MDBEntry{}, err
		}
	}
	slices.SortFunc(e.Sources, netip.Addr.Compare)
	return e, nil
}

func (e *MDBEntry) setAttr(typ uint16, value []byte) error {
	switch typ {
	case mdbEntryTimer:
		if len(value) < 4 {
			return errShortAttr
		}
		e.Timer = time.Duration(binary.NativeEndian.Uint32(value)) * 10 * time.Millisecond
	case mdbEntryMode:
		if len(value) < 1 {
			return errShortAttr
		}
		e.Include = value[0] == mdbModeInclude
	case mdbEntrySource:
		e.Source, _ = netip.AddrFromSlice(value)
	case mdbEntrySources:
		return eachAttr(value, mdbSourceEntry, func(entry []byte) error {
			return eachAttr(entry, mdbSourceAddress, func(address []byte) error {
				source, ok := netip.AddrFromSlice(address)
				if !ok {
					return errShortAttr
				}
				e.Sources = append(e.Sources, source)
				return nil
			})
		})
	}
	return nil
}

func (b *Bridge) portName(index int) (string, error) {
	link, err := b.net.sw.Handle().LinkByIndex(index)
	if err != nil {
		return "", fmt.Errorf("name port %d: %w", index, err)
	}
	return link.Attrs().Name, nil
}
