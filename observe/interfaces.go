package observe

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// iface is one observed interface.
type iface struct {
	index uint32
	name  string
	table *snoop.Table
	// totals of the streams that were forgotten, by direction.
	forgotten [2]bpf.Watched
}

// Sync makes the observed interfaces be those of links that the configuration
// names. It is for the start, and for when changes may have been missed.
func (o *Observer) Sync(links []netlink.Link) {
	there := map[uint32]bool{}
	for _, l := range links {
		there[uint32(l.Attrs().Index)] = true
	}
	o.mu.Lock()
	var gone []uint32
	for index := range o.names {
		if !there[index] {
			gone = append(gone, index)
		}
	}
	o.mu.Unlock()
	for _, index := range gone {
		o.LinkRemoved(index)
	}
	for _, l := range links {
		o.LinkChanged(l)
		o.clean(uint32(l.Attrs().Index))
	}
}

// LinkChanged observes the interface, or stops, as its name asks for. One that
// is renamed and still wanted goes on.
func (o *Observer) LinkChanged(l netlink.Link) {
	index, name := uint32(l.Attrs().Index), l.Attrs().Name
	o.mu.Lock()
	o.place(l)
	i, wanted := o.interfaces[index], o.cfg.Wants(name)
	if o.closed || o.refused[index] {
		wanted = false
	}
	if i != nil && wanted && i.name != name {
		o.rename(i, name)
	}
	o.mu.Unlock()
	switch {
	case i == nil && wanted:
		o.attach(l)
	case i != nil && !wanted:
		o.detach(index)
	}
}

// place notes what an interface is called, and where it hangs. The caller holds
// o.mu.
func (o *Observer) place(l netlink.Link) {
	index := uint32(l.Attrs().Index)
	if was, had := o.names[index]; had && was != l.Attrs().Name {
		o.series.clear() // labels hold the old name
	}
	o.names[index] = l.Attrs().Name
	delete(o.positions, index)
	if p, ok := positionOf(l); ok {
		o.positions[index] = p
	}
}

// nameOf returns the interface's name, empty if there is none of that index.
func (o *Observer) nameOf(index uint32) string { return o.names[index] }

// clean removes what a killed observer left on an interface that is no longer
// observed; only clsact leaves anything.
func (o *Observer) clean(index uint32) {
	o.mu.Lock()
	observed := o.interfaces[index] != nil
	o.mu.Unlock()
	if observed || o.watch.Hook() != "clsact" {
		return
	}
	if err := o.deps.Do(func() error { return bpf.RemoveWatchFilters(index) }); err != nil {
		o.countFailure("attach", "", err)
	}
}

// errUnsupportedDevice: frames of such a device begin with a header that is
// neither Ethernet's nor IP's.
var errUnsupportedDevice = errors.New("frames of this kind of device can't be read")

// beginsWithEthernet says what frames of a device begin with: an Ethernet
// header, or the IP header at once.
func beginsWithEthernet(l netlink.Link) (ethernet bool, err error) {
	switch kind := l.Attrs().EncapType; kind {
	case "ether", "loopback":
		return true, nil
	case "none", "ppp", "tunnel", "tunnel6", "ipip", "tunnel6ip6", "sit", "gre", "gre6", "ipgre", "rawip", "ip6gre", "generic":
		return false, nil
	default:
		return false, fmt.Errorf("device of type %s: %w", kind, errUnsupportedDevice)
	}
}

func (o *Observer) attach(l netlink.Link) {
	index, name := uint32(l.Attrs().Index), l.Attrs().Name
	ethernet, err := beginsWithEthernet(l)
	if err != nil {
		o.mu.Lock()
		o.refused[index] = true // told once
		o.mu.Unlock()
		o.countFailure("unsupported_device", name, err)
		return
	}
	o.mu.Lock()
	o.interfaces[index] = newIface(index, name, bpf.Now())
	o.mu.Unlock()
	if err := o.deps.Do(func() error { return o.watch.Attach(index, ethernet) }); err != nil {
		o.mu.Lock()
		delete(o.interfaces, index)
		o.mu.Unlock()
		o.countFailure("attach", name, err)
		return
	}
	o.deps.Log.Info("interface observed", "interface", name)
}

func (o *Observer) rename(i *iface, name string) {
	o.deps.Log.Info("observed interface renamed", "interface", i.name, "to", name)
	i.name = name
}

// LinkRemoved forgets an interface that is gone.
func (o *Observer) LinkRemoved(index uint32) {
	o.detach(index)
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.names, index)
	delete(o.positions, index)
	delete(o.refused, index)
}

// detach stops to observe an interface. What was counted on it goes with it.
func (o *Observer) detach(index uint32) {
	o.mu.Lock()
	i := o.interfaces[index]
	if i == nil {
		o.mu.Unlock()
		return
	}
	delete(o.interfaces, index)
	for k := range o.streams {
		if k.Ifindex == index {
			delete(o.streams, k)
		}
	}
	o.mu.Unlock()
	if err := o.deps.Do(func() error { return o.watch.Detach(index) }); err != nil {
		o.countFailure("attach", i.name, err)
	}
	o.deps.Log.Info("interface no longer observed", "interface", i.name)
}
