package collector

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespace is the network namespace that the ports are in. Attaching and
// opening sockets must be done by a thread inside of it.
type namespace struct {
	work   chan func()
	handle *netlink.Handle
	ns     netns.NsHandle
}

// openNamespace enters the namespace on a thread of its own; "" is the
// process's own.
func openNamespace(path string) (*namespace, error) {
	n := &namespace{work: make(chan func())}
	ready := make(chan error)
	go n.serve(path, ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return n, nil
}

// serve runs what do hands over. Its thread is never given back to the
// runtime: it dies with the goroutine. The main thread can't die, and
// /proc/PID/ns/net speaks of it, so another one is taken while it is held.
func (n *namespace) serve(path string, ready chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		started := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			close(started)
			n.loop(path, ready)
		}()
		<-started
		runtime.UnlockOSThread()
		return
	}
	n.loop(path, ready)
}

// loop enters the namespace and works there.
func (n *namespace) loop(path string, ready chan<- error) {
	if err := n.enter(path); err != nil {
		ready <- err
		return
	}
	ready <- nil
	for fn := range n.work {
		fn()
	}
}

func (n *namespace) enter(path string) (err error) {
	if path == "" {
		n.ns, err = netns.Get()
	} else {
		n.ns, err = netns.GetFromPath(path)
	}
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", path, err)
	}
	if path != "" {
		if err := netns.Set(n.ns); err != nil {
			return fmt.Errorf("enter network namespace %s (needs CAP_SYS_ADMIN): %w", path, err)
		}
	}
	// Not NewHandleAt: it would enter the namespace again, which needs
	// CAP_SYS_ADMIN even where this thread is there already.
	if n.handle, err = netlink.NewHandle(); err != nil {
		return fmt.Errorf("open netlink in network namespace %s: %w", path, err)
	}
	return nil
}

// do runs fn on a thread in the namespace and waits for it.
func (n *namespace) do(fn func() error) error {
	done := make(chan error)
	n.work <- func() { done <- fn() }
	return <-done
}

// Close ends the thread.
func (n *namespace) Close() error {
	close(n.work)
	n.handle.Close()
	return n.ns.Close()
}
