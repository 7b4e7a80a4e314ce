package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// namespaceDir is where iproute2 keeps named namespaces, so that
// `ip netns exec` and `nsenter --net=` find ours.
const namespaceDir = "/run/netns"

// Namespace is one network namespace with a name under /run/netns. Its methods
// may be called concurrently.
type Namespace struct {
	name   string
	owner  *owner
	fd     int
	handle *netlink.Handle

	mu     sync.Mutex
	idle   *worker // at most one waits for the next Do
	closed bool
}

func newNamespace(o *owner, name string) (_ *Namespace, err error) {
	if err := prepareNamespaceDir(); err != nil {
		return nil, err
	}
	ns := &Namespace{name: name, owner: o, fd: -1}
	if err := o.adds(name); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(ns.Path(), os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create namespace %s: %w", name, err), o.removed(name))
	}
	file.Close()
	defer func() {
		if err != nil {
			err = errors.Join(err, ns.remove())
		}
	}()

	ns.idle, err = startWorker(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		return unix.Mount("/proc/thread-self/ns/net", ns.Path(), "", unix.MS_BIND, "")
	})
	if err != nil {
		return nil, fmt.Errorf("create namespace %s: %w", name, err)
	}
	ns.fd, err = unix.Open(ns.Path(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open namespace %s: %w", name, err)
	}
	err = ns.Do(func() error {
		ns.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open netlink in namespace %s: %w", name, err)
	}
	return ns, nil
}

// Name returns the name that `ip netns` shows.
func (ns *Namespace) Name() string { return ns.name }

// Path returns the file that names the namespace, as setns and nsenter want it.
func (ns *Namespace) Path() string { return filepath.Join(namespaceDir, ns.name) }

// Handle returns a netlink handle that acts inside the namespace. The namespace
// owns it; it is valid until the network closes or the host is removed.
func (ns *Namespace) Handle() *netlink.Handle { return ns.handle }

// Do runs fn on a thread inside the namespace and returns its error. Goroutines
// that fn starts run outside. A socket or netlink connection that fn opens stays
// in the namespace whichever thread uses it later. Calls may nest and may run
// concurrently. A panic in fn panics here; runtime.Goexit in fn ends the calling
// goroutine, so t.Fatal works. Returns ErrClosed once the namespace is removed.
func (ns *Namespace) Do(fn func() error) error {
	w, err := ns.acquire()
	if err != nil {
		return fmt.Errorf("enter namespace %s: %w", ns.name, err)
	}
	r, usable := w.do(fn)
	if usable {
		ns.release(w)
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	if r.exited {
		runtime.Goexit()
	}
	return r.err
}

func (ns *Namespace) acquire() (*worker, error) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.closed {
		return nil, ErrClosed
	}
	if w := ns.idle; w != nil {
		ns.idle = nil
		return w, nil
	}
	return startWorker(func() error { return unix.Setns(ns.fd, unix.CLONE_NEWNET) })
}

func (ns *Namespace) release(w *worker) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.closed || ns.idle != nil {
		w.stop()
		return
	}
	ns.idle = w
}

// setUp sets the named interface up.
func (ns *Namespace) setUp(iface string) error {
	link, err := ns.handle.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("find %s in %s: %w", iface, ns.name, err)
	}
	if err := ns.handle.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s in %s up: %w", iface, ns.name, err)
	}
	return nil
}

// remove ends the threads and removes the name. The kernel frees the namespace
// when the last socket or process in it is gone.
func (ns *Namespace) remove() error {
	ns.mu.Lock()
	if ns.closed {
		ns.mu.Unlock()
		return nil
	}
	ns.closed = true
	if ns.idle != nil {
		ns.idle.stop()
		ns.idle = nil
	}
	ns.mu.Unlock()

	if ns.handle != nil {
		ns.handle.Close()
	}
	if ns.fd >= 0 {
		unix.Close(ns.fd)
	}
	if err := removeNamespaceFile(ns.name); err != nil {
		return err
	}
	return ns.owner.removed(ns.name)
}

func removeNamespaceFile(name string) error {
	path := filepath.Join(namespaceDir, name)
	err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	// EINVAL: the file exists but nothing was mounted on it yet.
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unmount namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	return nil
}

// prepareNamespaceDir makes /run/netns a shared mount, as iproute2 does: then a
// namespace that is removed here also goes from the mount namespaces of
// services that started in between.
func prepareNamespaceDir() error {
	if err := os.MkdirAll(namespaceDir, 0o755); err != nil {
		return fmt.Errorf("prepare %s: %w", namespaceDir, err)
	}
	dir, err := os.Open(namespaceDir)
	if err != nil {
		return fmt.Errorf("prepare %s: %w", namespaceDir, err)
	}
	defer dir.Close()
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil { // two first users must not mount twice
		return fmt.Errorf("lock %s: %w", namespaceDir, err)
	}
	err = unix.Mount("", namespaceDir, "", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) { // EINVAL: not a mount yet
		return wrap(err, "share %s", namespaceDir)
	}
	if err := unix.Mount(namespaceDir, namespaceDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", namespaceDir, err)
	}
	return wrap(unix.Mount("", namespaceDir, "", unix.MS_SHARED|unix.MS_REC, ""), "share %s", namespaceDir)
}

// wrap adds what was being done to err, and keeps nil nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}
