package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

const (
	namePrefix = "fl-bench-"
	pinRoot    = "/sys/fs/bpf"
	sourcePort = 4000
	groupPort  = 5000
)

// groupOf is the group that the first fanout sinks of every fabric get.
func groupOf(fanout int) netip.Addr {
	return netip.AddrFrom4([4]byte{239, 1, 1, byte(fanout)})
}

// A fabric is one network whose switch replicates by one mechanism: a source,
// and sinks that count. All fabrics are alike but for the mechanism.
type fabric struct {
	name    string
	net     *lab.Net
	source  *lab.Host
	sinks   []*lab.Host
	ports   []uint32 // of the sinks, in the switch
	ingress uint32   // of the source, in the switch

	arrivals *ebpf.Map
	raw      *lab.RawConn
	generate *ebpf.Program
	orders   *ebpf.Map
	closers  []func() error
}

// newFabric builds the network of a mechanism, which install then sets up in
// the switch; sinks count from then on.
func newFabric(ctx context.Context, name string, sinks int, install func(context.Context, *fabric) error) (_ *fabric, err error) {
	hosts := []lab.HostConfig{{Name: "src", IGMPVersion: 2}}
	for i := range sinks {
		hosts = append(hosts, lab.HostConfig{Name: fmt.Sprintf("c%d", i+1), IGMPVersion: 2})
	}
	f := &fabric{name: name}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("build %s: %w", name, err), f.Close())
		}
	}()
	f.net, err = lab.New(ctx, lab.Config{Name: fmt.Sprintf("%s%d-%s", namePrefix, os.Getpid(), strings.ReplaceAll(name, "_", "-")), Hosts: hosts})
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, f.net.Close)
	f.source, f.sinks = f.net.Hosts()[0], f.net.Hosts()[1:]
	if f.ingress, err = f.portIndex(f.source); err != nil {
		return nil, err
	}
	for _, h := range f.sinks {
		port, err := f.portIndex(h)
		if err != nil {
			return nil, err
		}
		f.ports = append(f.ports, port)
	}
	if err := install(ctx, f); err != nil {
		return nil, err
	}
	return f, errors.Join(f.addSinks(), f.addSource())
}

// Close undoes all of it.
func (f *fabric) Close() error {
	var errs []error
	for i := len(f.closers) - 1; i >= 0; i-- {
		errs = append(errs, f.closers[i]())
	}
	f.closers = nil
	return errors.Join(errs...)
}

func (f *fabric) portIndex(h *lab.Host) (uint32, error) {
	link, err := f.net.Switch().Handle().LinkByName(h.Port)
	if err != nil {
		return 0, fmt.Errorf("find port %s: %w", h.Port, err)
	}
	return uint32(link.Attrs().Index), nil
}

// addSource prepares both ways of sending.
func (f *fabric) addSource() error {
	var err error
	if f.raw, err = f.source.Raw(""); err != nil {
		return err
	}
	coll, err := loadTrafficProgram("generate", nil, nil)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, func() error { coll.Close(); return nil })
	f.generate, f.orders = coll.Programs["generate"], coll.Maps["orders"]
	return nil
}

// addSinks puts a counting sink at each receiver, or, where there is none, at
// the ingress of the source's port: that is the floor.
func (f *fabric) addSinks() error {
	coll, err := loadTrafficProgram("sink", nil, nil)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, func() error { coll.Close(); return nil })
	f.arrivals = coll.Maps["arrivals"]
	if len(f.sinks) == 0 {
		return attachSink(f.net.Switch(), f.source.Port, coll.Programs["sink"])
	}
	for i, h := range f.sinks {
		c, err := loadTrafficProgram("sink", map[string]any{"sink_index": uint32(i)}, map[string]*ebpf.Map{"arrivals": f.arrivals})
		if err != nil {
			return err
		}
		err = attachSink(h.Namespace(), h.Interface, c.Programs["sink"])
		c.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func loadTrafficProgram(name string, set map[string]any, maps map[string]*ebpf.Map) (*ebpf.Collection, error) {
	spec, err := loadTraffic()
	if err != nil {
		return nil, err
	}
	for _, other := range []string{"sink", "generate"} {
		if other != name {
			delete(spec.Programs, other)
		}
	}
	for v, value := range set {
		if err := spec.Variables[v].Set(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", v, err)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: maps})
	if err != nil {
		return nil, fmt.Errorf("load %s: %w", name, err)
	}
	return coll, nil
}

func attachSink(ns *lab.Namespace, iface string, prog *ebpf.Program) error {
	h := ns.Handle()
	link, err := h.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("find %s: %w", iface, err)
	}
	if err := h.QdiscAdd(clsact(link.Attrs().Index)); err != nil {
		return fmt.Errorf("add clsact to %s: %w", iface, err)
	}
	err = h.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: ingressFilter(link.Attrs().Index), Fd: prog.FD(), Name: "sink", DirectAction: true,
	})
	if err != nil {
		return fmt.Errorf("attach sink to %s: %w", iface, err)
	}
	return nil
}

func clsact(ifindex int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

func ingressFilter(ifindex int) netlink.FilterAttrs {
	return netlink.FilterAttrs{
		LinkIndex: ifindex, Parent: netlink.HANDLE_MIN_INGRESS, Priority: 1, Protocol: unix.ETH_P_ALL,
	}
}

// counts returns what each sink got so far.
func (f *fabric) counts() ([]trafficArrival, error) {
	all := make([]trafficArrival, max(1, len(f.sinks)))
	var perCPU []trafficArrival
	for i := range all {
		if err := f.arrivals.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read sink %d of %s: %w", i, f.name, err)
		}
		for _, c := range perCPU {
			all[i].Packets += c.Packets
			all[i].Datagrams += c.Datagrams
			all[i].Bytes += c.Bytes
		}
	}
	return all, nil
}

// delivered returns how many datagrams reached sinks so far.
func (f *fabric) delivered() (n uint64, err error) {
	counts, err := f.counts()
	for _, c := range counts {
		n += c.Datagrams
	}
	return n, err
}

// frameTo returns a frame of a size, with its headers, to the group of a fanout.
// It must not be fragmented: then UDP GRO merges frames whose IP id is the same.
func (f *fabric) frameTo(fanout, size int) []byte {
	src, dst := f.source.Addr4, groupOf(fanout)
	datagram := frame.UDP{SrcPort: sourcePort, DstPort: groupPort}.Wrap(src, dst, make([]byte, size-42))
	packet := frame.IPv4{Src: src, Dst: dst, TTL: 16, Protocol: frame.ProtocolUDP, DontFragment: true}.Wrap(datagram)
	return frame.Ethernet{Dst: frame.GroupMAC(dst), Src: frame.MAC(f.source.MAC)}.Wrap(packet)
}

// pinDir is where fanlight keeps its maps on this fabric.
func (f *fabric) pinDir() string { return filepath.Join(pinRoot, f.net.Name()) }

// cleanStale removes what runs left that were killed.
func cleanStale() error {
	removed, err := lab.CleanStale(namePrefix)
	for _, namespace := range removed {
		if name, ok := strings.CutSuffix(namespace, "-switch"); ok {
			err = errors.Join(err, os.RemoveAll(filepath.Join(pinRoot, name)))
		}
	}
	return err
}
