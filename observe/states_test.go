package observe

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf"
)

// TestStates: eth0 (1) is a port of br0 (2) and carries eth0.5 (3); mv0 (4) is a
// macvlan on it.
func TestStates(t *testing.T) {
	o := &Observer{
		interfaces: map[uint32]*iface{1: newIface(1, "eth0", 0), 2: newIface(2, "br0", 0)},
		positions:  map[uint32]position{1: {master: 2}, 3: {parent: 1, vlan: bpf.MakeVLAN(5, 0)}, 4: {parent: 1}},
		streams:    map[bpf.WatchKey]*stream{},
	}
	join := func(index uint32, group string) {
		o.host.memberships = append(o.host.memberships, membership{ifindex: index, group: addr(group), users: 1})
	}
	arrive := func(index uint32, vlan bpf.VLAN, group string, s stream) {
		o.streams[bpf.WatchKey{Ifindex: index, VLAN: vlan, Source: addr("10.0.0.1"), Group: addr(group)}] = &s
	}
	join(1, "239.1.1.1") // subscribed, and it comes
	arrive(1, 0, "239.1.1.1", stream{})
	join(1, "239.1.1.2") // subscribed, and it is silent
	arrive(1, 0, "239.1.1.2", stream{silent: true})
	join(1, "239.1.1.3")                // subscribed, and never seen
	arrive(1, 0, "239.1.1.4", stream{}) // comes, and nobody wants it
	join(3, "239.1.1.5")                // of the VLAN above
	arrive(1, bpf.MakeVLAN(5, 0), "239.1.1.5", stream{})
	arrive(1, 0, "239.1.1.5", stream{}) // not that of the VLAN
	join(4, "239.1.1.6")                // of the device above
	arrive(1, 0, "239.1.1.6", stream{})
	join(2, "239.1.1.7") // of the bridge above
	arrive(1, 0, "239.1.1.7", stream{})
	o.host.bridges = []bridgeEntry{{bridge: 2, port: 9, group: addr("239.1.1.8")}}
	arrive(1, 0, "239.1.1.8", stream{}) // of a port of the bridge
	o.host.routes = []route{{from: 1, group: addr("239.1.1.9")}}
	arrive(1, 0, "239.1.1.9", stream{}) // of a route
	arrive(1, 0, "224.0.0.5", stream{}) // link-local: no state
	join(1, "ff02::1")

	vlan5 := bpf.MakeVLAN(5, 0)
	want := map[place]string{}
	for group, state := range map[string]string{
		"239.1.1.1": StateOK, "239.1.1.2": StateSilent, "239.1.1.3": StateSilent, "239.1.1.4": StateUnsubscribed,
		"239.1.1.5": StateUnsubscribed, "239.1.1.6": StateOK, "239.1.1.7": StateOK, "239.1.1.8": StateOK, "239.1.1.9": StateOK,
	} {
		want[place{1, GroupKey{Group: addr(group)}}] = state
	}
	want[place{1, GroupKey{vlan5, addr("239.1.1.5")}}] = StateOK
	want[place{2, GroupKey{Group: addr("239.1.1.7")}}] = StateSilent // it stops at the port here
	if diff := cmp.Diff(want, o.states(), compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPositions(t *testing.T) {
	attrs := func(change func(*netlink.LinkAttrs)) netlink.LinkAttrs {
		a := netlink.NewLinkAttrs()
		change(&a)
		return a
	}
	for name, row := range map[string]struct {
		link netlink.Link
		want position
		ok   bool
	}{
		"alone": {&netlink.Dummy{LinkAttrs: attrs(func(*netlink.LinkAttrs) {})}, position{}, false},
		"port":  {&netlink.Dummy{LinkAttrs: attrs(func(a *netlink.LinkAttrs) { a.MasterIndex = 7 })}, position{master: 7}, true},
		"VLAN": {&netlink.Vlan{LinkAttrs: attrs(func(a *netlink.LinkAttrs) { a.ParentIndex = 3 }), VlanId: 5},
			position{parent: 3, vlan: bpf.MakeVLAN(5, 0)}, true},
		"macvlan of another namespace": {&netlink.Macvlan{LinkAttrs: attrs(func(a *netlink.LinkAttrs) { a.ParentIndex = 3; a.NetNsID = 0 })}, position{}, false},
		"veth":                         {&netlink.Veth{LinkAttrs: attrs(func(a *netlink.LinkAttrs) { a.ParentIndex = 3 })}, position{}, false},
	} {
		if got, ok := positionOf(row.link); got != row.want || ok != row.ok {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

func TestDevicesThatCanBeRead(t *testing.T) {
	for kind, want := range map[string]string{"ether": "ethernet", "loopback": "ethernet", "none": "ip", "ppp": "ip", "infiniband": "no", "": "no"} {
		got := "ip"
		ethernet, err := beginsWithEthernet(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{EncapType: kind}})
		switch {
		case err != nil:
			got = "no"
		case ethernet:
			got = "ethernet"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", kind, got, want)
		}
	}
}
