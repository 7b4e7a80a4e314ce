package doctor

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// admits reports whether a joined socket takes a source (RFC 3678 section 3).
func (o *Options) admits(source netip.Addr) bool {
	return slices.Contains(o.Sources, source) == o.Include
}

// sizeofStorage is that of struct sockaddr_storage.
const sizeofStorage = 128

// maxSources bounds what is read of a source list.
const maxSources = 256

// readOptions asks another process's socket, through a copy of its descriptor.
// Memberships are those of the namespace, among which its own are found.
func readOptions(fd int, group netip.Addr, index int, all []Membership) *Options {
	o := &Options{}
	level, option := unix.IPPROTO_IP, unix.IP_MULTICAST_ALL
	if group.Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL
	}
	on, err := unix.GetsockoptInt(fd, level, option)
	o.All = err != nil || on != 0 // kernels without the option behave as if it were on
	for _, m := range all {
		if m.Group.Is4() != group.Is4() {
			continue
		}
		include, sources, joined := sourceFilter(fd, level, m.Index, m.Group)
		if !joined {
			continue
		}
		o.Memberships++
		if m.Group != group {
			continue
		}
		o.JoinedAt = append(o.JoinedAt, m.Index)
		if m.Index == index {
			o.Joined, o.Include, o.Sources = true, include, sources
		}
	}
	o.Filter = hasFilter(fd)
	return o
}

// sourceFilter reads struct group_filter (RFC 3678 section 5.1).
func sourceFilter(fd, level, index int, group netip.Addr) (include bool, sources []netip.Addr, joined bool) {
	const header = 8 + sizeofStorage
	b := make([]byte, header+8+maxSources*sizeofStorage)
	binary.NativeEndian.PutUint32(b, uint32(index))
	putStorage(b[8:], group)
	binary.NativeEndian.PutUint32(b[header+4:], maxSources)
	if _, err := getsockopt(fd, level, unix.MCAST_MSFILTER, b); err != nil {
		return false, nil, false
	}
	include = binary.NativeEndian.Uint32(b[header:]) == unix.MCAST_INCLUDE
	n := min(int(binary.NativeEndian.Uint32(b[header+4:])), maxSources)
	for i := range n {
		if a, ok := storageAddr(b[header+8+i*sizeofStorage:]); ok {
			sources = append(sources, a)
		}
	}
	return include, sources, true
}

func putStorage(b []byte, a netip.Addr) {
	if a.Is4() {
		binary.NativeEndian.PutUint16(b, unix.AF_INET)
		copy(b[4:], a.AsSlice())
		return
	}
	binary.NativeEndian.PutUint16(b, unix.AF_INET6)
	copy(b[8:], a.AsSlice())
}

func storageAddr(b []byte) (netip.Addr, bool) {
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		return netip.AddrFromSlice(b[4:8])
	case unix.AF_INET6:
		return netip.AddrFromSlice(b[8:24])
	}
	return netip.Addr{}, false
}

// hasFilter reports whether the socket has a filter program. Asked for no
// instructions, the kernel tells how many there are; of one that was loaded as
// eBPF it tells nothing but EACCES.
func hasFilter(fd int) bool {
	n, err := getsockopt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, nil)
	return err == unix.EACCES || err == nil && n > 0
}

// getsockopt is for options whose buffer holds a question too, which the unix
// package has no function for.
func getsockopt(fd, level, option int, b []byte) (length uint32, err error) {
	length = uint32(len(b))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(unsafe.Pointer(&length)), 0)
	if errno != 0 {
		return 0, errno
	}
	return length, nil
}
