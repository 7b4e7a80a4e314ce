package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestForwardingOutlivesTheAgent: while nobody holds the datapath, packets are
// forwarded and counted; the next agent finds everything and goes on.
func TestForwardingOutlivesTheAgent(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprint("clsact ", clsact), func(t *testing.T) {
			r := newRig(t, 3, func(o *Options) { o.ForceClsact = clsact })
			if r.d.Adopted() {
				t.Error("adopted something in a new directory")
			}
			k := GroupKey{Group: netip.MustParseAddr("239.1.1.1")}
			fw := Forwarding{Any: r.at(2), Sources: []SourcePorts{{netip.MustParseAddr("198.51.100.9"), r.at(2, 3)}}, Sample: 5}
			for range 3 {
				r.setGroup(t, "239.1.1.1", 0, fw)
			}
			if err := r.d.Tables.SetSegment(SegmentKey{}, Segment{QuerierV4: true, Routers: r.at(3)}); err != nil {
				t.Fatal(err)
			}
			r.attach(t, 1)
			send := func(n int, source string) {
				t.Helper()
				before := r.seen(t)
				for i := range n {
					r.captures[1].Inject(t, bpftest.UDP(source, "239.1.1.1", numbered(i)).Bytes())
				}
				eventually(t, "packets seen", func() bool { return r.seen(t) == before+uint64(n) })
			}
			send(10, sender)
			send(3, "198.51.100.9")
			before, table := r.state(t), entries(t, r)
			ports, err := r.d.Tables.Ports()
			if err != nil {
				t.Fatal(err)
			}
			r.close(t)
			r.captures[2].Frames(t)
			for i := range 5 { // nobody is there
				r.captures[1].Inject(t, bpftest.UDP(sender, "239.1.1.1", numbered(i)).Bytes())
			}
			if got := len(r.captures[2].Frames(t)); got != 5 {
				t.Errorf("%d of 5 packets forwarded without an agent", got)
			}

			r.load(t)
			if !r.d.Adopted() {
				t.Error("adopted nothing")
			}
			if diff := cmp.Diff(table, entries(t, r)); diff != "" {
				t.Errorf("groups (-before +after):\n%s", diff)
			}
			adopted, err := r.d.Tables.Ports()
			if diff := cmp.Diff(ports, adopted); diff != "" || err != nil {
				t.Errorf("ports, %v (-before +after):\n%s", err, diff)
			}
			n := uint64(len(bpftest.UDP(sender, "239.1.1.1", numbered(0)).Bytes()))
			want := state{
				Ports:   map[string]portCount{"p1": {Seen: 5, Forwarded: 5}},
				Streams: map[string]streamCount{sender + ">239.1.1.1": {5, 5 * n, 5, 5 * n, 0}},
				Pairs:   map[string]count{"239.1.1.1 p2": {5, 5 * n}},
			}
			got := r.state(t).since(before)
			got.Produced = nil // sampling told about some of it
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("counters (-want +got):\n%s", diff)
			}
			accountFor(t, r.d.Tables)

			// The new agent's program takes the old one's place; generations go on.
			r.attach(t, 1)
			before = r.state(t)
			send(4, sender)
			if got := r.state(t).since(before).Ports["p1"]; got != (portCount{Seen: 4, Forwarded: 4}) {
				t.Errorf("after the change of agents: %+v", got)
			}
			generation, err := r.d.Tables.SetGroup(k, Forwarding{Any: r.at(3)})
			if err != nil || generation != 4 {
				t.Errorf("generation %d, %v, want 4", generation, err)
			}
			// A member that returns continues its count.
			pair := "239.1.1.1 p2"
			was := r.state(t).Pairs[pair]
			r.join(t, "239.1.1.1", 0, 2, 3)
			send(1, sender)
			if got := r.state(t).Pairs[pair]; got.Packets != was.Packets+1 {
				t.Errorf("returned member counts %+v, was %+v", got, was)
			}
		})
	}
}

func (r *rig) seen(t testing.TB) uint64 {
	t.Helper()
	c, err := r.d.PortCount(1)
	if err != nil {
		t.Fatal(err)
	}
	return c.Seen
}

// TestUnloadLeavesNothing: no filter, no qdisc, no pin.
func TestUnloadLeavesNothing(t *testing.T) {
	for _, clsact := range []bool{false, true} {
		t.Run(fmt.Sprint("clsact ", clsact), func(t *testing.T) {
			r := newRig(t, 2, func(o *Options) { o.ForceClsact = clsact })
			r.attach(t, 1, 2)
			r.attach(t, 1) // twice is once
			if n := countFilters(t, r.ports[1].Port); n != 1 {
				t.Errorf("%d filters on p1, want 1", n)
			}
			if err := r.d.DetachPort(r.at(2)[0]); err != nil {
				t.Error(err)
			}
			if err := r.d.DetachPort(99999); err != nil {
				t.Errorf("detach from an interface that is gone: %v", err)
			}
			assertBare(t, r.ports[2].Port)
			before := r.state(t).Ports
			r.captures[2].Inject(t, bpftest.UDP(sender, "239.1.1.1", "x").Bytes())
			r.captures[1].Frames(t)
			if diff := cmp.Diff(before, r.state(t).Ports); diff != "" {
				t.Errorf("a detached port counts (-before +after):\n%s", diff)
			}
			if err := r.d.Unload(); err != nil {
				t.Error(err)
			}
			assertBare(t, r.ports[1].Port)
			if _, err := os.Stat(r.options.Dir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("pin directory: %v", err)
			}
			r.load(t) // for the rig's own end
		})
	}
}

