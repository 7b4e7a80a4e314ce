package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

func groupN(n int) string { return netip.AddrFrom4([4]byte{239, 2, byte(n >> 8), byte(n)}).String() }

// TestAFullTableNeverFloods: with every table full, members get what they
// joined, nobody gets anything else, and sums stay exact.
func TestAFullTableNeverFloods(t *testing.T) {
	t.Run("streams", func(t *testing.T) {
		r := newRig(t, 3, func(o *Options) {
			o.Settings.Streams, o.Settings.Groups, o.Settings.Domains = 8, 3, 1
		})
		r.join(t, "239.1.1.1", 0, 2)
		const sources = 40
		before := r.state(t)
		for i := range sources {
			frame := bpftest.UDP(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}).String(), "239.1.1.1", "x").Bytes()
			if got := r.run(t, 1, frame, 1); got != consume {
				t.Fatal(got)
			}
		}
		got := r.state(t).since(before)
		var sum streamCount
		for _, s := range got.Streams {
			sum.Packets += s.Packets
			sum.Copies += s.Copies
		}
		if sum.Packets != sources || sum.Copies != sources {
			t.Errorf("streams count %+v, want %d packets and copies", sum, sources)
		}
		own := uint64(8 + 3 + 1 - 2) // the capacity without (*,G) and the domain's
		if diff := cmp.Diff(map[string]uint64{"streams": sources - own}, got.Full); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
		if any := got.Streams["*>239.1.1.1"]; any.Packets != sources-own {
			t.Errorf("(*,G) counted %+v, want %d packets", any, sources-own)
		}
		if n := r.delivered(t); len(n["p2"]) != sources || len(n["p3"]) != 0 {
			t.Errorf("%d and %d frames arrived, want %d and none", len(n["p2"]), len(n["p3"]), sources)
		}
		// A new group works all the same; the domain's stream counts for it.
		r.join(t, "239.1.1.2", 0, 3)
		frame := bpftest.UDP(sender, "239.1.1.2", "x").Bytes()
		want := forwardedTo(subject{"*", "*"}, consume, frame, 1, 3)
		want.State.Pairs = map[string]count{"239.1.1.2 p3": {1, uint64(len(frame))}}
		want.State.Full = map[string]uint64{"streams": 1}
		want.Events = []string{fmt.Sprintf("d0 replication %s>239.1.1.2 p1 first fanout 0>1 generation 1 packets 1 copies 1 failures 0", sender)}
		r.check(t, frame, want)
		accountFor(t, r.d.Tables)
	})
	t.Run("streams of one group", func(t *testing.T) {
		r := newRig(t, 2)
		r.setDomain(t, Domain{StreamsPerGroup: 2})
		r.join(t, "239.1.1.1", 0, 2)
		before := r.state(t)
		n := uint64(len(bpftest.UDP(sender, "239.1.1.1", "x").Bytes()))
		for i := range 5 {
			r.run(t, 1, bpftest.UDP(fmt.Sprintf("192.0.2.%d", i+1), "239.1.1.1", "x").Bytes(), 1)
		}
		want := map[string]streamCount{
			"192.0.2.1>239.1.1.1": {1, n, 1, n, 0},
			"192.0.2.2>239.1.1.1": {1, n, 1, n, 0},
			"*>239.1.1.1":         {3, 3 * n, 3, 3 * n, 0},
		}
		if diff := cmp.Diff(want, r.state(t).since(before).Streams); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("drops", func(t *testing.T) {
		r := newRig(t, 2, func(o *Options) { o.Settings.Drops = 64 })
		const groups = 100
		before := r.state(t)
		var bytes uint64
		for i := range groups {
			frame := bpftest.UDP(sender, groupN(i), "x").Bytes()
			bytes += uint64(len(frame))
			if got := r.run(t, 1, frame, 1); got != drop {
				t.Fatal(got)
			}
		}
		got := r.state(t).since(before)
		var sum count
		for _, c := range got.Drops {
			sum.Packets += c.Packets
			sum.Bytes += c.Bytes
		}
		own := uint64(64 - len(DropReasons()))
		if sum != (count{groups, bytes}) || got.Drops["unregistered *"].Packets != groups-own {
			t.Errorf("drops count %+v and %+v for others, want %d and %d", sum, got.Drops["unregistered *"], groups, groups-own)
		}
		if diff := cmp.Diff(map[string]uint64{"drops": groups - own}, got.Full); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
		if n := r.delivered(t); len(n) > 0 {
			t.Errorf("frames arrived: %v", n)
		}
	})
	t.Run("copy failures", func(t *testing.T) {
		r := newRig(t, 2, func(o *Options) { o.Settings.Failures = 64 })
		const groups = 100
		for i := range groups {
			r.setGroup(t, groupN(i), 0, Forwarding{Any: []uint32{99999, r.at(2)[0]}})
		}
		before := r.state(t)
		for i := range groups {
			r.run(t, 1, bpftest.UDP(sender, groupN(i), "x").Bytes(), 1)
		}
		got := r.state(t).since(before)
		var sum uint64
		for _, c := range got.Failures {
			sum += c.Packets
		}
		own := uint64(64 - len(CopyFailures()))
		if sum != groups || got.Failures["no_device * "].Packets != groups-own {
			t.Errorf("failures count %d and %+v for others, want %d and %d", sum, got.Failures["no_device * "], groups, groups-own)
		}
		if diff := cmp.Diff(map[string]uint64{"copy_failures": groups - own}, got.Full); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
		if n := r.delivered(t); len(n["p2"]) != groups {
			t.Errorf("%d frames arrived, want %d", len(n["p2"]), groups)
		}
	})
	t.Run("groups", func(t *testing.T) {
		r := newRig(t, 3, func(o *Options) { o.Settings.Groups, o.Settings.Sources = 4, 2 })
		k := func(n int) GroupKey { return GroupKey{Group: netip.MustParseAddr(groupN(n))} }
		source := func(n int) SourcePorts {
			return SourcePorts{netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}), r.at(3)}
		}
		for i := range 5 {
			r.setGroup(t, groupN(i), 0, Forwarding{Any: r.at(2)})
		}
		r.setGroup(t, groupN(4), 0, Forwarding{Any: r.at(2), Sources: []SourcePorts{source(1)}, Sample: 7})
		before := entries(t, r)
		for what, fw := range map[string]struct {
			k  GroupKey
			fw Forwarding
		}{
			"a new group":                 {k(5), Forwarding{Any: r.at(2, 3)}},
			"a new group with sources":    {k(6), Forwarding{Sources: []SourcePorts{source(1), source(2)}}},
			"more sources of an old one":  {k(4), Forwarding{Any: r.at(3), Sources: []SourcePorts{source(1), source(2), source(3)}}},
			"sources of one that had not": {k(3), Forwarding{Any: r.at(1, 3), Sources: []SourcePorts{source(8)}}},
		} {
			if _, err := r.d.Tables.SetGroup(fw.k, fw.fw); !errors.Is(err, ErrTableFull) {
				t.Errorf("%s: %v, want %v", what, err, ErrTableFull)
			}
			if diff := cmp.Diff(before, entries(t, r), cmpopts.EquateComparable(wireGroup{}, netip.Addr{})); diff != "" {
				t.Errorf("%s changed the table (-before +after):\n%s", what, diff)
			}
			accountFor(t, r.d.Tables)
		}
		frame := bpftest.UDP(sender, groupN(0), "x").Bytes()
		r.check(t, frame, forwardedTo(subject{sender, groupN(0)}, consume, frame, 1, 2))
		frame = bpftest.UDP(sender, groupN(5), "x").Bytes()
		r.check(t, frame, droppedFor(subject{sender, groupN(5)}, "unregistered", frame))
		// Room again.
		if err := r.d.Tables.DeleteGroup(k(0)); err != nil {
			t.Fatal(err)
		}
		r.join(t, groupN(5), 0, 2)
		accountFor(t, r.d.Tables)
	})
	t.Run("pairs", func(t *testing.T) {
		r := newRig(t, 2, func(o *Options) { o.Settings.Pairs, o.Settings.Ports = 16, 16 })
		many := func(n int) (ports []uint32) {
			for i := range n {
				ports = append(ports, uint32(1000+i))
			}
			return ports
		}
		r.setGroup(t, groupN(0), 0, Forwarding{Any: many(20)}) // of 32; the flood list has 2
		for _, n := range []int{11, 200} {
			k := GroupKey{Group: netip.MustParseAddr(groupN(1))}
			if _, err := r.d.Tables.SetGroup(k, Forwarding{Any: many(n)}); !errors.Is(err, ErrTableFull) {
				t.Errorf("%d ports: %v, want %v", n, err, ErrTableFull)
			}
			accountFor(t, r.d.Tables)
		}
		r.setGroup(t, groupN(1), 0, Forwarding{Any: many(10)})
		accountFor(t, r.d.Tables)
	})
	t.Run("ports of one group", func(t *testing.T) {
		r := newRig(t, 1, func(o *Options) { o.Settings.Pairs = 4096 })
		ports := make([]uint32, MaxPortsPerGroup+1)
		for i := range ports {
			ports[i] = uint32(1000 + i)
		}
		k := GroupKey{Group: netip.MustParseAddr(groupN(0))}
		if _, err := r.d.Tables.SetGroup(k, Forwarding{Any: ports}); !errors.Is(err, ErrTableFull) {
			t.Errorf("%d ports: %v, want %v", len(ports), err, ErrTableFull)
		}
		accountFor(t, r.d.Tables)
		if _, err := r.d.Tables.SetGroup(k, Forwarding{Any: ports[1:]}); err != nil {
			t.Error(err)
		}
		accountFor(t, r.d.Tables)
		if s := r.run(t, 1, bpftest.UDP(sender, groupN(0), "x").Bytes(), 1); s != consume {
			t.Error(s)
		}
		if got := r.state(t).Streams[sender+">"+groupN(0)]; got.Copies != MaxPortsPerGroup || got.Failures != MaxPortsPerGroup {
			t.Errorf("counted %+v", got)
		}
	})
}

