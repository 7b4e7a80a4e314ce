package bpf

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Where our clsact filters sit: before those that forward, so that every packet
// is seen as it arrived.
const (
	watchPriority = filterPriority - 1
	watchName     = "fanlight-watch"
)

// watchPoint is one direction of an interface.
type watchPoint struct {
	direction Direction
	parent    uint32 // of a clsact filter
	tcx       ebpf.AttachType
	anchor    link.Anchor
}

// What comes in is seen before other programs, what goes out after them.
var watchPoints = []watchPoint{
	{In, netlink.HANDLE_MIN_INGRESS, ebpf.AttachTCXIngress, link.Head()},
	{Out, netlink.HANDLE_MIN_EGRESS, ebpf.AttachTCXEgress, link.Tail()},
}

// program returns the one for a direction; ethernet says whether frames on the
// interface begin with an Ethernet header.
func (w *Watch) program(d Direction, ethernet bool) *ebpf.Program {
	name := "watch_in"
	if d == Out {
		name = "watch_out"
	}
	if !ethernet {
		name += "_ip"
	}
	return w.coll.Programs[name]
}

// Attach observes both directions of an interface. Returns ErrTableFull if
// there is no room for what it counts. The thread must be in the interface's
// namespace.
func (w *Watch) Attach(ifindex uint32, ethernet bool) (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.links[ifindex]; there {
		return nil
	}
	w.links[ifindex] = nil
	defer func() {
		if err != nil {
			err = errors.Join(err, w.detach(ifindex))
		}
	}()
	for _, p := range watchPoints {
		all := toWatchKey(WatchKey{Ifindex: ifindex, Direction: p.direction})
		err := w.streams().Update(all, wireWatched{}, ebpf.UpdateAny)
		if errors.Is(err, unix.E2BIG) {
			return fmt.Errorf("observe interface %d: %w", ifindex, ErrTableFull)
		}
		if err != nil {
			return fmt.Errorf("observe interface %d: %w", ifindex, err)
		}
	}
	for _, p := range watchPoints {
		if err := w.attachPoint(ifindex, p, w.program(p.direction, ethernet)); err != nil {
			return fmt.Errorf("observe interface %d: %w", ifindex, explain(err))
		}
	}
	return nil
}

func (w *Watch) attachPoint(ifindex uint32, p watchPoint, prog *ebpf.Program) error {
	if w.hook == hookClsact {
		return addWatchFilter(ifindex, p, prog)
	}
	l, err := link.AttachTCX(link.TCXOptions{Interface: int(ifindex), Program: prog, Attach: p.tcx, Anchor: p.anchor})
	if err != nil {
		return fmt.Errorf("attach by tcx: %w", err)
	}
	w.links[ifindex] = append(w.links[ifindex], l)
	return nil
}

// Detach undoes Attach and forgets what was counted on the interface, which may
// be gone.
func (w *Watch) Detach(ifindex uint32) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.detach(ifindex)
}

func (w *Watch) detach(ifindex uint32) error {
	var errs []error
	for _, l := range w.links[ifindex] {
		errs = append(errs, l.Close())
	}
	if _, there := w.links[ifindex]; there && w.hook == hookClsact {
		if at, err := netlink.LinkByIndex(int(ifindex)); err == nil {
			_, _, err := removeWatchFilters(at)
			errs = append(errs, err)
		}
	}
	delete(w.links, ifindex)
	return errors.Join(append(errs,
		deleteWhere(w.streams(), func(k *wireWatchKey, _ *wireWatched) bool { return k.Ifindex == ifindex }))...)
}

func watchFilter(ifindex uint32, p watchPoint) *netlink.BpfFilter {
	f := filterOf(ifindex)
	f.Parent, f.Priority, f.Name = p.parent, watchPriority, watchName
	return f
}

func addWatchFilter(ifindex uint32, p watchPoint, prog *ebpf.Program) error {
	if err := netlink.QdiscAdd(clsactOf(ifindex)); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("add clsact: %w", err)
	}
	f := watchFilter(ifindex, p)
	f.Fd = prog.FD()
	if err := netlink.FilterReplace(f); err != nil {
		return fmt.Errorf("add filter: %w", err)
	}
	return nil
}

func isWatch(f netlink.Filter) bool {
	b, ok := f.(*netlink.BpfFilter)
	return ok && strings.HasPrefix(b.Name, watchName) && b.Priority == watchPriority
}

// RemoveWatchFilters removes the clsact filters that an observer left behind when
// it was killed, and the qdisc if nobody else uses it. An interface without any is
// no error. To remove the qdisc costs packets that are being sent, so an observer
// that stops leaves it.
func RemoveWatchFilters(ifindex uint32) error {
	at, err := netlink.LinkByIndex(int(ifindex))
	if err != nil {
		return nil // gone, and its filters with it
	}
	removed, others, err := removeWatchFilters(at)
	if err != nil || removed == 0 || others > 0 {
		return err
	}
	if err := netlink.QdiscDel(clsactOf(ifindex)); err != nil && !isGone(err) {
		return fmt.Errorf("remove clsact from %s: %w", at.Attrs().Name, err)
	}
	return nil
}

// removeWatchFilters returns how many there were, and how many of other programs.
func removeWatchFilters(at netlink.Link) (removed, others int, err error) {
	for _, p := range watchPoints {
		filters, err := netlink.FilterList(at, p.parent)
		if err != nil {
			return removed, others, nil // no clsact
		}
		for _, f := range filters {
			if !isWatch(f) {
				others++
				continue
			}
			if err := netlink.FilterDel(f); err != nil && !isGone(err) {
				return removed, others, fmt.Errorf("remove filter from %s: %w", at.Attrs().Name, err)
			}
			removed++
		}
	}
	return removed, others, nil
}
