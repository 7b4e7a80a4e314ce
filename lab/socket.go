package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is a non-blocking socket that waits in Go's poller, so that a thousand
// receivers need no thousand threads.
type socket struct {
	file *os.File
	raw  syscall.RawConn
}

// openSocket opens a socket inside the namespace and runs setup on it there.
func openSocket(ns *Namespace, domain, typ, proto int, setup func(fd int) error) (*socket, error) {
	fd := -1
	err := ns.Do(func() (err error) {
		fd, err = unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
		if err != nil {
			return fmt.Errorf("open socket in %s: %w", ns.name, err)
		}
		return setup(fd)
	})
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "socket in "+ns.name)
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &socket{file: file, raw: raw}, nil
}

// control runs fn on the descriptor. Returns ErrClosed once the socket is closed.
func (s *socket) control(fn func(fd int) error) error {
	var err error
	if ctlErr := s.raw.Control(func(fd uintptr) { err = fn(int(fd)) }); ctlErr != nil {
		return ErrClosed
	}
	return err
}

// read waits until op returns anything but EAGAIN, and returns that.
func (s *socket) read(op func(fd int) error) error {
	var err error
	pollErr := s.raw.Read(func(fd uintptr) bool {
		err = op(int(fd))
		return !errors.Is(err, unix.EAGAIN)
	})
	return pollResult(pollErr, err)
}

// write is read for the other direction.
func (s *socket) write(op func(fd int) error) error {
	var err error
	pollErr := s.raw.Write(func(fd uintptr) bool {
		err = op(int(fd))
		return !errors.Is(err, unix.EAGAIN)
	})
	return pollResult(pollErr, err)
}

func pollResult(pollErr, err error) error {
	if errors.Is(pollErr, os.ErrClosed) {
		return ErrClosed
	}
	if pollErr != nil {
		return pollErr // os.ErrDeadlineExceeded among them
	}
	return err
}

// family returns the socket domain and the option level of an address.
func family(a netip.Addr) (domain, level int) {
	if a.Is4() {
		return unix.AF_INET, unix.IPPROTO_IP
	}
	return unix.AF_INET6, unix.IPPROTO_IPV6
}

func sockaddr(a netip.AddrPort, zone int) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), ZoneId: uint32(zone), Addr: a.Addr().As16()}
}

// storageLen is the size of struct sockaddr_storage.
const storageLen = 128

// appendStorage appends a as struct sockaddr_storage.
func appendStorage(b []byte, a netip.Addr) []byte {
	var s [storageLen]byte
	if a.Is4() {
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET)
		v4 := a.As4()
		copy(s[4:], v4[:])
	} else {
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
		v6 := a.As16()
		copy(s[8:], v6[:])
	}
	return append(b, s[:]...)
}

// setOption sets a socket option whose value is a C struct.
func setOption(fd, level, option int, value []byte) error {
	return unix.SetsockoptString(fd, level, option, string(value))
}
