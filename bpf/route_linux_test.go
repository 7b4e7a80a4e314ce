package bpf

import (
	"net/netip"
	"testing"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestStreamsKeepTheirRoute: what was decided for a stream is taken again
// without a look at the table of groups, until the tables announce a change.
func TestStreamsKeepTheirRoute(t *testing.T) {
	r := newRig(t, 3)
	k := GroupKey{Group: netip.MustParseAddr("239.1.1.1")}
	send := func(want ...int) {
		t.Helper()
		before := r.state(t).Pairs
		r.run(t, 1, bpftest.UDP(sender, "239.1.1.1", "x").Bytes(), 0)
		after := r.state(t).Pairs
		for port, pair := range map[int]string{2: "239.1.1.1 p2", 3: "239.1.1.1 p3"} {
			copies := uint64(0)
			for _, w := range want {
				if w == port {
					copies++
				}
			}
			if got := after[pair].Packets - before[pair].Packets; got != copies {
				t.Errorf("%d copies for p%d, want %d", got, port, copies)
			}
		}
	}
	r.join(t, "239.1.1.1", 0, 2, 3)
	send(2, 3) // makes the stream
	send(2, 3) // keeps the route
	r.rewrite(t, k, func(g *wireGroup) { g.List = 0 })
	send(2, 3) // nobody announced that
	if err := r.d.Tables.announce(); err != nil {
		t.Fatal(err)
	}
	send()
	r.join(t, "239.1.1.1", 0, 3)
	send(3)
	r.setGroup(t, "239.1.1.1", 0, Forwarding{Any: r.at(3), Sources: []SourcePorts{{netip.MustParseAddr(sender), r.at(2)}}})
	send(2)
	if err := r.d.Tables.DeleteGroup(k); err != nil {
		t.Fatal(err)
	}
	send() // flooded by the domain's list, whose counters are others
}

// TestRoutesOfADeadAgent: lists that an agent took out of use before it died,
// and did not announce, are not used by streams once the next agent may give
// their chunks to others.
func TestRoutesOfADeadAgent(t *testing.T) {
	r := newRig(t, 2)
	r.join(t, "239.1.1.1", 0, 2)
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	for range 3 {
		r.run(t, 1, frame, 0)
	}
	r.rewrite(t, GroupKey{Group: netip.MustParseAddr("239.1.1.1")}, func(g *wireGroup) { g.List = 0 })
	r.close(t)
	r.load(t)
	before := r.state(t).Pairs["239.1.1.1 p2"].Packets
	r.run(t, 1, frame, 0)
	if got := r.state(t).Pairs["239.1.1.1 p2"].Packets - before; got != 0 {
		t.Errorf("%d copies by a list that is not in use", got)
	}
}

// rewrite changes a group's entry behind the tables' back.
func (r *rig) rewrite(t *testing.T, k GroupKey, change func(*wireGroup)) {
	t.Helper()
	key := groupEntryKey(k, netip.Addr{})
	var g wireGroup
	if err := r.d.maps["groups"].Lookup(key, &g); err != nil {
		t.Fatal(err)
	}
	change(&g)
	if err := r.d.maps["groups"].Put(key, g); err != nil {
		t.Fatal(err)
	}
}
