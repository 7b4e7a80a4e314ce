package bpf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where our clsact filters sit, so that they are found again.
const (
	filterPriority = 0xfa9
	filterHandle   = 1
	filterName     = "fanlight"
)

// AttachPort attaches the programs to the interface's ingress, or puts them in
// the place of those of an earlier agent without losing a packet. The port must
// be in the tables already. The thread must be in the datapath's namespace.
func (d *Datapath) AttachPort(ifindex uint32) error {
	// If the last agent used the other hook, both replicate for a moment: a
	// packet twice is better than none.
	if d.hook == hookClsact {
		if err := attachClsact(ifindex, d.replicate); err != nil {
			return err
		}
		return d.detachTCX(ifindex)
	}
	if err := d.attachTCX(ifindex); err != nil {
		return err
	}
	return attachClsact(ifindex, d.consume)
}

// DetachPort undoes AttachPort. An interface that is gone is no error.
func (d *Datapath) DetachPort(ifindex uint32) error {
	return errors.Join(d.detachTCX(ifindex), detachClsact(ifindex))
}

func portLinkName(ifindex uint32) string { return fmt.Sprintf("port_%d", ifindex) }

func (d *Datapath) attachTCX(ifindex uint32) error {
	path := d.pins.linkPath(portLinkName(ifindex))
	if l, err := link.LoadPinnedLink(path, nil); err == nil {
		defer l.Close()
		// A link whose interface is gone can't be updated, and its index may
		// have been given to a new one.
		if err := l.Update(d.replicate); err == nil {
			return nil
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("unpin stale link of interface %d: %w", ifindex, err)
		}
	}
	l, err := link.AttachTCX(link.TCXOptions{
		Interface: int(ifindex),
		Program:   d.replicate,
		Attach:    ebpf.AttachTCXIngress,
	})
	if err != nil {
		return fmt.Errorf("attach replicate to interface %d: %w", ifindex, explain(err))
	}
	defer l.Close()
	if err := l.Pin(path); err != nil {
		return fmt.Errorf("pin link of interface %d: %w", ifindex, err)
	}
	return nil
}

func (d *Datapath) detachTCX(ifindex uint32) error {
	return d.pins.removeLink(portLinkName(ifindex))
}

func clsactOf(ifindex uint32) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: int(ifindex),
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_CLSACT,
	}}
}

func filterOf(ifindex uint32) *netlink.BpfFilter {
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: int(ifindex),
			Parent:    netlink.HANDLE_MIN_INGRESS,
			Handle:    filterHandle,
			Priority:  filterPriority,
			Protocol:  unix.ETH_P_ALL,
		},
		Name:         filterName,
		DirectAction: true,
	}
}

// attachClsact adds or replaces our filter. The qdisc may be there already.
func attachClsact(ifindex uint32, prog *ebpf.Program) error {
	if err := netlink.QdiscAdd(clsactOf(ifindex)); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("add clsact to interface %d: %w", ifindex, explain(err))
	}
	filter := filterOf(ifindex)
	filter.Fd = prog.FD()
	if err := netlink.FilterReplace(filter); err != nil {
		return fmt.Errorf("attach filter to interface %d: %w", ifindex, explain(err))
	}
	return nil
}

// detachClsact removes our filter, and the qdisc if nobody else uses it.
func detachClsact(ifindex uint32) error {
	at, err := netlink.LinkByIndex(int(ifindex))
	if err != nil {
		return nil // gone, and its filters with it
	}
	filters, err := netlink.FilterList(at, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return nil // no clsact
	}
	others := 0
	for _, f := range filters {
		if !isOurs(f) {
			others++
			continue
		}
		if err := netlink.FilterDel(f); err != nil && !isGone(err) {
			return fmt.Errorf("remove filter from %s: %w", at.Attrs().Name, err)
		}
	}
	egress, err := netlink.FilterList(at, netlink.HANDLE_MIN_EGRESS)
	if err == nil && others+len(egress) == 0 && len(filters) > 0 {
		if err := netlink.QdiscDel(clsactOf(ifindex)); err != nil && !isGone(err) {
			return fmt.Errorf("remove clsact from %s: %w", at.Attrs().Name, err)
		}
	}
	return nil
}

// isGone reports whether what was to be removed went before, perhaps with its
// interface: an interface may vanish at any time.
func isGone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL)
}

func isOurs(f netlink.Filter) bool {
	b, ok := f.(*netlink.BpfFilter)
	return ok && strings.HasPrefix(b.Name, filterName) && b.Priority == filterPriority
}

// detachAll detaches from every port in the pinned tables, whatever layout they
// have: the key of a port is always its interface index.
func (p *pinDir) detachAll() error {
	entries, err := os.ReadDir(filepath.Join(p.path, "links"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("list links: %w", err)
	}
	var errs []error
	for _, e := range entries {
		errs = append(errs, p.removeLink(e.Name()))
	}
	ports, err := ebpf.LoadPinnedMap(p.mapPath("ports"), nil)
	if errors.Is(err, os.ErrNotExist) {
		return errors.Join(errs...)
	}
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("open pinned ports: %w", err))...)
	}
	defer ports.Close()
	var key, next uint32
	err = ports.NextKey(nil, &next)
	for err == nil {
		errs = append(errs, detachClsact(next))
		key = next
		err = ports.NextKey(key, &next)
	}
	if !errors.Is(err, ebpf.ErrKeyNotExist) {
		errs = append(errs, fmt.Errorf("read pinned ports: %w", err))
	}
	return errors.Join(errs...)
}

// AttachedPorts returns the interfaces that an earlier agent attached to by tcx
// and left pinned, whether they still exist or not.
func (d *Datapath) AttachedPorts() ([]uint32, error) {
	entries, err := os.ReadDir(filepath.Join(d.pins.path, "links"))
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	var ports []uint32
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), "port_")
		if !ok {
			continue
		}
		if n, err := strconv.ParseUint(rest, 10, 32); err == nil {
			ports = append(ports, uint32(n))
		}
	}
	return ports, nil
}

// haveTCX probes tcx on the loopback interface, with a program that does
// nothing to packets.
func haveTCX(harmless *ebpf.Program) bool {
	l, err := link.AttachTCX(link.TCXOptions{Interface: 1, Program: harmless, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return false
	}
	l.Close()
	return true
}
