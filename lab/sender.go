package lab

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// SendConfig describes a stream of datagrams. Their payloads are numbered from
// 0 and verified by every Receiver.
type SendConfig struct {
	// Group and Port are the destination.
	Group netip.Addr
	Port  uint16
	// Interface sends; empty means eth0.
	Interface string
	// SourcePort is the port to send from; 0 lets the kernel choose.
	SourcePort uint16
	// Count is how many datagrams to send; 0 means until the context ends.
	Count uint64
	// Rate is in datagrams per second; 0 means as fast as possible.
	Rate float64
	// Size is that of the payload in bytes, at least MinPayload; 0 means 64.
	// One that does not fit the MTU is fragmented.
	Size int
	// TTL is the TTL or hop limit; 0 means 16.
	TTL int
	// Options are IPv4 options, or a whole IPv6 hop-by-hop header.
	Options []byte
	// Segments above 1 hands super-packets of that many datagrams to the
	// kernel (UDP_SEGMENT). Each datagram must fit the MTU, all of them 64 kB.
	Segments int
}

func (c SendConfig) withDefaults() SendConfig {
	c.Size = cmp.Or(c.Size, 64)
	c.TTL = cmp.Or(c.TTL, 16)
	c.Segments = cmp.Or(c.Segments, 1)
	return c
}

func (c SendConfig) validate() error {
	const maxPayload, maxSegments = 65507, 64 // UDP over IPv4; UDP_MAX_SEGMENTS of the oldest kernels
	if !c.Group.IsMulticast() || c.Group.Is4In6() {
		return fmt.Errorf("group %s: want an IPv4 or IPv6 multicast address", c.Group)
	}
	if c.Port == 0 {
		return errors.New("port 0")
	}
	if c.Size < MinPayload || c.Size > maxPayload {
		return fmt.Errorf("size %d: want %d to %d bytes", c.Size, MinPayload, maxPayload)
	}
	if c.TTL < 0 || c.TTL > 255 {
		return fmt.Errorf("TTL %d: want 1 to 255", c.TTL)
	}
	if c.Rate < 0 {
		return fmt.Errorf("rate %g: want 0 or more", c.Rate)
	}
	if c.Segments < 1 || c.Segments > maxSegments || c.Segments*c.Size > maxPayload {
		return fmt.Errorf("%d segments of %d bytes: want at most %d, of %d bytes together", c.Segments, c.Size, maxSegments, maxPayload)
	}
	return nil
}

// Send sends a stream and returns how many datagrams the kernel took. It ends
// after cfg.Count; if ctx ends first, the error is that of ctx, unless Count is
// 0: then the end of ctx is the end of the stream.
func (h *Host) Send(ctx context.Context, cfg SendConfig) (sent uint64, err error) {
	s, err := h.openStream(cfg)
	if err != nil {
		return 0, err
	}
	err = s.run(ctx)
	return s.Sent(), errors.Join(err, s.sock.file.Close())
}

// Stream is a stream that is being sent in the background. Its methods may be
// called concurrently.
type Stream struct {
	// ID is the key of the stream in a receiver's Report.
	ID uint32

	host   *Host
	cfg    SendConfig
	sock   *socket
	sent   atomic.Uint64
	stop   context.CancelFunc
	done   chan struct{}
	runErr error // valid once done is closed
	closed sync.Once
}

