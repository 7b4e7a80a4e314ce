package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// rig is a datapath in a namespace of its own, with ports p1, p2, ... that are
// veth pairs. All state of the kernel side can be taken and compared, so that a
// test states what a packet changes and that it changes nothing else.
//
//	far-p1 ═ p1 ┐
//	far-p2 ═ p2 ┼ domain 0
//	far-p3 ═ p3 ┘
type rig struct {
	ns       *bpftest.Namespace
	options  Options
	d        *Datapath
	ports    []bpftest.Veth // from 1
	captures []*bpftest.Capture
	events   *EventReader
	messages *MessageReader
	names    map[uint32]string
	// lists are the generations that each group was given, in order.
	lists map[GroupKey][]uint32
}

// smallSettings keep tests light; every table has room for what they do.
func smallSettings() Settings {
	return Settings{
		Domains: 4, Ports: 16, VLANs: 16, Groups: 128, Sources: 128, Pairs: 1024, Streams: 512, Drops: 512,
		Failures: 512, EventRingBytes: 1 << 16, ControlRingBytes: 1 << 18,
	}
}

var everyGroup = []netip.Prefix{netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8")}

// newRig makes n ports and a domain of them that drops what nobody joined.
// change may change the options before the datapath is loaded.
func newRig(t testing.TB, n int, change ...func(*Options)) *rig {
	t.Helper()
	bpftest.Require(t)
	r := &rig{
		ns:      bpftest.NewNamespace(t),
		options: Options{Settings: smallSettings(), Dir: bpftest.PinDir(t)},
		names:   map[uint32]string{0: ""},
	}
	for _, c := range change {
		c(&r.options)
	}
	r.ports = make([]bpftest.Veth, 1)
	r.captures = make([]*bpftest.Capture, 1)
	r.load(t)
	for range n {
		r.addPort(t)
	}
	r.setDomain(t, Domain{Unregistered: DropUnregistered})
	t.Cleanup(func() {
		if err := r.d.Unload(); err != nil {
			t.Errorf("unload: %v", err)
		}
	})
	return r
}

// load loads the datapath, the first time or again.
func (r *rig) load(t testing.TB) {
	t.Helper()
	var err error
	if r.d, err = Load(r.options); err != nil {
		t.Fatalf("%+v", err)
	}
	if r.events, err = r.d.NewEventReader(r); err != nil {
		t.Fatal(err)
	}
	if r.messages, err = r.d.NewMessageReader(); err != nil {
		t.Fatal(err)
	}
	r.messages.SetDeadline(time.Unix(1, 0)) // never wait
}

// close lets go of the datapath, which stays pinned.
func (r *rig) close(t testing.TB) {
	t.Helper()
	if err := errors.Join(r.events.Close(), r.messages.Close(), r.d.Close()); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) addPort(t testing.TB, change ...func(*Port)) uint32 {
	t.Helper()
	pair := bpftest.AddVeth(t, fmt.Sprintf("p%d", len(r.ports)))
	r.ports = append(r.ports, pair)
	r.captures = append(r.captures, bpftest.NewCapture(t, pair))
	p := Port{Index: uint32(len(r.ports) - 1), Name: pair.Port.Name}
	for _, c := range change {
		c(&p)
	}
	if err := r.d.Tables.SetPort(pair.Index(), p); err != nil {
		t.Fatal(err)
	}
	r.names[pair.Index()] = pair.Port.Name
	return pair.Index()
}

// setDomain fills in what the test leaves out: all ports, every group.
func (r *rig) setDomain(t testing.TB, d Domain) {
	t.Helper()
	if d.Flood == nil {
		d.Flood = r.all()
	}
	if d.Allow == nil {
		d.Allow = everyGroup
	}
	if d.StreamsPerGroup == 0 {
		d.StreamsPerGroup = 64
	}
	if err := r.d.Tables.SetDomain(0, d); err != nil {
		t.Fatal(err)
	}
}

// at returns the interface indexes of ports.
func (r *rig) at(numbers ...int) []uint32 {
	var list []uint32
	for _, n := range numbers {
		list = append(list, r.ports[n].Index())
	}
	return list
}

func (r *rig) all() []uint32 {
	var list []uint32
	for _, p := range r.ports[1:] {
		list = append(list, p.Index())
	}
	return list
}

// join makes the ports the members of a group, for every source.
func (r *rig) join(t testing.TB, group string, vlan VLAN, numbers ...int) {
	t.Helper()
	r.setGroup(t, group, vlan, Forwarding{Any: r.at(numbers...)})
}

func (r *rig) setGroup(t testing.TB, group string, vlan VLAN, fw Forwarding) {
	t.Helper()
	k := GroupKey{VLAN: vlan, Group: netip.MustParseAddr(group)}
	generation, err := r.d.Tables.SetGroup(k, fw)
	if r.lists == nil {
		r.lists = map[GroupKey][]uint32{}
	}
	r.lists[k] = append(r.lists[k], generation)
	if err != nil {
		t.Fatal(err)
	}
}

// setMTU sets the MTU of both ends of every port.
func (r *rig) setMTU(t testing.TB, mtu int) {
	t.Helper()
	for _, p := range r.ports[1:] {
		for _, l := range []netlink.Link{p.Port, p.Far} {
			if err := netlink.LinkSetMTU(l, mtu); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// attach puts the programs on the ports.
func (r *rig) attach(t testing.TB, numbers ...int) {
	t.Helper()
	for _, port := range r.at(numbers...) {
		if err := r.d.AttachPort(port); err != nil {
			t.Fatal(err)
		}
	}
}

// Domain and Interface make a rig the Names of its events.
func (r *rig) Domain(id uint32) string { return fmt.Sprint("d", id) }

func (r *rig) Interface(ifindex uint32) string {
	if name, ok := r.names[ifindex]; ok {
		return name
	}
	return fmt.Sprint("if", ifindex)
}

// skbContext is struct __sk_buff of linux/bpf.h, as far as a run takes and
// gives it.
type skbContext struct {
	Len, PktType, Mark, QueueMapping, Protocol, VLANPresent, VLANTCI, VLANProto uint32
	Priority, IngressIfindex, Ifindex, TCIndex                                  uint32
	CB                                                                          [5]uint32
	Hash, TCClassID, Data, DataEnd, NAPIID, Family, RemoteIP4, LocalIP4         uint32
	RemoteIP6, LocalIP6                                                         [4]uint32
	RemotePort, LocalPort, DataMeta                                             uint32
	FlowKeys, Tstamp                                                            uint64
	WireLen, GSOSegs                                                            uint32
	Sk                                                                          uint64
	GSOSize                                                                     uint32
	_                                                                           uint32
	Hwtstamp                                                                    uint64
}

// What the program says about a packet.
const (
	next    = "next"    // the host's stack gets it
	consume = "consume" // freed, not as a drop
	drop    = "drop"
)

// run gives the frame to the program as if it had come in on the port.
func (r *rig) run(t testing.TB, port int, frame []byte, segs uint32) string {
	t.Helper()
	var ifindex uint32
	if port > 0 {
		ifindex = r.ports[port].Index()
	}
	return r.runAt(t, ifindex, frame, segs)
}

func (r *rig) runAt(t testing.TB, ifindex uint32, frame []byte, segs uint32) string {
	t.Helper()
	in := skbContext{Ifindex: ifindex, GSOSegs: segs}
	if segs > 1 {
		in.GSOSize = 100
	}
	var out skbContext
	ret, err := r.d.replicate.Run(&ebpf.RunOptions{Data: frame, Context: in, ContextOut: &out})
	if err != nil {
		t.Fatalf("run program on %d bytes: %v", len(frame), err)
	}
	const unspec = 1<<32 - 1
	switch {
	case ret == 4, ret == unspec && out.CB[0] == 0xfa9117e5:
		return consume
	case ret == unspec:
		return next
	case ret == 2:
		return drop
	default:
		return fmt.Sprint("action ", ret)
	}
}

// drain returns the events since the last call, without times.
func (r *rig) drain(t testing.TB) []string {
	t.Helper()
	var events []string
	_, err := r.events.Drain(1<<20, func(ev *Event, c Change) {
		events = append(events, r.describe(ev, c))
	})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// describe writes an event as one line. Generations are counted from 1 for each
// group; 0 is no list of the group's own.
func (r *rig) describe(ev *Event, c Change) string {
	key := GroupKey{Domain: c.Domain, VLAN: ev.VLAN, Group: ev.Group}
	k := groupName(GroupKey{VLAN: ev.VLAN, Group: ev.Group})
	list := 1 + slices.Index(r.lists[key], c.Generation)
	s := fmt.Sprintf("%s %s %s>%s %s %s", ev.Domain, ev.Kind, addrName(ev.Source), k, ev.Interface, ev.Action)
	switch ev.Kind {
	case KindDrop:
		s += fmt.Sprintf(" %s packets %d bytes %d failures %d suppressed %d",
			ev.Reason, ev.Packets, ev.Bytes, ev.Failures, ev.Suppressed)
	default:
		s += fmt.Sprintf(" fanout %d>%d generation %d packets %d copies %d failures %d",
			ev.PrevFanOut, ev.FanOut, list, ev.Packets, ev.Copies, ev.Failures)
	}
	return s
}

// handed returns the messages that the agent was handed since the last call.
func (r *rig) handed(t testing.TB) []Message {
	t.Helper()
	var list []Message
	for {
		m, err := r.messages.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		m.IP = append([]byte(nil), m.IP...)
		m.At = 0
		list = append(list, m)
	}
}

// delivered returns what arrived at the far ends since the last call, by port.
func (r *rig) delivered(t testing.TB) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	for i, c := range r.captures[1:] {
		for _, f := range c.Frames(t) {
			name := r.ports[i+1].Port.Name
			got[name] = append(got[name], fmt.Sprintf("%x", f))
		}
	}
	return got
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// numbered returns a payload that says which packet it is.
func numbered(n int) string {
	return strings.Repeat("x", 32) + string(binary.BigEndian.AppendUint32(nil, uint32(n)))
}
