package collector

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// indexPool hands out the places of ports' kernel counters, from 1.
type indexPool struct{ used map[uint32]bool }

func (p *indexPool) take(wish uint32) uint32 {
	if p.used == nil {
		p.used = map[uint32]bool{}
	}
	if wish == 0 || p.used[wish] {
		wish = 1
		for p.used[wish] {
			wish++
		}
	}
	p.used[wish] = true
	return wish
}

func (p *indexPool) free(index uint32) { delete(p.used, index) }

// resync is called with all interfaces at start and whenever changes may have
// been missed.
func (a *Agent) resync(links []netlink.Link) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := bpf.Now()
	first := a.restored != nil
	if err := a.syncPorts(links, now); err != nil {
		return err
	}
	if !first {
		return nil
	}
	for _, d := range a.domains {
		d.table.StartupQueries(now)
	}
	a.hurry()
	return a.settle(now)
}

// syncPorts makes the ports be those of links that a domain wants. At the first
// call it takes over what the last agent left.
func (a *Agent) syncPorts(links []netlink.Link, now time.Duration) error {
	known, err := a.dp.Tables.Ports()
	if err != nil {
		return fmt.Errorf("read ports: %w", err)
	}
	if err := a.syncHostDevices(links); err != nil {
		return err
	}
	// Ports that stay keep their places; those that are new come last, when
	// nothing is left of a port that had their index or their place before.
	var fresh []netlink.Link
	gone := maps.Clone(known)
	for ifindex := range a.ports {
		gone[ifindex] = bpf.Port{}
	}
	for _, l := range links {
		attrs := l.Attrs()
		ifindex := uint32(attrs.Index)
		d, p := a.domainOf(attrs.Name), a.ports[ifindex]
		switch old, had := known[ifindex]; {
		case d == nil:
		case p != nil && p.domain == d && p.name == attrs.Name:
			delete(gone, ifindex)
			a.refreshPort(p, l, now)
		case p == nil && had && old.NameHash == bpf.NameHash(attrs.Name) && old.Domain == d.id:
			delete(gone, ifindex)
			a.addPort(d, l, old.Index, now)
		default:
			fresh = append(fresh, l)
		}
	}
	if a.restored != nil {
		if err := a.takeOver(now); err != nil {
			return err
		}
	}
	if err := a.settle(now); err != nil {
		return err
	}
	for ifindex := range gone {
		if a.ports[ifindex] != nil {
			err = a.removePort(ifindex, now)
		} else {
			err = a.detach(ifindex)
		}
		if err != nil {
			return err
		}
	}
	for _, l := range fresh {
		a.addPort(a.domainOf(l.Attrs().Name), l, 0, now)
	}
	return a.settle(now)
}

// domainOf returns the first domain that wants an interface of that name.
func (a *Agent) domainOf(name string) *domain {
	i := slices.IndexFunc(a.domains, func(d *domain) bool { return matches(d.cfg.Ports, name) })
	if i < 0 {
		return nil
	}
	return a.domains[i]
}

// addPort makes the interface a port of the domain; settle attaches it.
func (a *Agent) addPort(d *domain, l netlink.Link, wish uint32, now time.Duration) {
	attrs := l.Attrs()
	if len(d.ports) >= bpf.MaxPortsPerGroup || len(a.ports) >= a.cfg.Tables.settings().Ports {
		a.log.Error("port has no room in the tables", "domain", d.cfg.Name, "interface", attrs.Name)
		a.portsRefused++
		return
	}
	p := &port{ifindex: uint32(attrs.Index), index: a.indexes.take(wish), name: attrs.Name, domain: d}
	p.fresh = p.index != wish
	a.ports[p.ifindex], d.ports[p.ifindex] = p, p
	a.names.setInterface(p.ifindex, p.name)
	p.info = snoop.PortInfo{Name: p.name, Router: matches(d.cfg.RouterPorts, p.name)}
	a.refreshPort(p, l, now)
	if len(d.cfg.QuerierGuard)+len(d.cfg.RouterGuard) > 0 {
		d.configureTable(now)
	}
	d.changed, d.reorder = true, true
	a.attaching = append(a.attaching, p)
}