// Stream sends in the background until Count, Stop, or the end of the host.
func (h *Host) Stream(cfg SendConfig) (*Stream, error) {
	s, err := h.openStream(cfg)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop, s.done = stop, make(chan struct{})
	go func() {
		defer close(s.done)
		if err := s.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.runErr = err
		}
	}()
	if err := h.adopt(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Sent returns how many datagrams the kernel took so far.
func (s *Stream) Sent() uint64 { return s.sent.Load() }

// Done is closed when the stream has sent its Count, was stopped or failed.
func (s *Stream) Done() <-chan struct{} { return s.done }

// Stop ends the stream and returns how many datagrams the kernel took, and the
// error that ended it early, if any. Calling it again returns the same.
func (s *Stream) Stop() (sent uint64, err error) {
	s.stop()
	<-s.done
	s.closed.Do(func() {
		s.host.disown(s)
		s.runErr = errors.Join(s.runErr, s.sock.file.Close())
	})
	return s.Sent(), s.runErr
}

// Close is Stop without the count.
func (s *Stream) Close() error {
	_, err := s.Stop()
	return err
}

func (h *Host) openStream(cfg SendConfig) (*Stream, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("send from host %s: %w", h.Name, err)
	}
	i, err := h.iface(cfg.Interface)
	if err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	domain, _ := family(cfg.Group)
	sock, err := openSocket(h.ns, domain, unix.SOCK_DGRAM, 0, func(fd int) error { return cfg.setup(fd, i) })
	if err != nil {
		return nil, fmt.Errorf("send to %s from host %s: %w", cfg.Group, h.Name, err)
	}
	id := uint32(h.Number)<<16 | h.stream.Add(1)&0xffff
	return &Stream{ID: id, host: h, cfg: cfg, sock: sock}, nil
}

func (c SendConfig) setup(fd int, i hostIface) error {
	err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 4<<20),
		unix.BindToDevice(fd, cmp.Or(c.Interface, hostInterface)),
	)
	if c.Group.Is4() {
		err = errors.Join(err, c.setup4(fd, i.index))
	} else {
		err = errors.Join(err, c.setup6(fd, i.index))
	}
	if c.Segments > 1 {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, c.Size))
	}
	if err != nil {
		return fmt.Errorf("set socket options: %w", err)
	}
	source := i.addrs.V4.Addr()
	switch {
	case c.Group.Is6() && c.Group.IsLinkLocalMulticast():
		source = i.addrs.LinkLocal.Addr()
	case c.Group.Is6():
		source = i.addrs.V6.Addr()
	}
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(source, c.SourcePort), i.index)); err != nil {
		return fmt.Errorf("bind to %s: %w", source, err)
	}
	return wrap(unix.Connect(fd, sockaddr(netip.AddrPortFrom(c.Group, c.Port), i.index)), "connect")
}

func (c SendConfig) setup4(fd, ifindex int) error {
	err := errors.Join(
		unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(ifindex)}),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, c.TTL),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0),
		unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT),
	)
	if len(c.Options) > 0 {
		err = errors.Join(err, setOption(fd, unix.IPPROTO_IP, unix.IP_OPTIONS, c.Options))
	}
	return err
}

func (c SendConfig) setup6(fd, ifindex int) error {
	err := errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, ifindex),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, c.TTL),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0),
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT),
	)
	if len(c.Options) > 0 {
		err = errors.Join(err, setOption(fd, unix.IPPROTO_IPV6, unix.IPV6_HOPOPTS, c.Options))
	}
	return err
}

// RouterAlert is the IPv4 option of RFC 2113 in SendConfig.Options.
var RouterAlert = binary.BigEndian.AppendUint32(nil, 0x94040000)

func (s *Stream) run(ctx context.Context) error {
	p := newPacer(s.cfg.Rate)
	defer p.stop()
	out := newOutbox(s.ID, s.cfg)
	for {
		left := s.cfg.Count - s.Sent()
		if s.cfg.Count == 0 {
			left = batchLen * uint64(s.cfg.Segments)
		}
		if left == 0 {
			return nil
		}
		due, err := p.wait(ctx, s.Sent())
		if err != nil {
			if s.cfg.Count == 0 {
				return nil
			}
			return fmt.Errorf("send to %s from host %s after %d datagrams: %w", s.cfg.Group, s.host.Name, s.Sent(), err)
		}
		n, err := out.send(s.sock, s.Sent(), min(left, due))
		s.sent.Add(n)
		if err != nil {
			return fmt.Errorf("send to %s from host %s after %d datagrams: %w", s.cfg.Group, s.host.Name, s.Sent(), err)
		}
	}
}
