package observe

import (
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// The ports of an interface's membership table: the network and this host.
const (
	portNetwork snoop.Port = 1
	portHost    snoop.Port = 2
)

var portOf = [...]snoop.Port{bpf.In: portNetwork, bpf.Out: portHost}

func directionOf(p snoop.Port) bpf.Direction {
	if p == portHost {
		return bpf.Out
	}
	return bpf.In
}

// newIface returns an interface with a membership table that only listens.
func newIface(index uint32, name string, now time.Duration) *iface {
	cfg := snoop.DefaultConfig()
	cfg.Querier = snoop.QuerierOff
	i := &iface{index: index, name: name, table: snoop.New(cfg, now)}
	i.table.AddPort(portNetwork, snoop.PortInfo{Name: name}, now)
	i.table.AddPort(portHost, snoop.PortInfo{Name: name}, now)
	return i
}

// receive hands a message that passed to its interface's table.
func (o *Observer) receive(m bpf.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := o.interfaces[m.Ifindex]
	if i == nil || int(m.Direction) >= len(portOf) {
		return
	}
	i.table.Receive(snoop.Packet{
		Port: portOf[m.Direction], VLAN: snoop.VLAN(m.VLAN), At: m.At,
		SrcMAC: m.SrcMAC, IP: m.IP, Truncated: m.Truncated,
	}, m.At)
	o.tellMembership(i)
}

// advance lets time pass in the membership tables.
func (o *Observer) advance(now time.Duration) {
	for _, i := range o.interfaces {
		i.table.Advance(now)
		o.tellMembership(i)
	}
}

// tellMembership passes on what a table noticed, but for memberships in link-local
// groups, which every host has. On a port that a domain forwards for, the domain
// tells it.
func (o *Observer) tellMembership(i *iface) {
	i.table.TakeDirty()
	i.table.TakeChangedMembers()
	i.table.TakeDirtyVLANs()
	i.table.TakeDirtyRouters()
	i.table.TakeTransmit() // none: it never asks
	for _, e := range i.table.TakeEvents() {
		if isLinkLocal(e.Group) && o.limits.of(e.Group) == 0 || o.deps.IsPort != nil && o.deps.IsPort(i.index) {
			continue
		}
		ev := bpf.Event{
			Kind: bpf.KindQuerier, Action: e.Action, Reason: e.Reason, VLAN: bpf.VLAN(e.VLAN), Group: e.Group,
			Interface: i.name, Direction: directionOf(e.Port).String(), Host: e.Host, HostMAC: e.HostMAC,
			Protocol: e.Protocol, FilterMode: e.FilterMode, Sources: e.Sources, Suppressed: e.Suppressed,
		}
		if e.Kind == snoop.KindMembership {
			ev.Kind = bpf.KindMembership
		}
		o.deps.Tell(ev)
	}
}

// reported reports whether somebody's membership report for the group passed,
// and no leave or age ended it.
func (i *iface) reported(k GroupKey) bool {
	_, ok := i.table.Forwarding(snoop.GroupKey{VLAN: snoop.VLAN(k.VLAN), Group: k.Group})
	return ok
}
