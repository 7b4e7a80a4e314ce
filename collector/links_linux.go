package collector

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkWatcher tells of interfaces that appear, change and vanish.
type linkWatcher struct {
	ns *namespace
	// resync is called when changes may have been missed, update for each
	// change, addressed when an interface gets or loses an address, removed when
	// it is gone.
	resync    func([]netlink.Link) error
	update    func(netlink.Link) error
	addressed func(ifindex uint32) error
	removed   func(ifindex uint32) error
	// round is called at each change, and every so often without one.
	every time.Duration
	round func()
}

// watch returns when ctx is done. It calls subscribed once, when all interfaces
// are known for the first time.
func (w *linkWatcher) watch(ctx context.Context, subscribed func()) error {
	return w.watchBy(ctx, subscribed, w.follow)
}

// watchBy follows until ctx is done. After an overrun of the socket, or
// another reason for which changes may have been missed, it subscribes and lists
// anew, so that no interface stays unnoticed.
func (w *linkWatcher) watchBy(ctx context.Context, subscribed func(), follow func(context.Context, func()) error) error {
	subscribed = sync.OnceFunc(subscribed)
	for {
		err := follow(ctx, subscribed)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errOverrun) {
			return err
		}
	}
}

// listWhole lists until nothing came or went meanwhile, or gives up in the end:
// the kernel tells then that the list may not be whole.
func listWhole[T any](list func() ([]T, error)) (all []T, err error) {
	const tries = 20
	for range tries {
		if all, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			return all, err
		}
	}
	return all, err
}

var errOverrun = errors.New("netlink messages were lost")

// subscription is what one follow hears.
type subscription struct {
	links     chan netlink.LinkUpdate
	addresses chan netlink.AddrUpdate
	overrun   chan error
	done      chan struct{}
}

func (w *linkWatcher) subscribe() (*subscription, error) {
	s := &subscription{
		links:     make(chan netlink.LinkUpdate, 256),
		addresses: make(chan netlink.AddrUpdate, 256),
		overrun:   make(chan error, 1),
		done:      make(chan struct{}),
	}
	missed := func(err error) {
		select {
		case s.overrun <- err:
		default:
		}
	}
	// On the namespace's thread: to enter the namespace anew would need
	// CAP_SYS_ADMIN, which is given up after the start.
	err := w.ns.do(func() error {
		err := netlink.LinkSubscribeWithOptions(s.links, s.done, netlink.LinkSubscribeOptions{
			ReceiveBufferSize: 4 << 20, ErrorCallback: missed,
		})
		if err != nil {
			close(s.links)
			return err
		}
		err = netlink.AddrSubscribeWithOptions(s.addresses, s.done, netlink.AddrSubscribeOptions{
			ReceiveBufferSize: 1 << 20, ErrorCallback: missed,
		})
		if err != nil {
			close(s.addresses)
		}
		return err
	})
	if err != nil {
		s.close()
		return nil, fmt.Errorf("watch interfaces: %w", err)
	}
	return s, nil
}

// close ends the subscription. Its senders may be waiting to hand over one more,
// and end when that is taken.
func (s *subscription) close() {
	close(s.done)
	go func() {
		for range s.links {
		}
	}()
	go func() {
		for range s.addresses {
		}
	}()
}

func (w *linkWatcher) follow(ctx context.Context, subscribed func()) error {
	s, err := w.subscribe()
	if err != nil {
		return err
	}
	defer s.close()
	links, err := listWhole(w.ns.handle.LinkList)
	if errors.Is(err, netlink.ErrDumpInterrupted) {
		return errOverrun
	}
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	if err := w.resync(links); err != nil {
		return err
	}
	subscribed()
	idle := time.NewTicker(w.every)
	defer idle.Stop()
	for {
		w.round()
		select {
		case <-idle.C:
		case <-ctx.Done():
			return nil
		case <-s.overrun:
			return errOverrun
		case u, ok := <-s.links:
			if !ok {
				return errOverrun
			}
			if err := w.handle(u); err != nil {
				return err
			}
		case u, ok := <-s.addresses:
			if !ok {
				return errOverrun
			}
			if err := w.addressed(uint32(u.LinkIndex)); err != nil {
				return err
			}
		}
	}
}

func (w *linkWatcher) handle(u netlink.LinkUpdate) error {
	if u.Header.Type == unix.RTM_DELLINK {
		if u.IfInfomsg.Family == unix.AF_BRIDGE {
			return nil // left a bridge, still there
		}
		return w.removed(uint32(u.Index))
	}
	return w.update(u.Link)
}

// addressesOf returns the addresses that queries on the interface come from; ok
// is false if they can't be told.
func addressesOf(h *netlink.Handle, l netlink.Link) (v4, v6 netip.Addr, ok bool) {
	addrs, err := listWhole(func() ([]netlink.Addr, error) { return h.AddrList(l, netlink.FAMILY_ALL) })
	if err != nil {
		return v4, v6, false
	}
	for _, a := range addrs {
		ip, ok := netip.AddrFromSlice(a.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		switch {
		case ip.Is4() && !v4.IsValid():
			v4 = ip
		case ip.Is6() && ip.IsLinkLocalUnicast() && !v6.IsValid():
			v6 = ip
		}
	}
	return v4, v6, true
}