// TestForeignFiltersStay: somebody else's clsact and filters are not ours to
// remove.
func TestForeignFiltersStay(t *testing.T) {
	r := newRig(t, 1)
	index := uint32(r.ports[1].Port.Index)
	if err := netlink.QdiscAdd(clsactOf(index)); err != nil {
		t.Fatal(err)
	}
	foreign := filterOf(index)
	foreign.Priority, foreign.Name, foreign.Fd = 1, "foreign", returning(t, r.d.consume.Type(), -1).FD()
	if err := netlink.FilterAdd(foreign); err != nil {
		t.Fatal(err)
	}
	r.attach(t, 1)
	if n := countFilters(t, r.ports[1].Port); n != 2 {
		t.Errorf("%d filters, want 2", n)
	}
	if err := r.d.DetachPort(index); err != nil {
		t.Error(err)
	}
	if n := countFilters(t, r.ports[1].Port); n != 1 {
		t.Errorf("%d filters after detaching, want 1", n)
	}
}

func countFilters(t *testing.T, l netlink.Link) int {
	t.Helper()
	filters, err := netlink.FilterList(l, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		t.Fatal(err)
	}
	return len(filters)
}

func assertBare(t *testing.T, l netlink.Link) {
	t.Helper()
	qdiscs, err := netlink.QdiscList(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range qdiscs {
		if q.Type() == "clsact" {
			t.Errorf("%s still has clsact", l.Attrs().Name)
		}
	}
}

// TestOneAgentAtATime: pins belong to whoever loaded first.
func TestOneAgentAtATime(t *testing.T) {
	r := newRig(t, 1)
	if d, err := Load(r.options); !errors.Is(err, ErrInUse) {
		if err == nil {
			d.Close()
		}
		t.Errorf("second load: %v, want %v", err, ErrInUse)
	}
	r.close(t)
	r.load(t)
}

// TestIncompatiblePins are refused and left as they are.
func TestIncompatiblePins(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(t *testing.T, r *rig)
	}{
		{"another layout", func(t *testing.T, r *rig) { r.changeMeta(t, func(m *wireMeta) { m.Layout++ }) }},
		{"another namespace", func(t *testing.T, r *rig) { r.changeMeta(t, func(m *wireMeta) { m.NetnsCookie++ }) }},
		{"a map of another shape", func(t *testing.T, r *rig) {
			path := r.d.pins.mapPath("streams")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			other, err := ebpf.NewMap(&ebpf.MapSpec{Name: "streams", Type: ebpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 8})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if err := other.Pin(path); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRig(t, 1)
			row.change(t, r)
			r.close(t)
			d, err := Load(r.options)
			if !errors.Is(err, ErrIncompatiblePins) {
				t.Errorf("load: %v, want %v", err, ErrIncompatiblePins)
			}
			if err == nil {
				d.Close()
			}
			if err := Remove(r.options.Dir); err != nil {
				t.Errorf("remove: %v", err)
			}
			r.load(t) // anew
			if r.d.Adopted() {
				t.Error("adopted what was removed")
			}
		})
	}
}

func (r *rig) changeMeta(t *testing.T, change func(*wireMeta)) {
	t.Helper()
	var m wireMeta
	if err := r.d.maps["meta"].Lookup(uint32(0), &m); err != nil {
		t.Fatal(err)
	}
	change(&m)
	if err := r.d.maps["meta"].Put(uint32(0), m); err != nil {
		t.Fatal(err)
	}
}

// TestPinnedSizesStay: a new agent that wants other sizes is told that it gets
// the old ones.
func TestPinnedSizesStay(t *testing.T) {
	r := newRig(t, 1)
	r.close(t)
	r.options.Settings.Streams *= 2
	r.load(t)
	if n := len(r.d.Notes()); n == 0 {
		t.Error("no note")
	}
}

// TestNotABPFFileSystem: pins elsewhere are refused with what to do.
func TestNotABPFFileSystem(t *testing.T) {
	bpftest.Require(t)
	bpftest.NewNamespace(t)
	d, err := Load(Options{Settings: smallSettings(), Dir: t.TempDir()})
	if !errors.Is(err, ErrNotBPFFS) {
		t.Errorf("load: %v, want %v", err, ErrNotBPFFS)
	}
	if err == nil {
		d.Close()
	}
}