// attachNew attaches the ports that were added since the last call, after the
// kernel knows their domain.
func (a *Agent) attachNew() error {
	for _, p := range a.attaching {
		if a.ports[p.ifindex] != p {
			continue // vanished in between
		}
		var err error
		if p.fresh {
			err = a.dp.Tables.ResetPort(p.index)
		}
		if err == nil {
			err = a.dp.Tables.SetPort(p.ifindex, a.kernelPort(p))
		}
		if err == nil {
			err = a.ns.do(func() error { return a.dp.AttachPort(p.ifindex) })
		}
		if err == nil {
			a.log.Info("port attached", "domain", p.domain.cfg.Name, "interface", p.name)
			continue
		}
		if _, gone := a.ns.handle.LinkByIndex(int(p.ifindex)); gone != nil {
			continue // vanished while it was attached: its removal is on the way
		}
		a.log.Error("port can't be attached", "domain", p.domain.cfg.Name, "interface", p.name, "error", err)
		a.attachFailures[p.domain.cfg.Name]++
	}
	a.attaching = a.attaching[:0]
	return nil
}

// removePort ends a port: its members leave, nothing is forwarded to it, and
// its counters are forgotten.
func (a *Agent) removePort(ifindex uint32, now time.Duration) error {
	p := a.ports[ifindex]
	if p == nil {
		return nil
	}
	delete(a.ports, ifindex)
	delete(p.domain.ports, ifindex)
	a.indexes.free(p.index)
	p.domain.table.RemovePort(snoop.Port(ifindex), now)
	p.domain.changed = true
	err := errors.Join(a.settle(now), a.detach(ifindex))
	a.log.Info("port removed", "domain", p.domain.cfg.Name, "interface", p.name)
	return err
}

func (a *Agent) detach(ifindex uint32) error {
	err := a.ns.do(func() error { return a.dp.DetachPort(ifindex) })
	return errors.Join(err, a.dp.Tables.DeletePort(ifindex))
}

func (a *Agent) linkChanged(l netlink.Link) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.noteHostDevice(l); err != nil {
		return err
	}
	attrs, now := l.Attrs(), bpf.Now()
	ifindex := uint32(attrs.Index)
	d, p := a.domainOf(attrs.Name), a.ports[ifindex]
	if p != nil && p.domain == d && p.name != attrs.Name && d.sameRole(p.name, attrs.Name) {
		return a.renamePort(p, attrs.Name, now)
	}
	if p != nil && (p.domain != d || p.name != attrs.Name) {
		if err := a.removePort(ifindex, now); err != nil {
			return err
		}
		p = nil
	}
	switch {
	case d == nil:
		return nil
	case p != nil:
		if macOf(l) == p.info.MAC {
			return nil
		}
		a.refreshPort(p, l, now)
	default:
		a.addPort(d, l, 0, now)
	}
	a.hurry()
	return a.settle(now)
}

// addressChanged makes queries come from the addresses that the port has now.
func (a *Agent) addressChanged(ifindex uint32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.ports[ifindex]
	if p == nil {
		return nil
	}
	l, err := a.ns.handle.LinkByIndex(int(ifindex))
	if err != nil {
		return nil // vanished: its removal is on the way
	}
	now := bpf.Now()
	a.refreshPort(p, l, now)
	return a.settle(now)
}

// refreshPort tells the domain's table who sends our queries on the port.
func (a *Agent) refreshPort(p *port, l netlink.Link, now time.Duration) {
	p.info.MAC = macOf(l)
	// Without an address queries come from 0.0.0.0.
	if v4, v6, ok := addressesOf(a.ns.handle, l); ok {
		p.info.Addr4, p.info.Addr6 = v4, v6
	}
	p.domain.table.AddPort(snoop.Port(p.ifindex), p.info, now)
}

