package doctor

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxSockets bounds how many sockets are looked at closely.
const maxSockets = 1024

// Sizes and attributes of linux/inet_diag.h.
const (
	sizeofDiagMessage = 72 // struct inet_diag_msg
	diagMemory        = 7  // INET_DIAG_SKMEMINFO
	diagV6Only        = 11 // INET_DIAG_SKV6ONLY
	memoryRecvBuf     = 1  // SK_MEMINFO_RCVBUF, of 32-bit numbers
	memoryDrops       = 8  // SK_MEMINFO_DROPS
)

// diagRequest is struct inet_diag_req_v2: all UDP sockets of a family, in all
// states, with their memory.
type diagRequest struct{ family uint8 }

func (r diagRequest) Len() int { return 56 }

func (r diagRequest) Serialize() []byte {
	b := make([]byte, r.Len())
	b[0], b[1], b[2] = r.family, unix.IPPROTO_UDP, 1<<(diagMemory-1)
	binary.NativeEndian.PutUint32(b[4:], ^uint32(0))
	return b
}

// readSockets lists the UDP sockets that could get packets of a family. Drops are
// totals.
func readSockets(v6 bool) (list []Socket, err error) {
	families := []uint8{unix.AF_INET6}
	if !v6 {
		families = []uint8{unix.AF_INET, unix.AF_INET6}
	}
	for _, family := range families {
		req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		req.AddData(diagRequest{family})
		messages, err := req.Execute(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY)
		if err != nil {
			return nil, fmt.Errorf("list UDP sockets: %w", err)
		}
		for _, m := range messages {
			k, err := parseSocket(m)
			if err != nil {
				return nil, fmt.Errorf("read a UDP socket: %w", err)
			}
			if len(list) < maxSockets {
				list = append(list, k)
			}
		}
	}
	return list, nil
}

// parseSocket reads struct inet_diag_msg and its attributes.
func parseSocket(m []byte) (k Socket, err error) {
	if len(m) < sizeofDiagMessage {
		return k, fmt.Errorf("%d bytes are too few", len(m))
	}
	k.IPv6 = m[0] == unix.AF_INET6
	k.Local = netip.AddrPortFrom(diagAddr(k.IPv6, m[8:24]), binary.BigEndian.Uint16(m[4:]))
	k.Remote = netip.AddrPortFrom(diagAddr(k.IPv6, m[24:40]), binary.BigEndian.Uint16(m[6:]))
	k.Device = int(binary.NativeEndian.Uint32(m[40:]))
	k.Queued = uint64(binary.NativeEndian.Uint32(m[56:]))
	k.Inode = binary.NativeEndian.Uint32(m[68:])
	attrs, err := parseAttrs(m[sizeofDiagMessage:])
	if err != nil {
		return k, err
	}
	for _, a := range attrs {
		switch v := a.Value; {
		case a.Attr.Type == diagMemory && len(v) >= 4*(memoryDrops+1):
			k.RecvBuf = uint64(binary.NativeEndian.Uint32(v[4*memoryRecvBuf:]))
			k.Dropped = uint64(binary.NativeEndian.Uint32(v[4*memoryDrops:]))
		case a.Attr.Type == diagV6Only && len(v) > 0:
			k.V6Only = v[0] != 0
		}
	}
	return k, nil
}

func diagAddr(v6 bool, b []byte) netip.Addr {
	if v6 {
		return netip.AddrFrom16([16]byte(b))
	}
	return netip.AddrFrom4([4]byte(b))
}

// socketsSince gives each socket what it dropped since.
func socketsSince(before, after []Socket) []Socket {
	drops := map[uint32]uint64{}
	for _, k := range before {
		drops[k.Inode] = k.Dropped
	}
	for i := range after {
		k := &after[i]
		k.Dropped = rise(drops[k.Inode], k.Dropped)
	}
	return after
}
