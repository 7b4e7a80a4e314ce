package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"
)

// ListenConfig describes what a receiver listens to.
type ListenConfig struct {
	// Group and Port are the destination of the datagrams.
	Group netip.Addr
	Port  uint16
	// Interface joins and receives; empty means eth0.
	Interface string
	// Sources joins these sources only (SSM); Exclude joins all but these.
	// At most one of the two may be set.
	Sources, Exclude []netip.Addr
	// Idle opens the socket without joining; Join joins later.
	Idle bool
	// RecvBuf is the socket's buffer in bytes; 0 means 32 MB.
	RecvBuf int
	// OnDatagram, if set, is called with each datagram by one goroutine, after
	// it is counted. It must not keep payload.
	OnDatagram func(from netip.AddrPort, payload []byte)
}

func (c ListenConfig) validate() error {
	if !c.Group.IsMulticast() || c.Group.Is4In6() {
		return fmt.Errorf("group %s: want an IPv4 or IPv6 multicast address", c.Group)
	}
	if c.Port == 0 {
		return errors.New("port 0")
	}
	if len(c.Sources) > 0 && len(c.Exclude) > 0 {
		return errors.New("sources and excluded sources exclude each other")
	}
	return nil
}

// Receiver is a kernel socket that joined a group and counts and verifies what
// comes. It gets what its own membership admits on its own interface, nothing
// else. Its methods may be called concurrently.
type Receiver struct {
	host  *Host
	cfg   ListenConfig
	index int
	sock  *socket
	done  chan struct{} // closed when the reading goroutine has ended

	mu       sync.Mutex
	report   Report // without Dropped and Streams
	streams  map[uint32]*tracker
	changed  chan struct{} // closed at the next change, if somebody waits
	readErr  error
	closed   bool
	lastDrop uint64 // as of Close
}

// Listen opens a socket, joins unless told not to, and starts to receive. The
// host closes the receiver when it goes.
func (h *Host) Listen(cfg ListenConfig) (*Receiver, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("listen on host %s: %w", h.Name, err)
	}
	i, err := h.iface(cfg.Interface)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	r := &Receiver{host: h, cfg: cfg, index: i.index, done: make(chan struct{}), streams: make(map[uint32]*tracker)}
	domain, _ := family(cfg.Group)
	r.sock, err = openSocket(h.ns, domain, unix.SOCK_DGRAM, 0, r.setup)
	if err != nil {
		return nil, fmt.Errorf("listen to %s on host %s: %w", cfg.Group, h.Name, err)
	}
	go r.run()
	if err := h.adopt(r); err != nil {
		return nil, err
	}
	return r, nil
}

// setup binds to the group and the interface: IPv6 matches memberships by
// address alone, so that the socket would hear other interfaces too.
func (r *Receiver) setup(fd int) error {
	_, level := family(r.cfg.Group)
	all := unix.IPV6_MULTICAST_ALL
	if r.cfg.Group.Is4() {
		all = unix.IP_MULTICAST_ALL
	}
	err := errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, cmp.Or(r.cfg.RecvBuf, 32<<20)),
		unix.SetsockoptInt(fd, level, all, 0),
		unix.BindToDevice(fd, cmp.Or(r.cfg.Interface, hostInterface)),
	)
	if err != nil {
		return fmt.Errorf("set socket options: %w", err)
	}
	if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(r.cfg.Group, r.cfg.Port), r.index)); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	if r.cfg.Idle {
		return nil
	}
	return r.join(fd)
}

func (r *Receiver) join(fd int) error {
	if err := joinGroup(fd, r.index, r.cfg.Group, r.cfg.Sources); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if len(r.cfg.Exclude) == 0 {
		return nil
	}
	return wrap(filterOption(fd, r.index, r.cfg.Group, false, r.cfg.Exclude), "exclude sources")
}

// Join joins the group as the configuration says, after Idle or Leave.
func (r *Receiver) Join() error {
	return r.change("join", r.join)
}

// Leave leaves the group; the socket stays and hears nothing.
func (r *Receiver) Leave() error {
	return r.change("leave", func(fd int) error { return groupOption(fd, r.index, unix.MCAST_LEAVE_GROUP, r.cfg.Group) })
}

// AddSource adds a source to a receiver that joined with Sources.
func (r *Receiver) AddSource(source netip.Addr) error {
	return r.source(unix.MCAST_JOIN_SOURCE_GROUP, source)
}

// DropSource drops a source of a receiver that joined with Sources.
func (r *Receiver) DropSource(source netip.Addr) error {
	return r.source(unix.MCAST_LEAVE_SOURCE_GROUP, source)
}

// Block refuses a source, for a receiver that joined without Sources.
func (r *Receiver) Block(source netip.Addr) error { return r.source(unix.MCAST_BLOCK_SOURCE, source) }

// Unblock takes back Block.
func (r *Receiver) Unblock(source netip.Addr) error {
	return r.source(unix.MCAST_UNBLOCK_SOURCE, source)
}

// SetFilter replaces the source filter of the joined group in one step: only
// these sources if include is set, all but these otherwise.
func (r *Receiver) SetFilter(include bool, sources ...netip.Addr) error {
	return r.change("set filter", func(fd int) error { return filterOption(fd, r.index, r.cfg.Group, include, sources) })
}

func (r *Receiver) source(option int, source netip.Addr) error {
	return r.change("change source "+source.String(), func(fd int) error {
		return sourceOption(fd, r.index, option, r.cfg.Group, source)
	})
}

func (r *Receiver) change(what string, option func(fd int) error) error {
	return wrap(r.sock.control(option), "%s: group %s on host %s", what, r.cfg.Group, r.host.Name)
}

// Received returns how many datagrams came, corrupt ones included.
func (r *Receiver) Received() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report.Datagrams
}

// Wait blocks until at least n datagrams came in all. Returns the error of ctx
// if that ends first, ErrClosed if the receiver closes.
func (r *Receiver) Wait(ctx context.Context, n uint64) error {
	for {
		got, changed, err := r.progress()
		if got >= n {
			return nil
		}
		if err != nil {
			return fmt.Errorf("wait on host %s for %d datagrams, got %d: %w", r.host.Name, n, got, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait on host %s for %d datagrams, got %d: %w", r.host.Name, n, r.Received(), ctx.Err())
		case <-changed:
		}
	}
}

func (r *Receiver) progress() (uint64, <-chan struct{}, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.report.Datagrams, r.changed, r.readErr
}

// Close leaves the group and closes the socket. The counts stay readable.
// Calling it again does nothing. Not from OnDatagram.
func (r *Receiver) Close() error {
	dropped, dropErr := r.drops()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	if dropErr == nil {
		r.lastDrop = dropped
	}
	r.mu.Unlock()
	r.host.disown(r)
	err := r.sock.file.Close()
	<-r.done
	return err
}

func (r *Receiver) run() {
	defer close(r.done)
	for {
		var batch *recvBatch
		var n int
		err := r.sock.read(func(fd int) (err error) {
			batch = recvBatches.Get().(*recvBatch)
			n, err = batch.receive(fd)
			if err != nil {
				recvBatches.Put(batch)
			}
			return err
		})
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			r.fail(err)
			return
		}
		r.count(batch, n)
		if r.cfg.OnDatagram != nil {
			for i := range n {
				r.cfg.OnDatagram(batch.from(i), batch.payload(i))
			}
		}
		recvBatches.Put(batch)
	}
}

func (r *Receiver) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.readErr = err
	r.wake()
}

func (r *Receiver) wake() {
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}