// renamePort lets a port go on under another name, with its members.
func (a *Agent) renamePort(p *port, name string, now time.Duration) error {
	a.log.Info("port renamed", "domain", p.domain.cfg.Name, "interface", p.name, "to", name)
	p.name, p.info.Name = name, name
	p.domain.reorder = true
	a.names.setInterface(p.ifindex, name)
	p.domain.table.AddPort(snoop.Port(p.ifindex), p.info, now)
	if err := a.updatePort(p.ifindex); err != nil {
		return err
	}
	return a.settle(now)
}

// kernelPort is a port as the kernel wants it.
func (a *Agent) kernelPort(p *port) bpf.Port {
	tagged, everything := a.hostDevices.on(p.ifindex)
	return bpf.Port{Name: p.name, Domain: p.domain.id, Index: p.index, HostTagged: tagged, HostRouter: everything}
}

func (a *Agent) linkRemoved(ifindex uint32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.forgetHostDevice(ifindex); err != nil {
		return err
	}
	return a.removePort(ifindex, bpf.Now())
}

// takeOver gives the domains what the last agent knew: segments, then members.
// What no domain explains is taken out of the kernel.
func (a *Agent) takeOver(now time.Duration) error {
	var stale []bpf.SegmentKey
	for k, seg := range a.dp.Tables.Segments() {
		i := slices.IndexFunc(a.domains, func(d *domain) bool { return d.id == k.Domain })
		if i < 0 {
			stale = append(stale, k)
			continue
		}
		state := snoop.SegmentState{SnoopingV4: seg.QuerierV4, SnoopingV6: seg.QuerierV6}
		for _, ifindex := range seg.Routers {
			state.Routers = append(state.Routers, snoop.Port(ifindex))
		}
		d := a.domains[i]
		if err := d.table.RestoreSegment(snoop.VLAN(k.VLAN), state, now); err != nil {
			a.log.Warn("VLAN can't be restored", "domain", d.cfg.Name, "vlan", k.VLAN.String(), "error", err)
			stale = append(stale, k)
		}
	}
	if err := a.restoreMembers(now); err != nil {
		return err
	}
	if err := a.settle(now); err != nil {
		return err
	}
	for _, k := range stale {
		if err := a.dp.Tables.DeleteSegment(k); err != nil {
			return err
		}
	}
	for _, k := range a.dp.Tables.Groups() {
		if !a.explains(k) {
			if err := a.dp.Tables.DeleteGroup(k); err != nil {
				return err
			}
		}
	}
	return nil
}

// restoreMembers brings back the members in the journal, but for those on ports
// that are gone or new.
func (a *Agent) restoreMembers(now time.Duration) error {
	for k, state := range a.restored {
		p := a.ports[k.Port]
		s, err := decodeMember(state)
		if err == nil && p != nil && p.domain.id == k.Domain {
			key := snoop.GroupKey{VLAN: snoop.VLAN(k.VLAN), Group: k.Group}
			err = p.domain.table.Restore(key, snoop.Port(k.Port), s, now)
			if err == nil {
				continue
			}
			a.log.Warn("member can't be restored", "domain", p.domain.cfg.Name, "interface", p.name)
		}
		if err := a.journal.Delete(k); err != nil {
			return err
		}
	}
	a.restored = nil
	return nil
}

// explains reports whether a member is the reason for what the kernel forwards.
// A group that has no room for its new list keeps the old one.
func (a *Agent) explains(k bpf.GroupKey) bool {
	return slices.ContainsFunc(a.domains, func(d *domain) bool {
		_, ok := d.groups[k]
		return ok || d.id == k.Domain && d.unplaced[snoop.GroupKey{VLAN: snoop.VLAN(k.VLAN), Group: k.Group}]
	})
}

// macOf returns the interface's MAC, zeros if it has none.
func macOf(l netlink.Link) (mac snoop.MAC) {
	copy(mac[:], l.Attrs().HardwareAddr)
	return mac
}
