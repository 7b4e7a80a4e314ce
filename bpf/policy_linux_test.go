package bpf

import (
	"net/netip"
	"testing"

	"github.com/fanlight-io/fanlight/bpf/bpftest"
)

// TestUnregistered: who gets a group that nobody joined, by the domain's policy
// and the segment's queriers (RFC 4541 section 2.1.2).
func TestUnregistered(t *testing.T) {
	const (
		flood    = "flood"
		routers  = "routers"
		nobody   = "nobody"
		notAllow = "not_allowed"
	)
	r := newRig(t, 3)
	for i, row := range []struct {
		name      string
		policy    Unregistered
		segment   *Segment // nil: the VLAN is unknown
		withRoute bool
		group     string
		want      string
	}{
		{"no querier", FloodWithoutQuerier, nil, false, "239.1.1.1", flood},
		{"querier gone", FloodWithoutQuerier, &Segment{}, true, "239.1.1.1", flood},
		{"querier", FloodWithoutQuerier, &Segment{QuerierV4: true}, false, "239.1.1.1", nobody},
		{"querier and router", FloodWithoutQuerier, &Segment{QuerierV4: true}, true, "239.1.1.1", routers},
		{"querier of IPv6 alone", FloodWithoutQuerier, &Segment{QuerierV6: true}, true, "239.1.1.1", flood},
		{"querier of IPv4 alone, IPv6", FloodWithoutQuerier, &Segment{QuerierV4: true}, true, "ff15::1", flood},
		{"querier, IPv6", FloodWithoutQuerier, &Segment{QuerierV6: true}, true, "ff15::1", routers},
		{"flood in spite of a querier", FloodUnregistered, &Segment{QuerierV4: true}, true, "239.1.1.1", flood},
		{"drop in spite of no querier", DropUnregistered, nil, false, "239.1.1.1", nobody},
		{"drop but for routers", DropUnregistered, &Segment{}, true, "239.1.1.1", routers},
		{"not allowed, even to routers", FloodUnregistered, &Segment{}, true, "238.1.1.1", notAllow},
		{"not allowed, IPv6", FloodUnregistered, nil, false, "ff0e::1", notAllow},
		{"local control block", DropUnregistered, &Segment{QuerierV4: true}, true, "224.0.0.251", flood},
		{"end of the block", DropUnregistered, nil, false, "224.0.0.255", flood},
		{"behind the block", FloodUnregistered, nil, false, "224.0.1.0", notAllow},
		{"all nodes", DropUnregistered, &Segment{QuerierV6: true}, true, "ff02::1", flood},
		{"other link-local groups are snooped", FloodWithoutQuerier, &Segment{QuerierV6: true}, false, "ff02::2", nobody},
		{"all nodes in another scope", DropUnregistered, nil, false, "ff15::1", nobody},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			vlan := MakeVLAN(uint16(i+1), 0) // each row has a segment of its own
			r.setDomain(t, Domain{Unregistered: row.policy, Allow: []netip.Prefix{
				netip.MustParsePrefix("239.0.0.0/8"), netip.MustParsePrefix("ff15::/16"), netip.MustParsePrefix("ff02::/16"),
			}})
			if row.segment != nil {
				if row.withRoute {
					row.segment.Routers = r.at(3)
				}
				if err := r.d.Tables.SetSegment(SegmentKey{VLAN: vlan}, *row.segment); err != nil {
					t.Fatal(err)
				}
			}
			source := sender
			if netip.MustParseAddr(row.group).Is6() {
				source = sender6
			}
			f := bpftest.UDP(source, row.group, "x")
			f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: vlan.Outer()}}
			frame := f.Bytes()
			s := subject{source, groupName(GroupKey{VLAN: vlan, Group: f.Group})}
			switch row.want {
			case flood:
				r.check(t, frame, flooded(s, consume, frame, 2, 3))
			case routers:
				r.check(t, frame, flooded(s, consume, frame, 3))
			case nobody:
				r.check(t, frame, droppedFor(s, "unregistered", frame))
			case notAllow:
				r.check(t, frame, droppedFor(s, "not_allowed", frame))
			}
		})
	}
}

// TestOwnPortAlone: if the list holds only the port that a packet came from,
// nobody else gets it and nobody is denied it.
func TestOwnPortAlone(t *testing.T) {
	r := newRig(t, 3)
	if err := r.d.Tables.SetSegment(SegmentKey{}, Segment{Routers: r.at(1)}); err != nil {
		t.Fatal(err)
	}
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	alone := forwardedTo(subject{sender, "239.1.1.1"}, next, frame, 0)
	alone.State.Ports["p1"] = portCount{Seen: 1, Passed: 1}
	r.check(t, frame, alone)

	r.setDomain(t, Domain{Flood: []uint32{}})
	frame = bpftest.UDP(sender, "224.0.0.5", "x").Bytes()
	alone = forwardedTo(subject{sender, "224.0.0.5"}, next, frame, 0)
	alone.State.Ports["p1"] = portCount{Seen: 1, Passed: 1}
	r.check(t, frame, alone)
}

