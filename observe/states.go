package observe

import (
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf"
)

// The states of a group on an interface.
const (
	StateOK           = "ok"
	StateSilent       = "silent"       // this host subscribes, and nothing arrives
	StateUnsubscribed = "unsubscribed" // data arrives, and nobody is known to want it
)

// place is a group in one VLAN of an interface.
type place struct {
	ifindex uint32
	GroupKey
}

// position is how an interface hangs together with others.
type position struct {
	master uint32   // bridge or bond that it is a port of
	parent uint32   // interface that it is a VLAN of, or another device on top of
	vlan   bpf.VLAN // on the parent
}

// positionOf reads what matters of a link; ok is false if it stands alone.
func positionOf(l netlink.Link) (p position, ok bool) {
	attrs := l.Attrs()
	p.master = uint32(attrs.MasterIndex)
	if attrs.NetNsID < 0 { // the parent is in this namespace
		p.parent = uint32(attrs.ParentIndex)
	}
	if v, is := l.(*netlink.Vlan); is {
		p.vlan = bpf.MakeVLAN(uint16(v.VlanId), 0)
	}
	if l.Type() == "veth" {
		p.parent = 0 // the other end, which is no parent
	}
	return p, p.master != 0 || p.parent != 0
}

// subscriptions are the places at which this host's memberships want data: where
// they are, and on the interfaces below. The caller holds o.mu.
func (o *Observer) subscriptions() map[place]bool {
	wanted := map[place]bool{}
	ports := map[uint32][]uint32{}
	for index, p := range o.positions {
		ports[p.master] = append(ports[p.master], index)
	}
	for _, m := range o.host.memberships {
		if isLinkLocal(m.group) {
			continue
		}
		o.want(wanted, ports, place{m.ifindex, GroupKey{Group: m.group}}, 0)
	}
	return wanted
}

// deepest is how many interfaces may lie on top of each other.
const deepest = 4

func (o *Observer) want(wanted map[place]bool, ports map[uint32][]uint32, at place, depth int) {
	if wanted[at] || depth > deepest {
		return
	}
	wanted[at] = true
	if p := o.positions[at.ifindex]; p.parent != 0 {
		below := at
		below.ifindex = p.parent
		if p.vlan != 0 {
			below.VLAN = bpf.MakeVLAN(p.vlan.Outer(), at.VLAN.Outer())
		}
		o.want(wanted, ports, below, depth+1)
	}
	for _, port := range ports[at.ifindex] {
		at.ifindex = port
		o.want(wanted, ports, at, depth+1)
	}
}

// forwarded are the groups that a bridge or a multicast route takes on, by the
// interface that they come from. The caller holds o.mu.
func (o *Observer) forwarded() map[hostKey]bool {
	taken := map[hostKey]bool{}
	for _, b := range o.host.bridges {
		taken[hostKey{b.bridge, b.group}] = true
	}
	for _, r := range o.host.routes {
		taken[hostKey{r.from, r.group}] = true
	}
	return taken
}

// states returns the state of each group that is subscribed or active, but for
// link-local ones. The caller holds o.mu.
func (o *Observer) states() map[place]string {
	wanted, taken := o.subscriptions(), o.forwarded()
	active, sent := map[place]bool{}, map[place]bool{}
	for k, s := range o.streams {
		at := place{k.Ifindex, GroupKey{k.VLAN, k.Group}}
		switch {
		case !k.Group.IsValid() || s.silent || isLinkLocal(k.Group):
		case k.Direction == bpf.In:
			active[at] = true
		default:
			sent[at] = true // whoever listens here gets it without the network
		}
	}
	states := map[place]string{}
	for at := range wanted {
		switch {
		case o.interfaces[at.ifindex] == nil:
		case active[at] || sent[at]:
			states[at] = StateOK
		default:
			states[at] = StateSilent
		}
	}
	for at := range active {
		if states[at] != "" {
			continue
		}
		states[at] = StateUnsubscribed
		if o.isWantedElsewhere(at, taken) {
			states[at] = StateOK
		}
	}
	return states
}

// isWantedElsewhere reports whether somebody beside this host's own sockets is
// known to want the group: a bridge or route of this host, a domain that it
// forwards, or a host whose report passed by.
func (o *Observer) isWantedElsewhere(at place, taken map[hostKey]bool) bool {
	if taken[hostKey{at.ifindex, at.Group}] || taken[hostKey{o.positions[at.ifindex].master, at.Group}] {
		return true
	}
	if o.deps.Subscribed != nil && o.deps.Subscribed(at.ifindex, at.GroupKey) {
		return true
	}
	return o.interfaces[at.ifindex].reported(at.GroupKey)
}

// sources counts the sources of each group that are not silent.
func (o *Observer) sources() map[groupAt]uint64 {
	n := map[groupAt]uint64{}
	for k, s := range o.streams {
		if k.Group.IsValid() {
			n[at(k)] += 0
			if !s.silent {
				n[at(k)]++
			}
		}
	}
	return n
}

// unmapped gives the unspecified source of a route no address.
func unmapped(a netip.Addr) netip.Addr {
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