// entries reads the whole table of groups, with the ports of each list.
func entries(t *testing.T, r *rig) map[string]string {
	t.Helper()
	all := map[string]string{}
	var k wireFlowKey
	var g wireGroup
	it := r.d.maps["groups"].Iterate()
	for it.Next(&k, &g) {
		var ports []uint32
		for at := g.List; at != 0; {
			var c wireChunk
			if err := r.d.maps["chunks"].Lookup(at, &c); err != nil {
				t.Fatal(err)
			}
			for _, p := range c.Ifindex {
				if p != 0 {
					ports = append(ports, p)
				}
			}
			at = c.Next
		}
		key := addrName(fromWire(k.Source)) + ">" + addrName(fromWire(k.Group))
		all[key] = fmt.Sprint(ports, " generation ", g.Generation, " flags ", g.Flags, " sample ", g.Sample)
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// accountFor checks that every chunk has one owner and every pair one place.
func accountFor(t testing.TB, tb *Tables) {
	t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	lists := map[uint32]string{}
	own := func(who string, chunks []uint32) {
		for _, c := range chunks {
			if other, taken := lists[c]; taken {
				t.Fatalf("list chunk %d belongs to %s and %s", c, other, who)
			}
			lists[c] = who
		}
	}
	own("the pool", tb.pool.free)
	own("the retired", tb.pool.retired)
	for k, st := range tb.groups {
		own("group "+groupName(k), st.chunks())
	}
	for d, list := range tb.floods {
		own(fmt.Sprint("flood list ", d), list)
	}
	for k, list := range tb.routers {
		own(fmt.Sprint("routers of ", k), list)
	}
	if want := int(tb.maps["chunks"].MaxEntries()) - 1; len(lists) != want {
		t.Fatalf("%d list chunks accounted for, want %d", len(lists), want)
	}
	stats := map[uint32]string{}
	ownStats := func(who string, chunks []uint32) {
		for _, c := range chunks {
			if other, taken := stats[c]; taken {
				t.Fatalf("counter chunk %d belongs to %s and %s", c, other, who)
			}
			stats[c] = who
		}
	}
	ownStats("the pool", tb.pairs.free)
	ownStats("the dirty", tb.pairs.dirty)
	pairs := 0
	for k, g := range tb.pairs.groups {
		ownStats("group "+groupName(k), g.chunks)
		places := map[uint32]bool{}
		for port, s := range g.slots {
			if places[s.slot] {
				t.Fatalf("group %s has two ports at place %d, one is %d", groupName(k), s.slot, port)
			}
			places[s.slot] = true
		}
		pairs += len(g.slots)
		if len(g.slots) == 0 {
			t.Fatalf("group %s has counters and no pair", groupName(k))
		}
	}
	if want := int(tb.maps["pair_stats"].MaxEntries()) - 1; len(stats) != want {
		t.Fatalf("%d counter chunks accounted for, want %d", len(stats), want)
	}
	kernel := 0
	if err := forEach(tb.maps["pairs"], func(*wirePairKey, *wirePair) { kernel++ }); err != nil {
		t.Fatal(err)
	}
	if pairs != kernel || pairs != tb.pairs.count {
		t.Fatalf("%d pairs, %d counted, %d in the kernel", pairs, tb.pairs.count, kernel)
	}
}
