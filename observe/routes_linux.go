package observe

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// route is an entry of the kernel's multicast routing.
type route struct {
	table         uint32
	source, group netip.Addr // an unspecified source: of any
	from          uint32     // interface index; 0: unresolved
	to            []uint32

	packets, bytes, wrongInterface uint64
}

// Families of multicast routes (linux/rtnetlink.h).
const (
	familyIPMR  = 128
	familyIP6MR = 129

	rtaMFCStats = 17
)

// readRoutes reads the multicast routes of the thread's namespace.
func readRoutes() (all []route, err error) {
	for _, family := range []byte{familyIPMR, familyIP6MR} {
		req := nl.NewNetlinkRequest(unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{Family: family}})
		messages, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWROUTE)
		if err != nil {
			return nil, fmt.Errorf("read multicast routes: %w", err)
		}
		for _, m := range messages {
			r, ok, err := parseRoute(m)
			if err != nil {
				return nil, fmt.Errorf("read multicast routes: %w", err)
			}
			if ok {
				all = append(all, r)
			}
		}
	}
	return all, nil
}

// parseRoute reads struct rtmsg and its attributes; ok is false for what is no
// multicast route: a kernel without them answers with others.
func parseRoute(m []byte) (r route, ok bool, err error) {
	if len(m) < unix.SizeofRtMsg {
		return r, false, errShort
	}
	if m[0] != familyIPMR && m[0] != familyIP6MR {
		return r, false, nil
	}
	if err := eachAttr(m[unix.SizeofRtMsg:], r.set); err != nil {
		return r, false, err
	}
	return r, r.group.IsValid(), nil
}

func (r *route) set(typ uint16, value []byte) error {
	short := func(n int) bool { return len(value) < n }
	switch typ {
	case unix.RTA_DST:
		r.group, _ = netip.AddrFromSlice(value)
	case unix.RTA_SRC:
		r.source, _ = netip.AddrFromSlice(value)
	case unix.RTA_IIF:
		if short(4) {
			return errShort
		}
		r.from = binary.NativeEndian.Uint32(value)
	case unix.RTA_TABLE:
		if short(4) {
			return errShort
		}
		r.table = binary.NativeEndian.Uint32(value)
	case rtaMFCStats:
		if short(24) {
			return errShort
		}
		r.packets = binary.NativeEndian.Uint64(value)
		r.bytes = binary.NativeEndian.Uint64(value[8:])
		r.wrongInterface = binary.NativeEndian.Uint64(value[16:])
	case unix.RTA_MULTIPATH:
		return r.setTo(value)
	}
	return nil
}

// setTo reads a list of struct rtnexthop.
func (r *route) setTo(b []byte) error {
	for len(b) >= unix.SizeofRtNexthop {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtNexthop || n > len(b) {
			return errShort
		}
		r.to = append(r.to, binary.NativeEndian.Uint32(b[4:]))
		b = b[min(len(b), (n+3)&^3):]
	}
	return nil
}
