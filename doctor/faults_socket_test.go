package doctor_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	t.Cleanup(cancel)
	return ctx
}

var socketFaults = []fault{
	{want: "no_socket", families: both, provoke: func(s *scene) {
		s.join()
		s.stream(lab.SendConfig{})
	}},
	{want: "wrong_port", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{Port: port + 1})
		s.stream(lab.SendConfig{})
	}},
	{want: "bound_elsewhere", families: both, provoke: func(s *scene) {
		local := netip.AddrPortFrom(s.sub.Addr4, port)
		if s.is6() {
			local = netip.AddrPortFrom(s.sub.Addr6, port)
		}
		s.socket(local.String(), func(fd int) error { return s.joinOn(fd, "eth0") })
		s.stream(lab.SendConfig{})
	}},
	{want: "bound_device", families: both, provoke: func(s *scene) {
		s.socket(":5000", func(fd int) error { return errors.Join(s.joinOn(fd, "eth0"), unix.BindToDevice(fd, "lo")) })
		s.stream(lab.SendConfig{})
	}},
	{want: "connected_elsewhere", families: both, provoke: func(s *scene) {
		s.stream(lab.SendConfig{})
		c := s.socket(":5000", func(fd int) error { return s.joinOn(fd, "eth0") })
		raw, err := c.SyscallConn()
		s.must(err)
		s.must(raw.Control(func(fd uintptr) {
			var to unix.Sockaddr = &unix.SockaddrInet4{Port: port, Addr: [4]byte{192, 0, 2, 77}}
			if s.is6() {
				to = &unix.SockaddrInet6{Port: port, Addr: s.other().As16()}
			}
			s.must(unix.Connect(int(fd), to))
		}))
	}},
	{want: "socket_filter", families: both, provoke: func(s *scene) {
		s.join()
		s.listen(lab.ListenConfig{Sources: []netip.Addr{s.other()}})
		s.stream(lab.SendConfig{})
	}},
	{want: "socket_not_joined", families: both, provoke: func(s *scene) { // the lab's receivers turn IP_MULTICAST_ALL off
		s.join()
		s.listen(lab.ListenConfig{Idle: true})
		s.stream(lab.SendConfig{})
	}},
	{want: "socket_program", families: both, provoke: func(s *scene) {
		s.stream(lab.SendConfig{})
		s.socket(":5000", func(fd int) error { return errors.Join(s.joinOn(fd, "eth0"), attachFilter(fd, bpf.RetConstant{})) })
	}},
	{want: "socket_overflow", families: both, provoke: func(s *scene) {
		s.stream(lab.SendConfig{})
		s.socket(":5000", func(fd int) error {
			return errors.Join(s.joinOn(fd, "eth0"), unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096))
		})
	}},
	{want: "udp_checksum", families: both, provoke: func(s *scene) {
		s.listen(lab.ListenConfig{})
		s.flood(s.ethernet().Wrap(s.datagram(s.source, frame.UDP{Corrupt: func(b []byte) { b[6] ^= 0x55 }})))
	}},
}

func attachFilter(fd int, program ...bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
}