// TestKnownGroupWithoutPorts: a group in the table is never flooded, and if it
// has no port the packet was for nobody.
func TestKnownGroupWithoutPorts(t *testing.T) {
	r := newRig(t, 3)
	r.setDomain(t, Domain{Unregistered: FloodUnregistered, Flood: r.at(1, 2, 3), Allow: everyGroup})
	r.setGroup(t, "239.1.1.1", 0, Forwarding{})
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	r.check(t, frame, droppedFor(subject{sender, "239.1.1.1"}, "unregistered", frame))
}

// TestSources: (S,G) is looked for before (*,G).
func TestSources(t *testing.T) {
	r := newRig(t, 4)
	const other, third = "198.51.100.1", "198.51.100.2"
	addr := netip.MustParseAddr
	for i, row := range []struct {
		name   string
		fw     Forwarding
		source string
		ports  []int // nil: wrong_source
	}{
		{"named source", Forwarding{Any: r.at(2), Sources: []SourcePorts{{addr(sender), r.at(3, 4)}}}, sender, []int{3, 4}},
		{"other source", Forwarding{Any: r.at(2), Sources: []SourcePorts{{addr(sender), r.at(3, 4)}}}, other, []int{2}},
		{"include only, wanted", Forwarding{Sources: []SourcePorts{{addr(sender), r.at(2)}, {addr(other), r.at(3)}}}, other, []int{3}},
		{"include only, unwanted", Forwarding{Sources: []SourcePorts{{addr(sender), r.at(2)}}}, third, nil},
		{"excluded by everybody", Forwarding{Any: r.at(2, 3), Sources: []SourcePorts{{addr(sender), nil}}}, sender, nil},
		{"excluded by one", Forwarding{Any: r.at(2, 3), Sources: []SourcePorts{{addr(sender), r.at(3)}}}, sender, []int{3}},
		{"unspecified source names nobody", Forwarding{Any: r.at(2), Sources: []SourcePorts{{netip.IPv6Unspecified(), r.at(3)}}}, other, []int{2}},
	} {
		t.Run(row.name, func(t *testing.T) {
			r.ns.Enter(t)
			group := netip.AddrFrom4([4]byte{232, 1, 1, byte(i)}).String()
			r.setGroup(t, group, 0, row.fw)
			frame := bpftest.UDP(row.source, group, "x").Bytes()
			s := subject{row.source, group}
			if row.ports == nil {
				r.check(t, frame, droppedFor(s, "wrong_source", frame))
				return
			}
			r.check(t, frame, forwardedTo(s, consume, frame, 1, row.ports...))
		})
	}
}

// TestVLANsAreApart: the same group in two VLANs is two groups.
func TestVLANsAreApart(t *testing.T) {
	r := newRig(t, 3)
	r.join(t, "239.1.1.1", MakeVLAN(5, 0), 2)
	r.join(t, "239.1.1.1", MakeVLAN(6, 0), 3)
	for id, port := range map[uint16]int{5: 2, 6: 3} {
		f := bpftest.UDP(sender, "239.1.1.1", "x")
		f.Tags = []bpftest.Tag{{Protocol: 0x8100, ID: id}}
		s := subject{sender, groupName(GroupKey{VLAN: MakeVLAN(id, 0), Group: f.Group})}
		r.check(t, f.Bytes(), forwardedTo(s, consume, f.Bytes(), 1, port))
	}
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	r.check(t, frame, droppedFor(subject{sender, "239.1.1.1"}, "unregistered", frame))
}

// TestDomainsAreApart: ports of another domain see nothing of this one.
func TestDomainsAreApart(t *testing.T) {
	r := newRig(t, 2)
	other := r.addPort(t, func(p *Port) { p.Domain = 1 })
	r.setDomain(t, Domain{Unregistered: FloodUnregistered, Flood: r.at(1, 2)})
	err := r.d.Tables.SetDomain(1, Domain{Unregistered: FloodUnregistered, Flood: []uint32{other}, Allow: everyGroup})
	if err != nil {
		t.Fatal(err)
	}
	frame := bpftest.UDP(sender, "239.1.1.1", "x").Bytes()
	r.check(t, frame, flooded(subject{sender, "239.1.1.1"}, consume, frame, 2))
}

// TestUnknownPort: a program that is still on a port which is no port any more
// lets everything pass, and counts it.
func TestUnknownPort(t *testing.T) {
	r := newRig(t, 2)
	r.join(t, "239.1.1.1", 0, 2)
	if err := r.d.Tables.DeletePort(r.at(1)[0]); err != nil {
		t.Fatal(err)
	}
	want := outcome{Action: next, State: state{Ports: map[string]portCount{"unknown": {Seen: 1, Passed: 1}}}}
	r.check(t, bpftest.UDP(sender, "239.1.1.1", "x").Bytes(), want)
}
