package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

// Memberships joins many groups on one interface without receiving: what makes
// the kernel report them, and nothing else. Its methods may be called
// concurrently.
type Memberships struct {
	host  *Host
	name  string
	index int

	mu     sync.Mutex
	v4, v6 *socket // opened when first needed
	closed bool
}

// Memberships opens an empty set of memberships on an interface; the empty name
// means eth0. The host closes it when it goes.
func (h *Host) Memberships(iface string) (*Memberships, error) {
	i, err := h.iface(iface)
	if err != nil {
		return nil, err
	}
	m := &Memberships{host: h, name: iface, index: i.index}
	return m, h.adopt(m)
}

// Join joins a group: from any source if none is given, else from those only.
func (m *Memberships) Join(group netip.Addr, sources ...netip.Addr) error {
	return m.change(group, func(fd int) error { return joinGroup(fd, m.index, group, sources) })
}

// Leave leaves a group and forgets its sources.
func (m *Memberships) Leave(group netip.Addr) error {
	return m.change(group, func(fd int) error { return groupOption(fd, m.index, unix.MCAST_LEAVE_GROUP, group) })
}

// AddSource adds a source to a group that was joined with sources.
func (m *Memberships) AddSource(group, source netip.Addr) error {
	return m.change(group, func(fd int) error {
		return sourceOption(fd, m.index, unix.MCAST_JOIN_SOURCE_GROUP, group, source)
	})
}

// DropSource drops a source of a group that was joined with sources. The group
// is left with its last source.
func (m *Memberships) DropSource(group, source netip.Addr) error {
	return m.change(group, func(fd int) error {
		return sourceOption(fd, m.index, unix.MCAST_LEAVE_SOURCE_GROUP, group, source)
	})
}

// Block refuses one source of a group that was joined without sources.
func (m *Memberships) Block(group, source netip.Addr) error {
	return m.change(group, func(fd int) error {
		return sourceOption(fd, m.index, unix.MCAST_BLOCK_SOURCE, group, source)
	})
}

// Unblock takes back Block.
func (m *Memberships) Unblock(group, source netip.Addr) error {
	return m.change(group, func(fd int) error {
		return sourceOption(fd, m.index, unix.MCAST_UNBLOCK_SOURCE, group, source)
	})
}

// Close leaves all groups. Calling it again does nothing.
func (m *Memberships) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	m.host.disown(m)
	var errs []error
	for _, s := range []*socket{m.v4, m.v6} {
		if s != nil {
			errs = append(errs, s.file.Close())
		}
	}
	return errors.Join(errs...)
}

func (m *Memberships) change(group netip.Addr, option func(fd int) error) error {
	s, err := m.socketFor(group)
	if err != nil {
		return fmt.Errorf("membership of %s on host %s: %w", group, m.host.Name, err)
	}
	return wrap(s.control(option), "membership of %s on host %s", group, m.host.Name)
}

func (m *Memberships) socketFor(group netip.Addr) (*socket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	which := &m.v6
	if group.Is4() {
		which = &m.v4
	}
	if *which != nil {
		return *which, nil
	}
	domain, _ := family(group)
	s, err := openSocket(m.host.ns, domain, unix.SOCK_DGRAM, 0, func(int) error { return nil })
	if err != nil {
		return nil, err
	}
	*which = s
	return s, nil
}

// joinGroup joins from any source, or from the given ones.
func joinGroup(fd, ifindex int, group netip.Addr, sources []netip.Addr) error {
	if len(sources) == 0 {
		return groupOption(fd, ifindex, unix.MCAST_JOIN_GROUP, group)
	}
	for _, source := range sources {
		if err := sourceOption(fd, ifindex, unix.MCAST_JOIN_SOURCE_GROUP, group, source); err != nil {
			return fmt.Errorf("source %s: %w", source, err)
		}
	}
	return nil
}

// groupOption sets an option that takes struct group_req.
func groupOption(fd, ifindex, option int, group netip.Addr) error {
	_, level := family(group)
	req := binary.NativeEndian.AppendUint32(nil, uint32(ifindex))
	req = append(req, 0, 0, 0, 0)
	return setOption(fd, level, option, appendStorage(req, group))
}

// sourceOption sets an option that takes struct group_source_req.
func sourceOption(fd, ifindex, option int, group, source netip.Addr) error {
	_, level := family(group)
	req := binary.NativeEndian.AppendUint32(nil, uint32(ifindex))
	req = append(req, 0, 0, 0, 0)
	return setOption(fd, level, option, appendStorage(appendStorage(req, group), source))
}

// filterOption sets the whole filter of a joined group at once (struct
// group_filter), which the kernel reports as one change.
func filterOption(fd, ifindex int, group netip.Addr, include bool, sources []netip.Addr) error {
	_, level := family(group)
	mode := uint32(unix.MCAST_EXCLUDE)
	if include {
		mode = unix.MCAST_INCLUDE
	}
	req := binary.NativeEndian.AppendUint32(nil, uint32(ifindex))
	req = append(req, 0, 0, 0, 0)
	req = appendStorage(req, group)
	req = binary.NativeEndian.AppendUint32(req, mode)
	req = binary.NativeEndian.AppendUint32(req, uint32(len(sources)))
	for _, s := range slices.Clip(sources) {
		req = appendStorage(req, s)
	}
	return setOption(fd, level, unix.MCAST_MSFILTER, req)
}
