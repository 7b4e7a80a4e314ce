package collector

import (
	"errors"

	"github.com/vishvananda/netlink"
)

// hostDevices are the devices of the host that sit on other ones: what arrives
// on a port may be for them, although no socket on the port wants it.
type hostDevices map[uint32]hostDevice // by interface index

type hostDevice struct {
	on     uint32 // interface index of the device below
	tagged bool   // it takes tagged frames alone
}

// hostDeviceOf reports whether the link sits on another one of its namespace.
func hostDeviceOf(l netlink.Link) (d hostDevice, ok bool) {
	attrs := l.Attrs()
	if attrs.ParentIndex == 0 || attrs.NetNsID >= 0 {
		return d, false
	}
	switch l.Type() {
	case "vlan":
		return hostDevice{on: uint32(attrs.ParentIndex), tagged: true}, true
	case "macvlan", "macvtap", "ipvlan", "ipvtap":
		return hostDevice{on: uint32(attrs.ParentIndex)}, true
	}
	return d, false // a veth's parent is its far end, a tunnel's its way out
}

// on says what the devices on a port take.
func (h hostDevices) on(port uint32) (tagged, everything bool) {
	for _, d := range h {
		if d.on == port {
			tagged, everything = tagged || d.tagged, everything || !d.tagged
		}
	}
	return tagged, everything
}

// noteHostDevice follows a link that appeared or changed.
func (a *Agent) noteHostDevice(l netlink.Link) error {
	index := uint32(l.Attrs().Index)
	d, ok := hostDeviceOf(l)
	if !ok {
		return a.forgetHostDevice(index)
	}
	if a.hostDevices[index] == d {
		return nil
	}
	a.hostDevices[index] = d
	return a.updatePort(d.on)
}

func (a *Agent) forgetHostDevice(index uint32) error {
	d, ok := a.hostDevices[index]
	if !ok {
		return nil
	}
	delete(a.hostDevices, index)
	return a.updatePort(d.on)
}

// updatePort tells the kernel what has changed of a port, if it is one.
func (a *Agent) updatePort(ifindex uint32) error {
	p := a.ports[ifindex]
	if p == nil {
		return nil
	}
	return a.dp.Tables.SetPort(ifindex, a.kernelPort(p))
}

// syncHostDevices starts again from all links.
func (a *Agent) syncHostDevices(links []netlink.Link) error {
	below := map[uint32]bool{}
	for _, d := range a.hostDevices {
		below[d.on] = true
	}
	clear(a.hostDevices)
	for _, l := range links {
		if d, ok := hostDeviceOf(l); ok {
			a.hostDevices[uint32(l.Attrs().Index)] = d
			below[d.on] = true
		}
	}
	var errs []error
	for ifindex := range below {
		errs = append(errs, a.updatePort(ifindex))
	}
	return errors.Join(errs...)
}
